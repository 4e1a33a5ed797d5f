"""`panoptes eval`: how good a checkpoint is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Measure a checkpoint.")

Checkpoint = Annotated[Path, typer.Argument(help="A checkpoint's folder, such as runs/x/best.")]
Out = Annotated[
    Path | None, typer.Option(help="Where report and pictures go; beside the checkpoint.")
]
Split = Annotated[str | None, typer.Option(help="train, val or test; test if the data has it.")]
Scenes = Annotated[
    int | None, typer.Option(min=1, help="So many scenes of the world, not the recipe's.")
]
Device = Annotated[str, typer.Option(help="Where to run: cpu or cuda.")]


@contextmanager
def reported(checkpoint: Path, out: Path | None) -> Iterator[Path]:
    """The folder of the report, which is told in the end; or what is wrong, in a sentence."""
    from models.training.checkpoint import CheckpointError

    target = out or checkpoint.with_name(f"{checkpoint.name}-evaluation")
    try:
        yield target
    except (CheckpointError, ValueError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
    typer.echo(f"report and pictures: {target}")


@app.callback()
def evaluate() -> None:
    """Measure a checkpoint."""


@app.command()
def classifier(
    checkpoint: Checkpoint,
    out: Out = None,
    split: Split = None,
    folder: Annotated[
        Path | None, typer.Option(help="Another image folder with the same classes.")
    ] = None,
    scenes: Scenes = None,
) -> None:
    """Top-1, top-5, calibration error, the confusion picture and the worst mistakes."""
    from models.classification.evaluation import evaluate_classifier

    with reported(checkpoint, out) as target:
        report = evaluate_classifier(
            checkpoint, out=target, split=split, folder=folder, scenes=scenes
        )
        typer.echo(f"{report['data']}: {report['samples']} images")
        for name in ("top1", "top5", "ece", "loss"):
            typer.echo(f"  {name:5} {report[name]:.4f}")


@app.command()
def detector(
    checkpoint: Checkpoint,
    out: Out = None,
    split: Split = None,
    images: Annotated[
        Path | None, typer.Option(help="Another image folder; give its annotations too.")
    ] = None,
    annotations: Annotated[Path | None, typer.Option(help="A JSON file in COCO's format.")] = None,
    device: Device = "cpu",
) -> None:
    """COCO's average precision, precision-recall curves and the images with the worst mistakes."""
    from models.detection.evaluation import evaluate_detector

    with reported(checkpoint, out) as target:
        report = evaluate_detector(
            checkpoint,
            split=split,
            images=images,
            annotations=annotations,
            out=target,
            device=device,
        )
        typer.echo(f"{report['data']}: {report['samples']} images, {report['objects']} objects")
        for name in ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR"):
            value = report[name]
            typer.echo(f"  {name:9} " + ("-" if value is None else f"{value:.4f}"))


@app.command()
def depth(
    checkpoint: Checkpoint,
    out: Out = None,
    split: Split = None,
    folder: Annotated[
        Path | None, typer.Option(help="A stereo folder with depth, not the recipe's data.")
    ] = None,
    scenes: Scenes = None,
    device: Device = "cpu",
) -> None:
    """Depth errors with and without median scaling, and sheets of what was seen and answered."""
    from models.depth.evaluation import evaluate_depth

    with reported(checkpoint, out) as target:
        report = evaluate_depth(
            checkpoint, split=split, folder=folder, scenes=scenes, out=target, device=device
        )
        typer.echo(f"{report['data']}: {report['samples']} images")
        ways = {
            "": "each pair's camera",
            "spec_": "the network's camera",
            "scaled_": "median scaled",
        }
        names = ("abs_rel", "sq_rel", "rmse", "rmse_log", "d1", "d2", "d3")
        typer.echo(" " * 22 + "".join(f"{name:>9}" for name in names))
        for prefix, way in ways.items():
            if f"{prefix}abs_rel" in report:
                values = "".join(f"{report[prefix + name]:9.4f}" for name in names)
                typer.echo(f"  {way:20}{values}")


@app.command()
def clip(
    checkpoint: Checkpoint,
    out: Out = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    pairs: Annotated[
        Path | None, typer.Option(help="Images with texts of your own, not the recipe's data.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="An image folder; its classes are the names to choose from.")
    ] = None,
    template: Annotated[
        list[str] | None, typer.Option(help='As "a photo of a {}"; several are averaged.')
    ] = None,
    captions: Annotated[
        int, typer.Option(min=2, help="Among how many captions that differ to search.")
    ] = 500,
    device: Device = "cpu",
) -> None:
    """Zero-shot top-1 and top-5 over names, recall both ways, and a picture of retrievals."""
    from models.clip.evaluation import evaluate_clip

    with reported(checkpoint, out) as target:
        report = evaluate_clip(
            checkpoint,
            split=split,
            pairs=pairs,
            classes=classes,
            templates=template or (),
            captions=captions,
            out=target,
            device=device,
        )
        if "zero_shot" in report:
            found = report["zero_shot"]
            typer.echo(f"{found['data']}: {found['images']} images, {found['names']} names")
            typer.echo(f"  top-1 {found['top1']:.4f}  top-5 {found['top5']:.4f}")
        if "retrieval" in report:
            found = report["retrieval"]
            typer.echo(f"{found['data']}: the first {found['captions']} captions that differ")
            for way in ("text_to_image", "image_to_text"):
                ranks = "  ".join(f"@{rank} {found[f'{way}_{rank}']:.4f}" for rank in (1, 5, 10))
                typer.echo(f"  {way.replace('_', ' '):14} recall {ranks}")


@app.command()
def painter(
    checkpoint: Checkpoint,
    detector: Annotated[
        Path, typer.Option(help="The checkpoint of a detector of the tabletop world.")
    ],
    classifier: Annotated[Path, typer.Option(help="And of a classifier of its close-ups.")],
    prompts: Annotated[int, typer.Option(min=8, help="So many captions of unseen scenes.")] = 500,
    sampler: Annotated[str, typer.Option(help="ddpm, ddim, euler or dpm++.")] = "dpm++",
    steps: Annotated[int, typer.Option(min=1, help="Of the sampler.")] = 20,
    guidance: Annotated[float, typer.Option(help="1 is none.")] = 4.0,
    sheet: Annotated[
        list[str] | None,
        typer.Option(help="A prompt to draw with several seeds in sheet.png; may be repeated."),
    ] = None,
    out: Out = None,
    device: Device = "cpu",
) -> None:
    """Paint captions, and let a detector and a classifier look whether they came true."""
    from models.diffusion.evaluation import evaluate_painter

    with reported(checkpoint, out) as target:
        report = evaluate_painter(
            checkpoint,
            detector=detector,
            classifier=classifier,
            prompts=prompts,
            sampler=sampler,
            steps=steps,
            guidance=guidance,
            sheet=sheet or (),
            out=target,
            device=device,
        )
        typer.echo(f"{report['prompts']} captions of: {report['data']}")
        typer.echo(" " * 12 + "".join(f"{name:>10}" for name in ("painted", "rebuilt", "real")))
        for name in ("true_one", "true_more", "true", "shapes", "colours", "count"):
            values = (report.get(f"{prefix}{name}") for prefix in ("", "rebuilt_", "real_"))
            shown = "".join(f"{'-' if v is None else f'{v:.3f}':>10}" for v in values)
            typer.echo(f"  {name:10}{shown}")
        for name in ("frechet", "precision", "recall"):
            typer.echo(f"  {name:10}{report[name]:10.3f}")


@app.command()
def segmenter(
    checkpoint: Checkpoint,
    out: Out = None,
    split: Split = None,
    images: Annotated[
        Path | None, typer.Option(help="Another image folder; give the next two as well.")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="A JSON file in COCO's panoptic format.")
    ] = None,
    segments: Annotated[Path | None, typer.Option(help="The folder of its PNGs.")] = None,
    scenes: Scenes = None,
    score_threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of a segment that is shown.")
    ] = 0.8,
    overlap_threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of its mask that a segment must keep.")
    ] = 0.8,
    device: Device = "cpu",
) -> None:
    """Panoptic quality, mask AP, mean IoU, and sheets of images beside truth and answer."""
    from models.segmentation.evaluation import evaluate_segmenter
    from models.segmentation.recipe import PanopticSplit
    from models.segmentation.segmenting import Shown

    paths = [str(path) for path in (images, annotations, segments) if path is not None]
    with reported(checkpoint, out) as target:
        if len(paths) not in (0, 3):
            raise ValueError("--images, --annotations and --segments go together")
        report = evaluate_segmenter(
            checkpoint,
            split=split,
            panoptic=PanopticSplit(*paths) if paths else None,
            scenes=scenes,
            shown=Shown(score_threshold, overlap_threshold),
            out=target,
            device=device,
        )
        typer.echo(f"{report['data']}: {report['samples']} images")
        typer.echo(f"{'':12}{'PQ':>8}{'SQ':>8}{'RQ':>8}")
        for suffix, what in (("", "all"), ("_th", "things"), ("_st", "stuff")):
            values = [report[f"{name}{suffix}"] for name in ("PQ", "SQ", "RQ")]
            row = "".join("       -" if value is None else f"{value:8.4f}" for value in values)
            typer.echo(f"  {what:10}{row}")
        for name in ("mask_AP", "mask_AP50", "mIoU", "pixel_accuracy"):
            value = report[name]
            typer.echo(f"  {name:15}" + ("-" if value is None else f"{value:.4f}"))
