"""What a checkpoint's classes are called, by their index; some have no name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporters.errors import CheckpointError

#: Lines of a file of labels that stand for a class without one.
UNNAMED: Final = frozenset({"", "N/A", "__background__"})

COCO: Final = "coco"

#: COCO's 80 things by their category number, which has gaps and starts at 1.
COCO_FILE: Final = Path(__file__).with_name("coco.txt")


@dataclass(frozen=True)
class Classes:
    """The names of a checkpoint's classes; None where one has none."""

    names: tuple[str | None, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name is not None)

    @property
    def named(self) -> list[int]:
        """The indices of the classes with a name, in the order of `labels`."""
        return [index for index, name in enumerate(self.names) if name is not None]

    @property
    def unnamed(self) -> list[int]:
        return [index for index, name in enumerate(self.names) if name is None]

    def fitted(self, count: int, *, background_first: bool) -> Classes:
        """These for a checkpoint of `count` classes; a file may leave out class 0, background."""
        if background_first and len(self.names) == count - 1:
            return Classes((None, *self.names))
        if len(self.names) != count:
            raise CheckpointError(
                f"the checkpoint knows {count} classes, and {len(self.names)} are named"
            )
        return self


def read_classes(source: str) -> Classes:
    """`coco`, or a file with the name of one class a line, in the checkpoint's order.

    A line that is empty, `N/A` or `__background__` stands for a class without a name.
    """
    path = COCO_FILE if source == COCO else Path(source).expanduser()
    if not path.is_file():
        raise CheckpointError(f"no file of labels at {source}; {COCO!r} is the one known by name")
    names = (line.strip() for line in path.read_text(encoding="utf-8").rstrip().splitlines())
    classes = Classes(tuple(None if name in UNNAMED else name for name in names))
    if not classes.labels or len(set(classes.labels)) != len(classes.labels):
        raise CheckpointError(f"{source}: labels must be there and differ from one another")
    return classes
