"""Prometheus metrics: what the engine and the requests did, by model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from service.engine.job import Job
from service.telemetry.series import Counter, Histogram, Series

SECONDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class LaneGauges:
    """What can be read of a lane at any moment."""

    queued: int
    running: int
    predicted_wait_s: float


class Metrics:
    """The engine's Observer. Children are looked up once a lane, since a request pays for each."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, lanes: Callable[[], dict[str, LaneGauges]]) -> None:
        self.registry = CollectorRegistry()
        histogram = functools.partial(Histogram, registry=self.registry)
        counter = functools.partial(Counter, registry=self.registry)
        self._queue_s = histogram(
            "panoptes_queue_seconds", "Waiting for a worker", ["lane"], SECONDS
        )
        self._decode_s = histogram("panoptes_decode_seconds", "Bytes to tensors", ["lane"], SECONDS)
        self._run_s = histogram(
            "panoptes_run_seconds", "In the graph, all steps", ["lane"], SECONDS
        )
        self._render_s = histogram(
            "panoptes_render_seconds", "Tensors to the answer", ["lane"], SECONDS
        )
        self._batch_s = histogram("panoptes_batch_seconds", "One run of a graph", ["lane"], SECONDS)
        self._batch_size = histogram("panoptes_batch_size", "Samples in one run", ["lane"], SIZES)
        self._admitted = counter("panoptes_admitted", "Samples admitted", ["lane"])
        self._refused = counter("panoptes_refused", "Samples refused at once", ["lane", "reason"])
        self._settled = counter(
            "panoptes_settled",
            "Samples by outcome: answered, rejected, expired, cancelled, failed",
            ["lane", "outcome"],
        )
        self._lost = counter("panoptes_device_lost", "Devices that died", ["device"])
        self._rebuilt = counter("panoptes_device_rebuilt", "Devices brought back", ["device"])
        requests = histogram(
            "panoptes_request_seconds",
            "A request, from its first byte to its last",
            ["route", "status"],
            SECONDS,
        )
        self.models_ready = Gauge(
            "panoptes_models_ready", "Model versions that answer", registry=self.registry
        )
        self.models_failed = Gauge(
            "panoptes_models_failed", "Bundles that could not be loaded", registry=self.registry
        )
        self.registry.register(_LaneCollector(lanes))
        self._request = functools.cache(lambda route, status: requests.labels(route, str(status)))
        self._lane = functools.cache(self._lane_children)

    # -- Observer

    def admitted(self, lane: str, jobs: int) -> None:
        self._lane(lane).admitted.observe(jobs)

    def refused(self, lane: str, jobs: int, reason: str) -> None:
        self._refused.labels(lane, reason).observe(jobs)

    def settled(self, lane: str, job: Job, outcome: str) -> None:
        children = self._lane(lane)
        children.queue_s.observe(job.timing.queue_s)
        if outcome == "answered":
            children.answered.observe(1)
            children.decode_s.observe(job.timing.prepare_s)
            children.run_s.observe(job.timing.run_s)
            children.render_s.observe(job.timing.finish_s)
        else:
            self._settled.labels(lane, outcome).observe(1)

    def batch_ran(self, lane: str, size: int, seconds: float) -> None:
        children = self._lane(lane)
        children.batch_size.observe(size)
        children.batch_s.observe(seconds)

    def device_lost(self, device: str, reason: str) -> None:
        self._lost.labels(device).observe(1)

    def device_rebuilt(self, device: str) -> None:
        self._rebuilt.labels(device).observe(1)

    # --

    def request(self, route: str, status: int, seconds: float) -> None:
        self._request(route, status).observe(seconds)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)

    def _lane_children(self, lane: str) -> _LaneChildren:
        for outcome in ("rejected", "expired", "cancelled", "failed"):
            self._settled.labels(lane, outcome)  # so that a rate over them starts from 0
        return _LaneChildren(
            admitted=self._admitted.labels(lane),
            answered=self._settled.labels(lane, "answered"),
            queue_s=self._queue_s.labels(lane),
            decode_s=self._decode_s.labels(lane),
            run_s=self._run_s.labels(lane),
            render_s=self._render_s.labels(lane),
            batch_s=self._batch_s.labels(lane),
            batch_size=self._batch_size.labels(lane),
        )


@dataclass(frozen=True, slots=True)
class _LaneChildren:
    admitted: Series
    answered: Series
    queue_s: Series
    decode_s: Series
    run_s: Series
    render_s: Series
    batch_s: Series
    batch_size: Series


class _LaneCollector(Collector):
    """Reads the queues when Prometheus asks; nothing is kept up to date in between."""

    def __init__(self, lanes: Callable[[], dict[str, LaneGauges]]) -> None:
        self._lanes = lanes

    def collect(self) -> Iterable[Metric]:
        depth = GaugeMetricFamily(
            "panoptes_queue_depth", "Samples that wait for a worker", labels=["lane"]
        )
        running = GaugeMetricFamily("panoptes_running", "Samples that run", labels=["lane"])
        wait = GaugeMetricFamily(
            "panoptes_predicted_wait_seconds", "When a new sample would be done", labels=["lane"]
        )
        for name, gauges in self._lanes().items():
            depth.add_metric([name], gauges.queued)
            running.add_metric([name], gauges.running)
            wait.add_metric([name], gauges.predicted_wait_s)
        return [depth, running, wait]
