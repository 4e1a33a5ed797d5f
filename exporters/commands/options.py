"""What the commands of all families have in common: their options, and how errors are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

T = TypeVar("T")

Checkpoint = Annotated[Path, typer.Argument(help="A checkpoint's folder, such as runs/x/best.")]
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
HalfOrFull = Annotated[
    Literal["fp32", "fp16", "fp16-compute"],
    typer.Option(help="fp16 halves the file; fp16-compute halves the work of a GPU too."),
]
MaxBatch = Annotated[int, typer.Option(min=1, max=4096, help="The largest batch.")]
Licence = Annotated[str, typer.Option(help="Of the weights, as an SPDX name.")]
Size = Annotated[
    str | None, typer.Option(metavar="HxW", help="Of the input in pixels, such as 480x640.")
]
ScoreThreshold = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Which a request may override.")
]

BUNDLES = Path("bundles")
OUR_LICENCE = "Apache-2.0"
UNKNOWN_LICENCE = "NOASSERTION"


def read_size(text: str) -> tuple[int, int]:
    """Height and width in pixels."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not HEIGHTxWIDTH", param_hint="--size")
    return int(height), int(width)


def origin_of(source: str, layout: str) -> str:
    """Where imported weights come from, without the folders of this machine."""
    path = Path(source).expanduser()
    return f"{path.name if path.exists() else source}, {layout}"


def open_checkpoint(load: Callable[[Path], T], folder: Path) -> T:
    """What a family reads from a checkpoint's folder."""
    from exporters.errors import CheckpointError
    from models.training.checkpoint import CheckpointError as UnreadableCheckpoint

    try:
        return load(folder)
    except (UnreadableCheckpoint, KeyError, ValueError) as error:
        raise CheckpointError(str(error)) from error


@contextmanager
def told_errors() -> Iterator[None]:
    """What is wrong with the checkpoint, the data or the export, without a traceback."""
    from exporters.errors import ExportError

    try:
        yield
    except ExportError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
