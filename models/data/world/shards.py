"""One shard's worth of scenes, rendered a batch at a time into named columns."""

import json
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from models.data.world.captions import caption_scenes
from models.data.world.composing import compose_scenes
from models.data.world.names import COLOURS
from models.data.world.scenes import Scenes
from models.data.world.spec import WorldSpec
from models.data.world.views import Views, render_views

# Samples that are worked on together: about what stays in a core's cache, or fills a GPU.
_SAMPLES_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 24}

Columns = dict[str, list[np.ndarray]]


def batch_scenes(size_px: int, supersample: int, device: str) -> int:
    """How many scenes to render at once for the best speed on a kind of device."""
    samples = _SAMPLES_AT_ONCE[torch.device(device).type]
    return max(1, samples // (size_px * supersample) ** 2)


@torch.no_grad()
def render_shard(
    spec: WorldSpec, indices: range, device: str, columns: Columns, captions: list[str]
) -> Iterator[int]:
    """Append the scenes' columns and captions (as JSON lines), telling each batch's size."""
    step = batch_scenes(spec.size_px, spec.supersample, device)
    for first in range(indices.start, indices.stop, step):
        numbers = torch.arange(first, min(first + step, indices.stop), device=device)
        scenes = compose_scenes(spec.scene, seed=spec.scene_seed, indices=numbers)
        views = render_views(
            scenes,
            size_px=spec.size_px,
            supersample=spec.supersample,
            stereo="right" in spec.truths,
            truths=bool({"depth", "instances", "classes", "boxes", "captions"} & set(spec.truths)),
        )
        for name, column in _columns(spec, scenes, views).items():
            columns.setdefault(name, []).append(column.cpu().numpy())
        if "captions" in spec.truths:
            captions += [json.dumps(text) + "\n" for text in caption_scenes(scenes, views)]
        yield len(numbers)


def _columns(spec: WorldSpec, scenes: Scenes, views: Views) -> dict[str, Tensor]:
    columns = {"image": views.image}
    if spec.scene.close_up:
        columns["label"] = scenes.shape[:, 0] * len(COLOURS) + scenes.colour[:, 0]
    if views.right is not None:
        columns["right"] = views.right
    if "camera" in spec.truths:
        columns["camera"] = scenes.camera.intrinsics(spec.size_px)
    if views.truth is None:
        return columns
    for name in ("depth", "instances", "classes"):
        if name in spec.truths:
            columns[name] = getattr(views.truth, name)
    if "boxes" in spec.truths:
        boxes = views.truth.boxes
        columns["boxes"] = boxes.xyxy_px
        columns["box_count"] = boxes.count
        columns["box_instance"] = boxes.instance
        columns["box_shape"] = boxes.look_up(scenes.shape)
        columns["box_colour"] = boxes.look_up(scenes.colour)
        columns["box_material"] = boxes.look_up(scenes.material)
    return columns
