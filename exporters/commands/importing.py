"""`panoptes import`: from a published checkpoint to a bundle."""

from __future__ import annotations

import typer

from exporters.commands import classification, clip, depth, detection, diffusion, segmentation

app = typer.Typer(no_args_is_help=True, help="Turn a published checkpoint into a bundle.")


@app.callback()
def import_() -> None:
    """Turn a published checkpoint into a bundle. Nothing in the file is ever run."""


app.command("classifier")(classification.import_)
app.command("detector")(detection.import_)
app.command("depth")(depth.import_)
app.command("segmenter")(segmentation.import_)
app.command("clip")(clip.import_)
app.command("painter")(diffusion.import_)
