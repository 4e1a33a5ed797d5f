"""Columns of a cached world: many memory-mapped shards that read like one array."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt


class ShardedArray:
    """A read-only array [N, ...] laid end to end over .npy files, each read as it is needed.

    Indexing follows numpy along the first axis (an int, a slice, an array of ints or bools), and
    `np.asarray(column)` reads the whole of it into memory.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        if not files:
            raise ValueError("a column needs at least one shard")
        self._shards = [np.load(file, mmap_mode="r") for file in files]
        self._ends = np.cumsum([len(shard) for shard in self._shards])
        self.dtype: np.dtype[Any] = self._shards[0].dtype
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *self._shards[0].shape[1:])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for shard in self._shards:
            yield from shard

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            first, *rest = key
            found = self[first]
            return found[tuple(rest)] if _is_one(first) else found[(slice(None), *rest)]
        if _is_one(key):
            position = range(len(self))[key]
            shard = int(np.searchsorted(self._ends, position, side="right"))
            return np.asarray(self._shards[shard][position - self._start(shard)])
        if isinstance(key, slice):
            return self._take(np.arange(len(self))[key])
        positions = np.asarray(key)
        if positions.dtype == bool:
            if positions.shape != (len(self),):
                raise IndexError(f"a mask of {positions.shape} does not fit {len(self)} rows")
            positions = np.flatnonzero(positions)
        return self._take(positions.astype(np.int64))

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("a column over several files cannot be an array without a copy")
        whole = np.concatenate(self._shards)
        return whole if dtype is None else whole.astype(dtype)

    def _start(self, shard: int) -> int:
        return int(self._ends[shard - 1]) if shard else 0

    def _take(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        count = len(self)
        flat = np.where(positions < 0, positions + count, positions).reshape(-1)
        if flat.size and not (flat.min() >= 0 and flat.max() < count):
            raise IndexError(f"an index lies outside the {count} rows")
        taken = np.empty((flat.size, *self.shape[1:]), self.dtype)
        owners = np.searchsorted(self._ends, flat, side="right")
        for shard in np.unique(owners):
            here = owners == shard
            taken[here] = self._shards[shard][flat[here] - self._start(int(shard))]
        return taken.reshape(*positions.shape, *self.shape[1:])


class LineColumn(Sequence[str]):
    """A column of text, one JSON string a line, read when the column is opened."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._lines: list[str] = []
        for file in files:
            self._lines += [json.loads(line) for line in file.read_text("utf-8").splitlines()]

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, key: int) -> str: ...

    @overload
    def __getitem__(self, key: slice) -> list[str]: ...

    def __getitem__(self, key: int | slice) -> str | list[str]:
        return self._lines[key]


def _is_one(key: Any) -> bool:
    return isinstance(key, int | np.integer) and not isinstance(key, bool)
