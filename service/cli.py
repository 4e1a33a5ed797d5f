"""The command `panoptes`. Each installed package brings its subcommands by entry points."""

from __future__ import annotations

import importlib.metadata
import sys

import typer

GROUP = "panoptes.commands"
OURS = ("service", "models", "exporters")


def main() -> None:
    try:
        build()()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OURS:
            raise
        sys.exit(f"panoptes: this command needs {error.name}; pip install 'panoptes[train]' has it")


def build() -> typer.Typer:
    """The command with all subcommands that are installed."""
    app = typer.Typer(
        help="One server that sees and paints, and the toolchain that fills it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: e.name):
        command = entry.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(entry.name)(command)
    return app
