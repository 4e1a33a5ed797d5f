"""`panoptes serve`: start the server and say what it serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.settings import STARTER_PACK

if TYPE_CHECKING:
    from service.protocols.serving import Serving


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [8000]")] = None,
    repository: Annotated[
        list[str] | None,
        typer.Option(help="Folder or URL with bundles; may be given again [the starter pack]"),
    ] = None,
    with_starter: Annotated[
        bool, typer.Option(help="Serve the starter pack beside the given repositories")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Worker threads [one a core]")] = None,
    device: Annotated[
        str | None, typer.Option(help="Compute on cpu, cuda or tensorrt [cpu]")
    ] = None,
    gpus: Annotated[str | None, typer.Option(help="Which GPUs, such as 0,1 [0]")] = None,
    admin: Annotated[
        bool | None, typer.Option(help="Allow POST /models/… to load and unload")
    ] = None,
) -> None:
    """Serve models over HTTP. Every other setting is PANOPTES_… in the environment."""
    # Here and not above: `panoptes --help` need not load a web server.
    from service.app import create_app
    from service.engine.compute import KINDS, ComputeError
    from service.server import make_server
    from service.settings import Settings
    from service.telemetry.logs import set_up_logs

    given: dict[str, Any] = {"host": host, "port": port, "workers": workers, "admin": admin}
    if repository:
        missing = [r for r in repository if "://" not in r and not Path(r).is_dir()]
        if missing:
            raise typer.BadParameter(f"{missing[0]} is not a folder", param_hint="--repository")
        given["repositories"] = (*repository, *([str(STARTER_PACK)] if with_starter else []))
    if device is not None and device not in KINDS:
        raise typer.BadParameter(f"{device} is none of {', '.join(KINDS)}", param_hint="--device")
    given |= {"device": device, "gpus": _numbers(gpus)}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    set_up_logs(settings.log_format, settings.log_level)
    try:
        app = create_app(settings)
    except ComputeError as error:
        typer.echo(f"panoptes: --device {settings.device}: {error}", err=True)
        raise typer.Exit(1) from None
    server = make_server(app, settings, on_ready=lambda url: _announce(app.serving, url))
    server.run()


def _numbers(text: str | None) -> tuple[int, ...] | None:
    """Of `0,1`."""
    if text is None:
        return None
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise typer.BadParameter(f"{text!r} is no list of numbers", param_hint="--gpus")
    return tuple(int(part) for part in text.split(","))


def _announce(serving: Serving, url: str) -> None:
    """For the person at the terminal: what is served, and where to click."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True, highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    for entry in serving.registry.entries():
        if entry.model is None:
            table.add_row("[red]not served", str(entry.ref), entry.reason)
            continue
        manifest = entry.model.bundle.manifest
        table.add_row(f"[bold]POST /{manifest.task}", str(entry.ref), manifest.summary)
    console.print(table)
    for problem in serving.registry.problems:
        console.print(f"[red]{problem}")
    state = "ready" if any(serving.registry.ready()) else "running, but serves nothing"
    console.print(f"\n[bold]Panoptes is {state}:[/] open [link={url}]{url}[/link]\n")
