"""`panoptes export detector` and `panoptes import detector`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from exporters.commands.options import (
    BUNDLES,
    OUR_LICENCE,
    UNKNOWN_LICENCE,
    Checkpoint,
    HalfOrFull,
    Licence,
    MaxBatch,
    Name,
    Repository,
    ScoreThreshold,
    Size,
    Source,
    Version,
    open_checkpoint,
    origin_of,
    read_size,
    told_errors,
)

if TYPE_CHECKING:
    from rich.console import Console

    from exporters.detection import ExportedDetector
    from exporters.detection_data import UnseenImages
    from models.detection import DetectorSpec

Candidates = Annotated[
    int, typer.Option(min=1, max=2000, help="How many go into suppression, if there is any.")
]


def export(
    checkpoint: Checkpoint,
    name: Name,
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp32",
    evaluate: Annotated[
        int, typer.Option(min=0, help="On at most so many images that training has not seen.")
    ] = 1000,
    candidates: Candidates = 256,
    score_threshold: ScoreThreshold = 0.3,
    max_batch: MaxBatch = 32,
    licence: Licence = OUR_LICENCE,
) -> None:
    """Export a detector: prove it equal to PyTorch, measure COCO's average precision as exported.

    The images are the test split of the recipe that trained the checkpoint. With --evaluate 0 the
    bundle is proven on its scenes all the same, if there are any.
    """
    from rich.console import Console

    from exporters.detection import DetectorOptions, export_detector
    from exporters.detection_data import SCENES, read_unseen
    from models.detection import load_detector

    console = Console()
    with told_errors():
        network, spec, metadata = open_checkpoint(load_detector, checkpoint)
        unseen = read_unseen(spec, metadata, count=evaluate or SCENES, progress=console.is_terminal)
        options = DetectorOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            candidates=candidates,
            score_threshold=score_threshold,
            scenes=unseen.pixels(spec, 0, SCENES),
            evaluation=unseen if evaluate else None,
        )
        exported = export_detector(network, spec, metadata, repository, options)
    _summarise(exported, console)


def import_(
    source: Source,
    layout: Annotated[
        Literal["torchvision-retinanet", "torchvision-fasterrcnn", "hf-detr"],
        typer.Option(help="Whose names the file's tensors have."),
    ],
    name: Name,
    labels: Annotated[
        str, typer.Option(metavar="FILE", help="One class a line, in order; or 'coco'.")
    ] = "coco",
    size: Size = "640x640",
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp32",
    batchnorm_eps: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Of the frozen BatchNorms; that of the published weights if not given."
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Photographs to prove and measure the graph on.")
    ] = None,
    annotations: Annotated[Path | None, typer.Option(help="Their boxes, in COCO's format.")] = None,
    evaluate: Annotated[int, typer.Option(min=0, help="On at most so many of them.")] = 1000,
    candidates: Candidates = 1000,
    score_threshold: ScoreThreshold = 0.5,
    max_batch: MaxBatch = 16,
    licence: Licence = UNKNOWN_LICENCE,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Also keep the weights there, to train from.")
    ] = None,
) -> None:
    """Import a detector of torchvision or Hugging Face, and prove the graph equal to it.

    Golden inputs come from the images, if there are any. Else they are synthetic, and show that
    the graph computes the same, but little of what it finds.
    """
    from rich.console import Console

    from exporters.checkpoints.classes import read_classes
    from exporters.checkpoints.detectors import convert_detector
    from exporters.checkpoints.files import read_weights
    from exporters.detection import DetectorOptions, export_detector
    from exporters.detection_data import SCENES
    from exporters.errors import ExportError
    from models.detection import save_detector

    console = Console()
    with told_errors():
        if (images is None) != (annotations is None):
            raise ExportError("--images and --annotations go together")
        network, spec = convert_detector(
            read_weights(source),
            read_classes(labels),
            layout=layout,
            size=read_size(size or "640x640"),
            batchnorm_eps=batchnorm_eps,
        )
        metadata = {"provenance": {"source": origin_of(source, layout)}}
        if checkpoint is not None:
            save_detector(checkpoint, spec, network.state_dict(), metadata)
            console.print(f"the weights are in {checkpoint}, to train from", soft_wrap=True)
        unseen = _read_photographs(images, annotations, spec, evaluate or SCENES)
        options = DetectorOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            candidates=candidates,
            score_threshold=score_threshold,
            scenes=unseen.pixels(spec, 0, SCENES) if unseen else None,
            evaluation=unseen if evaluate else None,
        )
        exported = export_detector(network, spec, metadata, repository, options)
    _summarise(exported, console)


def _read_photographs(
    images: Path | None, annotations: Path | None, spec: DetectorSpec, count: int
) -> UnseenImages | None:
    """At most `count` of the annotated images; none without both."""
    from exporters.detection_data import UnseenImages
    from exporters.errors import ExportError
    from exporters.unseen import draw
    from models.data.coco import CocoFormatError, CocoImages

    if images is None or annotations is None:
        return None
    try:
        found = CocoImages(images, annotations, spec.labels)
    except (CocoFormatError, OSError) as error:
        raise ExportError(f"the photographs cannot be read: {error}") from error
    return UnseenImages(found, *draw(len(found), count, found.description))


def _summarise(exported: ExportedDetector, console: Console) -> None:
    from exporters.commands.summary import show_exported, show_figures

    show_exported(exported, console)
    console.print(f"golden inputs with {exported.golden_detections} detections")
    show_figures(exported, console)
