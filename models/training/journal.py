"""Where the curves of a run go: TensorBoard's files, or nowhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Journal(Protocol):
    """Takes figures by step."""

    def write(self, step: int, group: str, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class NoJournal:
    """For processes other than the first, and for tests."""

    def write(self, step: int, group: str, values: Mapping[str, float]) -> None:
        pass

    def close(self) -> None:
        pass


class TensorBoardJournal:
    """One event file in `folder`, opened by the first figure; a resumed run adds another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def write(self, step: int, group: str, values: Mapping[str, float]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # What an interrupted run had written after its last save is written again.
            self._writer = SummaryWriter(str(self._folder), purge_step=step)
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
