"""The servers that are compared, each in its own process with one model."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import Server, free_port, serving
from benchmarks.work import SENTENCE, body_of
from service.bundle import Bundle
from service.engine.compute import Compute
from service.load.request import Request, json_text, multipart, raw
from service.tasks.task import fit_of
from service.text.tokenizer import TEXT_ROLE


@dataclass(frozen=True)
class Subject:
    """A model to be served, the graph of it that is asked, and the picture to send to it."""

    bundle: Bundle
    repository: Path
    """A folder with this model only."""
    jpeg: bytes
    role: str

    @property
    def name(self) -> str:
        manifest = self.bundle.manifest
        return manifest.name if len(manifest.graphs) == 1 else f"{manifest.name}/{self.role}"

    @property
    def graph(self) -> Path:
        return self.bundle.file(self.bundle.manifest.graphs[self.role].file)


@dataclass(frozen=True)
class Running:
    server: Server
    request: Request


SERVE = "import typer; from service.commands.serve import serve; typer.run(serve)"
Contender = Callable[[Subject, Path], contextlib.AbstractContextManager[Running]]
"""Starts a server for a subject, its log going to the given folder."""


@contextlib.contextmanager
def panoptes(subject: Subject, logs: Path) -> Iterator[Running]:
    with panoptes_server([subject.repository], logs, PANOPTES_TEXT_CACHE_BYTES="0") as server:
        path = f"/{subject.bundle.manifest.task}"
        if subject.role == TEXT_ROLE:
            yield Running(server, json_text(server.port, path, SENTENCE))
        else:
            yield Running(server, raw(server.port, path, subject.jpeg))


@contextlib.contextmanager
def naive(subject: Subject, logs: Path) -> Iterator[Running]:
    port = free_port()
    size_px = str(fit_of(subject.bundle.manifest).width)
    command = [sys.executable, "-m", "benchmarks.naive", str(subject.graph), size_px, str(port)]
    with serving("naive FastAPI", command, port, health="/health", log=logs / "naive") as server:
        yield Running(server, multipart(port, "/predict", subject.jpeg))


@contextlib.contextmanager
def bare(subject: Subject, logs: Path) -> Iterator[Running]:
    port = free_port()
    folder = str(subject.bundle.folder)
    command = [sys.executable, "-m", "benchmarks.bare", folder, subject.role, str(port)]
    with serving("bare ASGI", command, port, health="/", log=logs / "bare") as server:
        body = body_of(subject.role, subject.jpeg)
        yield Running(server, Request(port, "/", "application/octet-stream", body))


def settings_of(compute: Compute) -> dict[str, str]:
    """Of a server that computes there."""
    return {
        "PANOPTES_DEVICE": compute.device,
        "PANOPTES_GPUS": str(list(compute.gpus)),
        "PANOPTES_GPU_SLOTS": str(compute.slots),
        "PANOPTES_ALLOW_CPU": str(compute.allow_cpu),
    }


def _serve() -> list[str]:
    """The command as it is installed, or as it lies here where nothing is installed."""
    installed = Path(sys.executable).with_name("panoptes")
    if installed.exists():
        return [str(installed), "serve"]
    return [sys.executable, "-c", SERVE]


@contextlib.contextmanager
def panoptes_server(repositories: list[Path], logs: Path, **settings: str) -> Iterator[Server]:
    """As people start it, but for settings. Without repositories it serves the starter pack."""
    port = free_port()
    command = [*_serve(), "--port", str(port)]
    for repository in repositories:
        command += ["--repository", str(repository)]
    with serving(
        "Panoptes", command, port, health="/readyz", log=logs / "panoptes", settings=settings
    ) as server:
        yield server
