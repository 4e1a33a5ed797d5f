"""An answer as it leaves: with which model gave it, and where the time went."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from starlette.types import Receive, Scope, Send

from service.engine.job import Timing
from service.engine.model import Model

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Whole(Protocol):
    """An answer that is not sent in parts: one of these, or Starlette's."""

    @property
    def status_code(self) -> int: ...
    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]: ...
    @property
    def body(self) -> bytes | memoryview: ...


class Answer:
    """A whole answer, as an ASGI application. Starlette's costs a small model more, for what it
    finds out of headers that are known here."""

    __slots__ = ("body", "raw_headers")
    status_code = 200

    def __init__(
        self,
        model: Model,
        content: bytes,
        media_type: str,
        *stages: Sequence[Timing],
        more: Mapping[str, str] = _NOTHING,
    ) -> None:
        self.body = content
        self.raw_headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % len(content)),
            (b"server-timing", server_timing(*stages).encode()),
            *_of_model(model.ref, model.bundle.digest),
        ]
        if more:
            self.raw_headers += [(k.encode(), v.encode("latin-1")) for k, v in more.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def model_headers(model: Model) -> dict[str, str]:
    return {k.decode(): v.decode() for k, v in _of_model(model.ref, model.bundle.digest)}


@functools.lru_cache(maxsize=256)
def _of_model(ref: str, digest: str) -> tuple[tuple[bytes, bytes], ...]:
    return (b"x-model", ref.encode()), (b"x-model-digest", digest.encode())


def server_timing(*stages: Sequence[Timing]) -> str:
    """Of several samples the slowest of each phase, since they ran side by side; one stage after
    the other adds up."""
    total = _merged([_merged(timings, max) for timings in stages if timings] or [Timing()], sum)
    return (
        f"queue;dur={total.queue_s * 1e3:.3f}, decode;dur={total.prepare_s * 1e3:.3f}, "
        f"run;dur={total.run_s * 1e3:.3f}, render;dur={total.finish_s * 1e3:.3f}, "
        f'batch;desc="{total.largest_batch}"'
    )


def _merged(timings: Sequence[Timing], how: Callable[[Iterable[float]], float]) -> Timing:
    if len(timings) == 1:
        return timings[0]
    return Timing(
        queue_s=how(t.queue_s for t in timings),
        prepare_s=how(t.prepare_s for t in timings),
        run_s=how(t.run_s for t in timings),
        finish_s=how(t.finish_s for t in timings),
        largest_batch=max(t.largest_batch for t in timings),
    )
