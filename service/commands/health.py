"""`panoptes health`: ask the server of this container how it is, as a health check does."""

from __future__ import annotations

import http.client
from typing import Annotated

import typer

EVERYWHERE = ("0.0.0.0", "::", "")


def health(
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask whether its models answer, not only the process")
    ] = False,
    timeout_s: Annotated[float, typer.Option(help="How long it may take to answer")] = 5.0,
) -> None:
    """Ask a running server how it is, where PANOPTES_HOST and PANOPTES_PORT say that it listens.

    Ends with 0 if it is well and with 1 if not.
    """
    from service.settings import Settings

    settings = Settings()
    host = "localhost" if settings.host in EVERYWHERE else settings.host
    connection = http.client.HTTPConnection(host, settings.port, timeout=timeout_s)
    try:
        connection.request("GET", "/readyz" if ready else "/livez")
        answer = connection.getresponse()
        said = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        typer.echo(f"no answer from {host}:{settings.port}: {error}", err=True)
        raise typer.Exit(1) from None
    finally:
        connection.close()
    typer.echo(said)
    if answer.status != 200:
        raise typer.Exit(1)
