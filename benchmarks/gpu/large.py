"""Networks of the size that people serve, with random weights, made on the spot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu.context import Context
from benchmarks.gpu.report import Findings, SkippedError
from benchmarks.gpu.throughput import NOTE, Subject, measure
from service.bundle import Tensors
from service.engine.backends.backend import Backend
from service.engine.backends.cuda import open_cuda
from service.engine.backends.onnxruntime import OnnxRuntimeBackend
from service.engine.compute import Compute

if TYPE_CHECKING:
    from torch import nn

TITLE = "Large networks, random weights"
MAX_BATCH = 64


@dataclass(frozen=True)
class Made:
    module: nn.Module
    sample: Tensors
    outputs: Sequence[str]
    max_batch: int = MAX_BATCH


def check(context: Context, found: Findings, *, builders: Builders | None = None) -> None:
    try:
        import torch

        from exporters.graph import load_graph, save_graph
        from exporters.half import compute_half
    except ImportError as error:
        raise SkippedError(f"needs panoptes[train]: {error.name} is not installed") from None
    if context.compute.device == "tensorrt":
        found.notes.append("On ONNX Runtime's CUDA provider, not on TensorRT.")
    found.notes.append(NOTE)
    folder = context.make_folder("large")
    for name, build in (LARGE if builders is None else builders).items():
        context.tell(f"{name}: exporting")
        torch.manual_seed(0)
        started = time.perf_counter()
        try:
            made = build()
            single = _export(made, folder / f"{name}.onnx")
            (half, *_) = save_graph(compute_half(load_graph(single)), folder / f"{name}.half.onnx")
        except Exception as error:  # whatever torch's exporter raises, or no memory
            found.failures.append(f"{name}: {str(error).partition(chr(10))[0]}")
            continue
        found.notes.append(f"{name}: exported twice in {time.perf_counter() - started:.0f} s.")
        for precision, path in (("fp32", single), ("fp16-compute", half)):
            measure(context, _subject(name, precision, path, made, context.compute), found)
        for path in folder.iterdir():  # some are gigabytes
            path.unlink()


def _subject(name: str, precision: str, path: Path, made: Made, compute: Compute) -> Subject:
    def opened() -> Backend:
        if compute.on_gpu:
            return open_cuda(path, compute, max_batch=made.max_batch)
        return OnnxRuntimeBackend(path, outputs=made.outputs, cores=1)

    return Subject(name, precision, made.sample, made.max_batch, opened, lambda: made.module)


def _export(made: Made, path: Path) -> Path:
    import torch

    from exporters.graph import export_graph, save_graph

    example = {
        name: torch.from_numpy(np.repeat(value, 2, axis=0)) for name, value in made.sample.items()
    }
    (graph, *_) = save_graph(export_graph(made.module, example, made.outputs), path)
    return graph


def _image(height: int, width: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)


def resnet50() -> Made:
    from exporters.classification import ClassificationGraph
    from models.classification.network import Classifier
    from models.classification.spec import ClassifierSpec

    labels = tuple(f"class {index}" for index in range(1000))
    network = Classifier(ClassifierSpec(backbone="resnet50", labels=labels))
    return Made(
        ClassificationGraph(network).eval(),
        {"image": _image(224, 224)},
        ("logits", "probabilities"),
        128,
    )


def retinanet() -> Made:
    from exporters.detection_graph import DetectionGraph, Selection
    from models.backbones.spec import BackboneSpec
    from models.detection.families import build_detector
    from models.detection.retinanet.spec import RetinaNetSpec

    spec = RetinaNetSpec(
        labels=tuple(f"class {index}" for index in range(80)),
        backbone=BackboneSpec("resnet50"),
        input_size=(800, 800),
    )
    threshold = np.full((1, 1), 0.5, np.float32)
    return Made(
        DetectionGraph(build_detector(spec), Selection.of(spec, 1000)).eval(),
        {"image": _image(800, 800), "score_threshold": threshold, "iou_threshold": threshold},
        ("boxes", "scores", "labels", "count"),
        16,
    )


def mask2former() -> Made:
    from exporters.segmentation_graph import SegmentationGraph
    from models.backbones.spec import BackboneSpec
    from models.segmentation.network import Segmenter
    from models.segmentation.spec import SegmenterSpec

    spec = SegmenterSpec(
        labels=tuple(f"class {index}" for index in range(133)),
        is_thing=tuple(index < 80 for index in range(133)),
        backbone=BackboneSpec("swin_tiny_patch4_window7_224", {"img_size": (512, 512)}),
        normed_maps=True,
    )
    one = np.full((1,), 0.5, np.float32)
    return Made(
        SegmentationGraph(Segmenter(spec), spec, 4).eval(),
        {
            "image": _image(512, 512),
            "score_threshold": one,
            "overlap_threshold": one,
            "min_area": np.zeros(1, np.float32),
        },
        ("ids", "semantic", "labels", "scores", "areas", "boxes", "count"),
        16,
    )


def clip_vit_b32() -> Made:
    from exporters.clip import ImageGraph
    from models.backbones.spec import BackboneSpec
    from models.clip.network import ClipNetwork
    from models.clip.spec import ClipSpec, ImageSpec, TextSpec

    spec = ClipSpec(
        image=ImageSpec(backbone=BackboneSpec("vit_base_patch32_clip_224")),
        text=TextSpec(vocabulary=49408, length=77, dim=512, layers=12, heads=8),
        embed_dim=512,
    )
    return Made(
        ImageGraph(ClipNetwork(spec)).eval(), {"image": _image(224, 224)}, ("embedding",), 128
    )


def stable_diffusion_step() -> Made:
    from exporters.diffusion import StepGraph
    from models.clip.spec import TextSpec
    from models.diffusion.painter import Painter
    from models.diffusion.spec import AutoencoderSpec, PainterSpec, UNetSpec

    spec = PainterSpec(
        autoencoder=AutoencoderSpec(),
        unet=UNetSpec(),
        text=TextSpec(vocabulary=49408, length=77, dim=768, layers=12, heads=12),
    )
    chance = np.random.default_rng(0)
    latents = chance.standard_normal((1, 4, 64, 64), np.float32)
    words = chance.standard_normal((1, 77, 768), np.float32)
    return Made(
        StepGraph(Painter(spec)).eval(),
        {
            "latents": latents,
            "timestep": np.full(1, 500, np.float32),
            "cond": words,
            "uncond": words[:, ::-1].copy(),
            "guidance": np.full(1, 7.5, np.float32),
            "coefficients": np.full((1, 6), 0.5, np.float32),
            "previous": latents,
            "noise": latents,
        },
        ("next_latents", "clean"),
        16,
    )


Builders = Mapping[str, Callable[[], Made]]
LARGE: Builders = {
    "ResNet-50 224": resnet50,
    "RetinaNet R50 800": retinanet,
    "Mask2Former Swin-T 512": mask2former,
    "CLIP ViT-B-32 image": clip_vit_b32,
    "Stable Diffusion 1.x step 64x64": stable_diffusion_step,
}
