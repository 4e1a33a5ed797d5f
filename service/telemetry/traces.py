"""OpenTelemetry traces when an endpoint is configured, nothing otherwise.

The only file that imports opentelemetry, and only when asked to.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.engine.job import Timing


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was answered, and how each of its samples fared."""

    route: str
    request_id: str
    status: int
    seconds: float
    headers: Iterable[tuple[bytes, bytes]]
    samples: Sequence[Timing]


class Tracer(Protocol):
    """Records one request and, inside it, the phases of each of its samples."""

    def request(self, answered: Answered) -> None: ...

    def close(self) -> None: ...


class NoTracer:
    """The null tracer."""

    def request(self, answered: Answered) -> None: ...

    def close(self) -> None: ...


class OtlpTracer:
    """Sends spans in batches from a thread of its own; continues the caller's `traceparent`."""

    def __init__(self, endpoint: str, *, version: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource.create({"service.name": "panoptes", "service.version": version})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
        self._tracer = self._provider.get_tracer("panoptes")
        self._propagator = TraceContextTextMapPropagator()

    def request(self, answered: Answered) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        carrier = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in answered.headers
        }
        end = time.time_ns()
        span = self._tracer.start_span(
            f"POST {answered.route}",
            context=self._propagator.extract(carrier),
            kind=SpanKind.SERVER,
            start_time=end - _ns(answered.seconds),
            attributes={
                "http.route": answered.route,
                "http.response.status_code": answered.status,
                "panoptes.request_id": answered.request_id,
            },
        )
        inside = set_span_in_context(span)
        for timing in answered.samples:
            moment = end - _ns(timing.queue_s + timing.prepare_s + timing.run_s + timing.finish_s)
            for name, took in (
                ("queue", timing.queue_s),
                ("decode", timing.prepare_s),
                ("run", timing.run_s),
                ("render", timing.finish_s),
            ):
                phase = self._tracer.start_span(
                    name,
                    context=inside,
                    start_time=moment,
                    attributes={"panoptes.batch": timing.largest_batch} if name == "run" else {},
                )
                moment += _ns(took)
                phase.end(moment)
        span.end(end)

    def close(self) -> None:
        self._provider.shutdown()


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
