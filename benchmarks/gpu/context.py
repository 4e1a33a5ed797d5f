"""What every part of the check is given: the device, the models, how long to measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.report import SkippedError
from service.bundle import Bundle, read_bundle
from service.bundle.repository import FolderRepository
from service.engine.compute import Compute


@dataclass(frozen=True)
class Context:
    compute: Compute
    repository: Path
    """The bundles to check: the starter pack, but in tests."""
    scratch: Path
    cores: int
    quick: bool
    tell: Callable[[str], None]

    @property
    def window_s(self) -> float:
        return 0.3 if self.quick else 3.0

    def batches(self, most: int) -> list[int]:
        """At which a graph is measured."""
        sizes = (1, 4) if self.quick else (1, 2, 4, 8, 16, 32, 64, 128)
        return [size for size in sizes if size <= most] or [1]

    def bundles(self) -> Sequence[Bundle]:
        """The newest version of every model."""
        folders = FolderRepository(self.repository)
        newest = {ref.name: ref for ref in sorted(folders.list())}
        return [read_bundle(folders.fetch(ref)) for ref in newest.values()]

    def first(self, task: str) -> Bundle:
        for bundle in self.bundles():
            if bundle.manifest.task == task:
                return bundle
        raise SkippedError(f"{self.repository.name} has no model for {task}")

    def make_folder(self, name: str) -> Path:
        folder = self.scratch / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
