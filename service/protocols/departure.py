"""A client that goes away, and who hears of it: no task watches each request for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import Scope

from service.errors import ClientGoneError

_GONE: Final = "gone"
_LEFT: Final = "left"


class IfGone:
    """While this lasts, have it told if the client goes away. ClientGoneError if he has already.

    One at a time: a request waits for one thing.
    """

    __slots__ = ("_state", "_tell")

    def __init__(self, scope: Scope, tell: Callable[[], object]) -> None:
        self._state = scope["state"]
        self._tell = tell

    def __enter__(self) -> None:
        if _LEFT in self._state:
            raise ClientGoneError("the client went away")
        self._state[_GONE] = self._tell

    def __exit__(self, *_: object) -> None:
        self._state.pop(_GONE, None)


def left(scope: Scope) -> None:
    """The client went away."""
    scope["state"][_LEFT] = True
    if (tell := scope["state"].pop(_GONE, None)) is not None:
        tell()
