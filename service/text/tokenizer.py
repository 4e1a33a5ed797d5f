"""A bundle's tokenizer: texts to as many tokens as its text graph takes.

N texts, T tokens of each.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from service.bundle import Bundle, BundleError, Manifest, TensorSpec

if TYPE_CHECKING:
    import tokenizers

TEXT_ROLE: Final = "text"
MAX_TOKENS: Final = 4096


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text as its graph takes it."""

    ids: npt.NDArray[np.int64]  # [T]
    count: int
    """How many of them are the text's own, its begin and end included, and not padding."""
    truncated: bool
    """Whether the text went on where there was no more room."""


class Tokenizer:
    """Cuts, pads, begins and ends as its file says; its methods may be called on any thread."""

    def __init__(self, rules: tokenizers.Tokenizer, length: int) -> None:
        self._rules = rules
        self.length = length

    @classmethod
    def of(cls, bundle: Bundle) -> Tokenizer:
        """The bundle's, read once and kept for as long as the bundle is; BundleError if it has
        none, or one that does not give what the text graph takes."""
        if (found := _open.get(bundle.digest)) is None:
            length = tokens_of(bundle.manifest)
            found = cls(_read(bundle), length)
            found._check()
            _open[bundle.digest] = found
            weakref.finalize(bundle, _open.pop, bundle.digest, None)
        return found

    def read(self, text: str) -> Tokens:
        found = self._rules.encode(text)
        return Tokens(
            ids=np.array(found.ids, np.int64),
            count=sum(found.attention_mask),
            truncated=bool(found.overflowing),
        )

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """[N, T]"""
        return np.array([self._rules.encode(text).ids for text in texts], np.int64).reshape(
            len(texts), self.length
        )

    def _check(self) -> None:
        for text in ("", "a " * self.length):
            if (count := len(self._rules.encode(text).ids)) != self.length:
                raise BundleError(
                    f"the tokenizer gives {count} tokens where the graph takes {self.length}: "
                    "its file must both cut and pad to that"
                )


def tokens_of(manifest: Manifest) -> int:
    """How many tokens the text graph takes; BundleError unless it takes just them."""
    if manifest.tokenizer is None:
        raise BundleError("a task on texts needs a tokenizer")
    if TEXT_ROLE not in manifest.graphs:
        raise BundleError(
            f"the task needs a graph {TEXT_ROLE!r}; there is {', '.join(manifest.graphs)}"
        )
    given = manifest.graphs[TEXT_ROLE].inputs
    length = given[0].shape[-1]
    wanted = TensorSpec(name="tokens", dtype="int64", shape=("batch", length))
    if given != (wanted,) or not isinstance(length, int) or not 2 <= length <= MAX_TOKENS:
        raise BundleError(
            f"graph {TEXT_ROLE!r} must take tokens int64 [batch, T] and nothing else, with T a "
            f"number from 2 to {MAX_TOKENS}"
        )
    return length


_open: dict[str, Tokenizer] = {}
"""By the bundle's digest."""


def _read(bundle: Bundle) -> tokenizers.Tokenizer:
    import tokenizers

    assert bundle.manifest.tokenizer is not None
    path = bundle.file(bundle.manifest.tokenizer)
    try:
        return tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library knows no type of its own for this
        raise BundleError(f"{path.name} is no tokenizer: {error}") from None
