"""`panoptes import`: from a published checkpoint to a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from exporters.detection_data import UnseenImages
    from models.detection import DetectorSpec

app = typer.Typer(no_args_is_help=True, help="Turn a published checkpoint into a bundle.")

Source = Annotated[
    str,
    typer.Argument(
        help="A .safetensors or .pth file, a folder with one, or a published name to fetch."
    ),
]
Name = Annotated[str, typer.Option(help="What the model is called in its URL.")]
Version = Annotated[
    int | None, typer.Option(min=1, help="A whole number; the next free one if not given.")
]
Repository = Annotated[Path, typer.Option(help="The folder that holds <model>/<version>/.")]
HalfOrFull = Annotated[Literal["fp32", "fp16"], typer.Option(help="fp16 halves the file.")]
Size = Annotated[
    str | None, typer.Option(metavar="HxW", help="Of the input in pixels, such as 480x640.")
]
Licence = Annotated[str, typer.Option(help="Of the weights, as an SPDX name.")]


@app.callback()
def import_() -> None:
    """Turn a published checkpoint into a bundle. Nothing in the file is ever run."""


@app.command()
def detector(
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
    repository: Repository = Path("bundles"),
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
    candidates: Annotated[
        int, typer.Option(min=1, max=2000, help="How many go into suppression, if there is any.")
    ] = 1000,
    score_threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Which a request may override.")
    ] = 0.5,
    max_batch: Annotated[int, typer.Option(min=1, max=4096, help="The largest batch.")] = 16,
    licence: Licence = "NOASSERTION",
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
    from exporters.commands.summary import show_written
    from exporters.detection import DetectorOptions, export_detector
    from exporters.detection_data import SCENES
    from exporters.errors import ExportError
    from models.detection import save_detector

    console = Console()
    with _told_errors():
        if (images is None) != (annotations is None):
            raise ExportError("--images and --annotations go together")
        network, spec = convert_detector(
            read_weights(source),
            read_classes(labels),
            layout=layout,
            size=_read_size(size or "640x640"),
            batchnorm_eps=batchnorm_eps,
        )
        metadata = {"provenance": {"source": _origin(source, layout)}}
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
    show_written(exported.written, exported.original_parity, console)
    console.print(f"golden inputs with {exported.golden_detections} detections")
    if exported.figures:
        console.print(", ".join(f"{name} {v:.4f}" for name, v in exported.figures.items()))


@app.command()
def classifier(
    source: Source,
    backbone: Annotated[
        str, typer.Option(help="timm's name, with the tag if it has one: resnet50.a1_in1k.")
    ],
    name: Name,
    labels: Annotated[
        str, typer.Option(metavar="FILE", help="One label a line, in order; or 'imagenet'.")
    ] = "imagenet",
    size: Size = None,
    version: Version = None,
    repository: Repository = Path("bundles"),
    precision: HalfOrFull = "fp32",
    max_batch: Annotated[int, typer.Option(min=1, max=4096, help="The largest batch.")] = 64,
    licence: Licence = "NOASSERTION",
) -> None:
    """Import a classifier of timm, or of torchvision where timm builds the same network."""
    from rich.console import Console

    from exporters.checkpoints.classifiers import LAYOUT, convert_classifier, read_labels
    from exporters.checkpoints.files import read_weights
    from exporters.classification import ClassifierOptions, export_classifier
    from exporters.commands.summary import show_written

    with _told_errors():
        network, spec = convert_classifier(
            read_weights(source),
            read_labels(labels),
            backbone=backbone,
            size=_read_size(size) if size else None,
        )
        options = ClassifierOptions(
            name=name, version=version, precision=precision, licence=licence, max_batch=max_batch
        )
        # Where its weights came from is what a classifier's card says of its origin.
        spec = replace(spec, pretrained=_origin(source, LAYOUT))
        exported = export_classifier(network, spec, {}, repository, options)
    show_written(exported.written, exported.original_parity, Console())


def _read_photographs(
    images: Path | None, annotations: Path | None, spec: DetectorSpec, count: int
) -> UnseenImages | None:
    """At most `count` of the annotated images; none without both."""
    import torch

    from exporters.detection_data import UnseenImages
    from exporters.errors import ExportError
    from models.data.coco import CocoFormatError, CocoImages

    if images is None or annotations is None:
        return None
    try:
        found = CocoImages(images, annotations, spec.labels)
    except (CocoFormatError, OSError) as error:
        raise ExportError(f"the photographs cannot be read: {error}") from error
    drawn = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))[:count]
    told = f", {count} drawn by seed 0" if count < len(found) else ""
    return UnseenImages(found, drawn.sort().values, found.description + told)


def _origin(source: str, layout: str) -> str:
    """Where the weights come from, without the folders of this machine."""
    path = Path(source).expanduser()
    return f"{path.name if path.exists() else source}, {layout}"


def _read_size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not HEIGHTxWIDTH", param_hint="--size")
    return int(height), int(width)


@contextmanager
def _told_errors() -> Iterator[None]:
    """What is wrong with the file, the labels or the export, without a traceback."""
    from exporters.errors import ExportError

    try:
        yield
    except ExportError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
