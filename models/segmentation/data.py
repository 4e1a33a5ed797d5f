"""The images that a segmenter's recipe asks for, and the batches that training draws from them."""

from pathlib import Path
from typing import Any

from torch import Generator, Tensor

from models.data.panoptic import ArraySegments, SegmentedImages
from models.data.panoptic_coco import CocoPanoptic
from models.data.panoptic_instances import CocoInstances
from models.data.panoptic_labels import LabelMaps
from models.detection.augment import AugmentSpec, augment_pixels, draw_mirrored, draw_windows
from models.detection.recipe import WorldData
from models.detection.spec import Fit
from models.detection.windows import fit_windows
from models.segmentation.recipe import DataSpec
from models.training.batches import ShuffledBatches


def open_segmented_images(
    spec: DataSpec, split: str, *, names: tuple[str, ...] | None = None, progress: bool = False
) -> SegmentedImages:
    """One split: `train`, `val` or `test`. `names` number the categories of COCO's files."""
    if spec.world is not None:
        return _open_world(spec.world, split, progress)
    if spec.panoptic is not None:
        panoptic = _split(spec.panoptic, split)
        return CocoPanoptic(
            _path(panoptic.images), _path(panoptic.annotations), _path(panoptic.segments), names
        )
    if spec.instances is not None:
        instances = _split(spec.instances, split)
        return CocoInstances(_path(instances.images), _path(instances.annotations), names)
    assert spec.semantic is not None
    semantic = _split(spec.semantic, split)
    return LabelMaps(_path(semantic.images), _path(semantic.labels), spec.semantic.names)


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _split(source: Any, split: str) -> Any:
    found = getattr(source, split)
    if found is None:
        raise ValueError(f"the data has no {split} split")
    return found


def _open_world(spec: WorldData, split: str, progress: bool) -> ArraySegments:
    from models.data.world import CLASS_NAMES, STUFF, SceneSpec, WorldSpec, open_world

    count = {"train": spec.train, "val": spec.val, "test": spec.test}[split]
    world = open_world(
        WorldSpec(
            SceneSpec(max_objects=spec.objects),
            count,
            size_px=spec.size_px,
            split=split,
            seed=spec.seed,
            supersample=spec.train_supersample if split == "train" else spec.supersample,
            truths=("boxes", "classes", "instances"),
        ),
        Path(spec.root).expanduser() if spec.root else None,
        workers=spec.workers,
        progress=progress,
    )
    description = (
        f"tabletop world, {split} split of seed {spec.seed}, {count} scenes of 1 to "
        f"{spec.objects} objects at {spec.size_px} px"
    )
    return ArraySegments(
        world.array("image"),
        world.array("instances"),
        world.array("classes"),
        CLASS_NAMES,
        [name not in STUFF for name in CLASS_NAMES],
        description,
    )


class SegmentationBatches(ShuffledBatches[SegmentedImages]):
    """Shuffled and augmented batches, addressed by step."""

    def __init__(
        self,
        images: SegmentedImages,
        *,
        sizes: tuple[tuple[int, int], ...],
        fit: Fit,
        batch_size: int,
        augment: AugmentSpec,
        seed: int,
    ) -> None:
        super().__init__(images, batch_size=batch_size, seed=seed)
        self._sizes = sizes
        self._fit = fit
        self._augment = augment

    def make(self, step: int, indices: Tensor, generator: Generator) -> dict[str, Tensor]:
        """`image` uint8 [B, H, W, 3], `numbers` int16 [B, H, W], `labels` int64 [B, K]."""
        size = self.choose(step, self._sizes)
        seen = fit_windows(self.samples.sizes_px(indices), size, self._fit)
        windows = draw_windows(self._augment, seen, generator)
        mirrored = draw_mirrored(self._augment, len(indices), generator)
        segments = self.samples.segments(indices, size, windows)
        numbers = segments.numbers.flip(2).where(mirrored[:, None, None], segments.numbers)
        images = self.samples.read(indices, size, windows)
        pixels = augment_pixels(self._augment, images, mirrored, generator)
        return {"image": pixels, "numbers": numbers, "labels": segments.labels}
