"""How soon the server is ready with what it ships, and how much memory it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.closed import client
from benchmarks.contenders import panoptes_server
from benchmarks.results import Footprint
from service.bundle import read_manifest
from service.bundle.repository import FolderRepository
from service.engine.rest import LOOK_S
from service.load.request import raw
from service.settings import STARTER_PACK
from service.tasks import IMAGE_TASKS

CONCURRENCY = 8


def footprint(stand_ins: Sequence[Path], jpeg: bytes, logs: Path, *, load_s: float) -> Footprint:
    """`stand_ins` are repositories to serve while there is no starter pack.

    It starts twice: files that were just written, or read long ago, come from the disk.
    """
    models = _models([STARTER_PACK]) if STARTER_PACK.is_dir() else []
    starter = bool(models)
    repositories = [] if starter else list(stand_ins)
    models = models or _models(stand_ins)
    with panoptes_server(repositories, logs) as server:
        first_s = server.ready_s
    with panoptes_server(repositories, logs) as server:
        time.sleep(2 * LOOK_S)  # probes have just run every graph
        idle = server.memory()
        _, drive = client()
        tasks = {task.name for task in IMAGE_TASKS}
        for ref, task in models:
            if task in tasks:
                drive(raw(server.port, f"/{task}?model={ref}", jpeg), CONCURRENCY, load_s)
        return Footprint(
            models=tuple(ref for ref, _ in models),
            starter=starter,
            ready_s=(first_s, server.ready_s),
            idle=idle,
            loaded=server.memory(),
        )


def _models(repositories: Sequence[Path]) -> list[tuple[str, str]]:
    """(reference, task) of each version."""
    manifests = []
    for folder in repositories:
        repository = FolderRepository(folder)
        manifests += [read_manifest(repository.fetch(ref))[0] for ref in repository.list()]
    return [(manifest.ref, manifest.task) for manifest in manifests]
