"""Which of two sessions a batch runs on that has the device to itself: over one core, or all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

S = TypeVar("S")

MUST_SAVE: Final = 0.15
"""The wide session is kept only if it saves this share of a lone sample's time."""
TRIALS: Final = 3
"""Lone samples that each of the two takes before the better one is known. The fastest counts: a
neighbour only ever slows."""


def _aside(work: Callable[[], None]) -> None:
    # No daemon: a process that ends while a session is being opened must wait for it, or crashes.
    threading.Thread(target=work, name="widening", daemon=False).start()


class Widening(Generic[S]):
    """The wide session is opened when the first lone sample comes, and aside: a model that is
    never asked alone does without it, and nobody waits for it. Then lone samples take turns.

    Lone batches follow one another: one at a time asks for a session, and says what it took.
    """

    def __init__(
        self,
        narrow: S,
        open_wide: Callable[[], S],
        *,
        start: Callable[[Callable[[], None]], None] = _aside,
    ) -> None:
        self._narrow = narrow
        self._open_wide = open_wide
        self._start = start
        self._wide: S | None = None
        self._begun = False
        self._tried_s: dict[bool, list[float]] = {False: [], True: []}
        """By whether it was the wide one."""
        self._best: S | None = None

    def session(self) -> S:
        """For the next lone batch."""
        if self._best is not None:
            return self._best
        if not self._begun:
            self._begun = True
            self._start(self._widen)
        wide_is_next = len(self._tried_s[True]) <= len(self._tried_s[False])
        return self._wide if self._wide is not None and wide_is_next else self._narrow

    def took(self, session: S, seconds: float) -> None:
        """A lone sample, on the session that was given for it."""
        if self._best is not None or self._wide is None:
            return
        self._tried_s[session is self._wide].append(seconds)
        narrow_s, wide_s = self._tried_s[False], self._tried_s[True]
        if min(len(narrow_s), len(wide_s)) >= TRIALS:
            pays = min(wide_s) < min(narrow_s) * (1 - MUST_SAVE)
            self._best = self._wide if pays else self._narrow
            self._wide = None

    def _widen(self) -> None:
        try:
            self._wide = self._open_wide()
        except Exception as error:
            log.warning("lone samples stay on one core: %s", error)
            self._best = self._narrow
