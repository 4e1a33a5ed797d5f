"""A model: the graphs of one bundle on one device, checked, measured and ready to answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from service.bundle import Bundle, BundleError, Tensors, check_golden, load_golden
from service.engine.backends.backend import Backend
from service.engine.backends.choose import open_graph
from service.engine.compute import ComputeError
from service.engine.cost import CostCurve, fastest_s
from service.engine.device import Device
from service.engine.job import Job, Priority, Sample
from service.engine.lane import Lane

GOLDEN_SAMPLES = 2
"""Of a graph, at load: where an engine computes wrongly it does so on any. Export checks all."""

RUNS = 2
LONG_S = 0.01
"""What takes so long varies little: at load it is run once."""
MEASURE_S = 0.03
"""How long a graph may be measured at load; larger batches are learned from use."""
MEASURE_BUCKETS_S = 10.0


@dataclass(eq=False)
class Model:
    """Held by the requests that use it; its lanes are closed when the last one lets go."""

    bundle: Bundle
    device: Device
    lanes: Mapping[str, Lane]
    drift: Mapping[str, float]
    load_s: float
    probes: Mapping[str, Sample]
    """One golden input a lane."""
    _users: int = 0
    _unused: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ref(self) -> str:
        return self.bundle.manifest.ref

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the lanes open. On the event loop only, which so owns the count."""
        self._users += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def unused(self) -> None:
        if self._users:
            await self._unused.wait()

    async def probe(self, timeout_s: float) -> None:
        """A small real inference on every lane, through the queue; raises what went wrong."""
        deadline = time.monotonic() + timeout_s
        for role, lane in self.lanes.items():
            job = Job(
                prepare=lambda role=role: dict(self.probes[role]),  # type: ignore[misc]
                finish=lambda outputs: None,
                deadline=deadline,
                priority=Priority.HIGH,
                probe=True,
            )
            await self.device.run(lane, [job])
            job.outcome()

    def close(self, timeout_s: float) -> None:
        """Finish what is queued, then give the memory back. Blocks."""
        for lane in self.lanes.values():
            self.device.scheduler.remove(lane, timeout_s=timeout_s)
            lane.backend.close()


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """Loaded and held to its golden outputs. What it costs is measured later: see `measure`."""

    bundle: Bundle
    device: Device
    backends: Mapping[str, Backend]
    drift: Mapping[str, float]
    probes: Mapping[str, Sample]
    open_s: float

    def measure(self, *, queue_capacity: int) -> Model:
        """Time every graph and open its lane. Of all on a device one at a time, or they would
        measure each other."""
        started = time.perf_counter()
        lanes = {}
        for role, probe in self.probes.items():
            graph, backend = self.bundle.manifest.graphs[role], self.backends[role]
            sample = {name: value[None] for name, value in probe.items()}
            backend.warm_up(sample)
            max_batch = min((graph.max_batch, *backend.buckets[-1:]))
            lanes[role] = Lane(
                f"{self.bundle.manifest.ref}/{role}",
                backend,
                max_batch=max_batch,
                capacity=queue_capacity,
                cost=_measure(backend, sample, max_batch),
            )
        for lane in lanes.values():
            self.device.scheduler.add(lane)
        return Model(
            bundle=self.bundle,
            device=self.device,
            lanes=lanes,
            drift=self.drift,
            load_s=self.open_s + time.perf_counter() - started,
            probes=self.probes,
        )


def open_model(bundle: Bundle, device: Device) -> OpenedModel:
    """Load every graph and hold it to its golden outputs; BundleError otherwise."""
    started = time.perf_counter()
    backends = {role: _load_graph(bundle, role, device) for role in bundle.manifest.graphs}
    golden = load_golden(bundle)
    drift = check_golden(
        bundle,
        lambda role, inputs: backends[role].run(inputs),
        golden=golden,
        samples=GOLDEN_SAMPLES,
    )
    probes = {
        role: {name: value[0].copy() for name, value in inputs.items()}  # not a view of them all
        for role, (inputs, _) in golden.items()
    }
    return OpenedModel(bundle, device, backends, drift, probes, time.perf_counter() - started)


def load_model(bundle: Bundle, device: Device, *, queue_capacity: int) -> Model:
    """Open a model and measure it."""
    return open_model(bundle, device).measure(queue_capacity=queue_capacity)


def _load_graph(bundle: Bundle, role: str, device: Device) -> Backend:
    try:
        return open_graph(bundle, role, device.compute, cores=device.workers)
    except ComputeError as error:
        raise BundleError(f"{role!r}: {error}") from error
    except Exception as error:
        # The runtime's own words name files and lines of its source: the first line is enough.
        raise BundleError(f"{role!r} cannot be loaded: {str(error).splitlines()[0]}") from error


def _measure(backend: Backend, sample: Tensors, max_batch: int) -> CostCurve:
    """T at batch 1, 2, 4 … as far as the time allows.

    Of buckets all are measured: there are few, and what they cost decides which ones are filled.
    """
    curve = CostCurve(backend.buckets)
    limit_s = MEASURE_BUCKETS_S if backend.buckets else MEASURE_S
    ends, seconds = time.perf_counter() + limit_s, 0.0
    for batch in backend.buckets or _doubling(max_batch):
        if time.perf_counter() + 2 * RUNS * seconds >= ends:
            break
        inputs = {name: value.repeat(batch, axis=0) for name, value in sample.items()}
        seconds = fastest_s(lambda inputs=inputs: backend.run(inputs), RUNS, LONG_S)  # type: ignore[misc]
        curve.observe_run(batch, seconds)
    return curve


def _doubling(most: int) -> Iterator[int]:
    batch = 1
    while batch <= most:
        yield batch
        batch *= 2
