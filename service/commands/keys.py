"""`panoptes keys`: make a key for a caller."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

app = typer.Typer(help="Keys for those who may call the server.", no_args_is_help=True)


class ScopeName(enum.StrEnum):
    INFER = "infer"
    ADMIN = "admin"


@app.callback()
def keys() -> None:
    """Keys for those who may call the server."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who it is for, such as cameras")],
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(help="What it may do; may be given again [infer]"),
    ] = None,
    per_minute: Annotated[int | None, typer.Option(min=1, help="Requests a minute")] = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="Requests at the same time")] = None,
) -> None:
    """Make a key. It is shown once; the server keeps its hash only.

    Append the output to the file that PANOPTES_API_KEYS_FILE names, and send SIGHUP.
    """
    from service.access.keys import hash_key, make_key

    if not all(part.isalnum() for part in name.replace("-", "_").split("_")):
        raise typer.BadParameter("letters, digits, - and _ only", param_hint="NAME")
    key = make_key()
    typer.secho(f"The key, which is not shown again: {key}", err=True, fg="green")
    scopes = ", ".join(f'"{each}"' for each in scope or [ScopeName.INFER])
    limits = {"per_minute": per_minute, "at_once": at_once}
    lines = [f"[{name}]", f'sha256 = "{hash_key(key)}"', f"scopes = [{scopes}]"]
    lines += [f"{limit} = {value}" for limit, value in limits.items() if value is not None]
    typer.echo("\n".join(lines))
