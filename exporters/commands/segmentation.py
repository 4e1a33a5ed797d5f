"""`panoptes export segmenter` and `panoptes import segmenter`."""

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

    from exporters.segmentation import ExportedSegmenter
    from exporters.segmentation_data import UnseenSegments
    from models.segmentation import SegmenterSpec

MapStride = Annotated[
    int, typer.Option(min=1, max=32, help="Pixels along a side of a cell of the map.")
]
Overlap = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Of its mask that a segment must keep.")
]
MinArea = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Of the map that a segment must fill.")
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
    map_stride: MapStride = 4,
    score_threshold: ScoreThreshold = 0.8,
    overlap_threshold: Overlap = 0.8,
    min_area: MinArea = 0.0,
    max_batch: MaxBatch = 16,
    licence: Licence = OUR_LICENCE,
) -> None:
    """Export a segmenter: prove it equal to PyTorch, measure panoptic quality as exported.

    The images are the test split of the recipe that trained the checkpoint. With --evaluate 0 the
    bundle is proven on some of them all the same.
    """
    from rich.console import Console

    from exporters.segmentation import SegmenterOptions, export_segmenter
    from exporters.segmentation_data import SCENES, read_unseen_segments
    from models.segmentation import load_segmenter

    console = Console()
    with told_errors():
        network, spec, metadata = open_checkpoint(load_segmenter, checkpoint)
        unseen = read_unseen_segments(
            spec, metadata, count=evaluate or SCENES, progress=console.is_terminal
        )
        options = SegmenterOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            map_stride=map_stride,
            score_threshold=score_threshold,
            overlap_threshold=overlap_threshold,
            min_area=min_area,
            scenes=unseen.pixels(spec, 0, SCENES),
            evaluation=unseen if evaluate else None,
        )
        exported = export_segmenter(network, spec, metadata, repository, options)
    _summarise(exported, console)


def import_(
    source: Source,
    name: Name,
    layout: Annotated[
        Literal["hf-mask2former"], typer.Option(help="Whose names the file's tensors have.")
    ] = "hf-mask2former",
    labels: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="One class a line, in order, stuff with a tab and 'stuff' behind it; "
            "or 'coco-panoptic'.",
        ),
    ] = "coco-panoptic",
    size: Size = "672x672",
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp32",
    images: Annotated[
        Path | None, typer.Option(help="Photographs to prove and measure the graph on.")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Their segments, in COCO's panoptic format.")
    ] = None,
    segments: Annotated[Path | None, typer.Option(help="The PNGs of that format.")] = None,
    evaluate: Annotated[int, typer.Option(min=0, help="On at most so many of them.")] = 1000,
    map_stride: MapStride = 4,
    score_threshold: ScoreThreshold = 0.8,
    overlap_threshold: Overlap = 0.8,
    min_area: MinArea = 0.0,
    max_batch: MaxBatch = 8,
    licence: Licence = UNKNOWN_LICENCE,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Also keep the weights there, to train from.")
    ] = None,
) -> None:
    """Import a Mask2Former of Hugging Face, and prove the graph equal to it.

    Golden inputs come from the images, if there are any. Else they are synthetic, and show that
    the graph computes the same, but little of what it finds.
    """
    from rich.console import Console

    from exporters.checkpoints.files import read_weights
    from exporters.checkpoints.hf_mask2former import convert_segmenter
    from exporters.checkpoints.segment_classes import read_segment_classes
    from exporters.segmentation import SegmenterOptions, export_segmenter
    from exporters.segmentation_data import SCENES
    from models.segmentation import save_segmenter

    console = Console()
    with told_errors():
        network, spec = convert_segmenter(
            read_weights(source),
            read_segment_classes(labels),
            size=read_size(size or "672x672"),
        )
        metadata = {"provenance": {"source": origin_of(source, layout)}}
        if checkpoint is not None:
            save_segmenter(checkpoint, spec, network.state_dict(), metadata)
            console.print(f"the weights are in {checkpoint}, to train from", soft_wrap=True)
        unseen = _read_photographs((images, annotations, segments), spec, evaluate or SCENES)
        options = SegmenterOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            map_stride=map_stride,
            score_threshold=score_threshold,
            overlap_threshold=overlap_threshold,
            min_area=min_area,
            scenes=unseen.pixels(spec, 0, SCENES) if unseen else None,
            evaluation=unseen if evaluate else None,
        )
        exported = export_segmenter(network, spec, metadata, repository, options)
    _summarise(exported, console)


def _read_photographs(
    paths: tuple[Path | None, Path | None, Path | None], spec: SegmenterSpec, count: int
) -> UnseenSegments | None:
    """At most `count` of the annotated images; none if nothing is given."""
    from exporters.errors import ExportError
    from exporters.segmentation_data import UnseenSegments
    from exporters.unseen import draw
    from models.data.panoptic_coco import CocoPanoptic

    images, annotations, segments = paths
    if images is None and annotations is None and segments is None:
        return None
    if images is None or annotations is None or segments is None:
        raise ExportError("--images, --annotations and --segments go together")
    try:
        found = CocoPanoptic(images, annotations, segments, spec.labels)
    except (ValueError, OSError) as error:
        raise ExportError(f"the photographs cannot be read: {error}") from error
    return UnseenSegments(found, *draw(len(found), count, found.description))


def _summarise(exported: ExportedSegmenter, console: Console) -> None:
    from exporters.commands.summary import show_exported, show_figures

    show_exported(exported, console)
    console.print(f"golden inputs with {exported.golden_segments} segments")
    show_figures(exported, console)
