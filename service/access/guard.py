"""At the door: which routes need which scope, and whether this caller has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.access.allowance import Allowance
from service.access.keys import KeySpec, Scope, find_key, read_keys
from service.errors import ForbiddenError, UnauthorizedError

Headers = Iterable[tuple[bytes, bytes]]

_OPEN_PATHS = frozenset({"/", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""Probes carry no keys, and the page is the same for everyone."""


def scope_of(method: str, path: str) -> Scope | None:
    """What a request needs; None if anyone may make it."""
    if path in _OPEN_PATHS or path.startswith("/web/"):
        return None
    return "admin" if is_admin(method, path) else "infer"


def is_admin(method: str, path: str) -> bool:
    """Whether this changes the server, or tells how it is used."""
    return path == "/metrics" or (method == "POST" and path.startswith("/models"))


@dataclass(frozen=True)
class Pass:
    """A request that was let in; `leave` when it has been answered."""

    name: str
    leave: Callable[[], None]


class Guard(Protocol):
    def enter(self, needed: Scope | None, headers: Headers) -> Pass:
        """UnauthorizedError, ForbiddenError or BusyError unless the caller may."""

    def reload(self) -> None:
        """Look again at where the keys are kept."""


class Open:
    """No keys: whoever can reach the port may ask for everything."""

    _pass = Pass("", lambda: None)

    def enter(self, needed: Scope | None, headers: Headers) -> Pass:
        return self._pass

    def reload(self) -> None:
        pass


class Keyholders:
    """Only those with a key. Used on the event loop only."""

    def __init__(
        self,
        keys: Mapping[str, KeySpec],
        file: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._given = dict(keys)
        self._file = file
        self._clock = clock
        self._keys: dict[str, KeySpec] = {}
        self._allowances: dict[str, Allowance] = {}
        self.reload()

    def reload(self) -> None:
        """KeyFileError leaves the keys as they were. A key that stays keeps its counts."""
        keys = self._given | (read_keys(self._file) if self._file is not None else {})
        self._allowances = {
            name: self._allowances[name]
            if self._keys.get(name) == spec
            else Allowance(spec.per_minute, spec.at_once, self._clock)
            for name, spec in keys.items()
        }
        self._keys = keys

    def enter(self, needed: Scope | None, headers: Headers) -> Pass:
        if needed is None:
            return Open._pass
        presented = _presented(headers)
        if presented is None:
            raise UnauthorizedError("send a key: Authorization: Bearer …, or X-API-Key: …")
        if (name := find_key(self._keys, presented)) is None:
            raise UnauthorizedError("this key is not known here")
        if needed not in self._keys[name].scopes:
            raise ForbiddenError(f"this key does not have the scope {needed!r}")
        allowance = self._allowances[name]
        allowance.take()
        return Pass(name, allowance.give_back)


def guard_of(keys: Mapping[str, KeySpec], file: Path | None) -> Guard:
    return Keyholders(keys, file) if keys or file is not None else Open()


def _presented(headers: Headers) -> str | None:
    for name, value in headers:
        if name == b"x-api-key":
            return value.decode("latin-1").strip()
        if name == b"authorization":
            kind, _, key = value.decode("latin-1").partition(" ")
            if kind.lower() == "bearer":
                return key.strip()
    return None
