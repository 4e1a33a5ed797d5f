"""Where the curves of a run go: TensorBoard's files, or nowhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


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
    """One event file in `folder`; a resumed run adds another, which TensorBoard joins to it."""

    def __init__(self, folder: Path, *, first_step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def write(self, step: int, group: str, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        self._writer.close()
