"""`panoptes bench`: what a running server answers, how soon, and what it refuses."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from service.load.latency import Report
    from service.load.request import Request


def bench(
    url: Annotated[str, typer.Argument(help="Such as http://localhost:8000/detect")],
    file: Annotated[Path | None, typer.Argument(help="What to send: an image, or JSON")] = None,
    json: Annotated[str | None, typer.Option(help="The body itself, in place of a file")] = None,
    clients: Annotated[
        list[int] | None,
        typer.Option("--clients", "-c", min=1, help="How many ask at once [1, 8, 32]"),
    ] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(min=0.01, help="Instead: requests a second, whoever is answered or not"),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=0.1)] = 5.0,
    deadline_ms: Annotated[int, typer.Option(min=0, help="X-Deadline-Ms; 0 sends none")] = 0,
    key: Annotated[str, typer.Option(envvar="PANOPTES_KEY", help="An API key")] = "",
) -> None:
    """Send one request over and over, and say what became of it.

    With --clients each asks again as soon as it is answered, which finds the capacity. With --rate
    requests arrive at random (Poisson) at that rate and their latency counts from when they were
    due: what users would see. Both may be given several times.
    """
    from service.load.generator import Plan, generate

    request = _request(url, file, json, key)
    plans = [
        Plan(request, seconds, rate_per_s=each, deadline_ms=deadline_ms) for each in rate or ()
    ]
    if not plans:
        plans = [
            Plan(request, seconds, concurrency=each, deadline_ms=deadline_ms)
            for each in clients or (1, 8, 32)
        ]
    reports = []
    for plan in plans:
        said = f"{plan.rate_per_s:g}/s" if plan.rate_per_s else f"{plan.concurrency} clients"
        typer.echo(f"{said}, {seconds:g} s \u2026", err=True)
        reports.append((said, generate(plan)))
    _show(request, reports)
    if not any(report.answered for _, report in reports):
        raise typer.Exit(1)


def _request(url: str, file: Path | None, json: str | None, key: str) -> Request:
    from service.load.request import Request

    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise typer.BadParameter("an http:// URL with a path", param_hint="URL")
    if (file is None) == (json is None):
        raise typer.BadParameter("give a file or --json, and not both", param_hint="FILE")
    if json is not None:
        kind, body = "application/json", json.encode()
    else:
        assert file is not None
        if not file.is_file():
            raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        body = file.read_bytes()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Request(parts.port or 80, path, kind, body, headers, parts.hostname)


def _show(request: Request, reports: list[tuple[str, Report]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "answered/s", "p50 ms", "p99 ms", "max ms", "refused", "failed", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for said, report in reports:
        latency = report.answered_ms or {"p50": 0.0, "p99": 0.0, "max": 0.0}
        failed = report.failed + report.lost
        table.add_row(
            said,
            f"{report.answered_per_s:.1f}",
            *(f"{latency[name]:.1f}" for name in ("p50", "p99", "max")),
            str(report.refused + report.expired),
            f"[red]{failed}[/]" if failed else "0",
        )
    console = Console()
    console.print(f"POST {request.url}, {len(request.body):,} bytes", highlight=False)
    console.print(table)
    console.print("Measured from this machine, whose cores the client shares.", style="dim")
