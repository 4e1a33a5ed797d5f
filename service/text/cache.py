"""What text graphs answered, remembered: the same text to the same model gives the same again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

OVERHEAD_BYTES = 512
"""What an entry costs beside its numbers and its key's letters, roughly."""


@dataclass(frozen=True, slots=True)
class TextOutput:
    """What the graph said of a text, or what was made of that. Shared: not to be written to."""

    values: npt.NDArray[np.generic]
    tokens: int
    """Of the text, without padding."""
    truncated: bool


class TextCache:
    """Bounded in bytes, the least recently used forgotten first. Of all threads.

    A key is the digest of the model's manifest, which no two models share, and what was asked of
    it: a text, mostly.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[tuple[str, Hashable], tuple[TextOutput, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: str, asked: Hashable) -> TextOutput | None:
        with self._lock:
            if (found := self._entries.get((digest, asked))) is None:
                return None
            self._entries.move_to_end((digest, asked))
            return found[0]

    def put(self, digest: str, asked: Hashable, output: TextOutput) -> TextOutput:
        """Keep the output, if it fits at all. What is returned owns its numbers."""
        if output.values.base is not None or output.values.flags.writeable:
            # A row of a batch would keep the whole batch.
            values = output.values.copy()
            values.flags.writeable = False
            output = TextOutput(values, output.tokens, output.truncated)
        size = output.values.nbytes + _letters(asked) + OVERHEAD_BYTES
        with self._lock:
            self._forget((digest, asked))
            if size <= self._max_bytes:
                self._entries[digest, asked] = output, size
                self._bytes += size
            while self._bytes > self._max_bytes:
                self._forget(next(iter(self._entries)))
        return output

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def _forget(self, key: tuple[str, Hashable]) -> None:
        self._bytes -= self._entries.pop(key, (None, 0))[1]


def _letters(asked: Hashable) -> int:
    if isinstance(asked, tuple):
        return sum(_letters(part) for part in asked)
    # Python keeps up to four bytes a letter.
    return 4 * len(asked) if isinstance(asked, str) else 0
