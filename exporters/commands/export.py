"""`panoptes export`: from a checkpoint to a bundle."""

from __future__ import annotations

import typer

from exporters.commands import classification, clip, depth, detection, diffusion, segmentation

app = typer.Typer(no_args_is_help=True, help="Turn a checkpoint into a bundle.")


@app.callback()
def export() -> None:
    """Turn a checkpoint into a bundle that the server serves."""


app.command("classifier")(classification.export)
app.command("detector")(detection.export)
app.command("depth")(depth.export)
app.command("segmenter")(segmentation.export)
app.command("clip")(clip.export)
app.command("painter")(diffusion.export)
