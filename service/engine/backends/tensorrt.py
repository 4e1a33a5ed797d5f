"""TensorRT on one GPU: a plan with an execution context a slot, and recorded batches.

B the bucket that is run, b <= B the samples in it.
"""

from __future__ import annotations

import bisect
import contextlib
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from service.bundle import Graph
from service.engine.backends import cuda_memory
from service.engine.backends.backend import (
    DeviceLostError,
    OutOfMemoryError,
    Tensors,
    TimedOutputs,
)
from service.engine.backends.tensorrt_slot import Engine, Slot
from service.engine.plans.library import PlanError, TensorRt

log = logging.getLogger(__name__)

NO_MEMORY: Final = re.compile(r"out of memory|outofmemory|alloc", re.IGNORECASE)
REPLAY_TOLERANCE: Final = 1e-3
"""Of the largest number of an output: two runs of a GPU may add in another order."""


class TensorRtBackend:
    """One plan. `read_plan` is asked again where the device was lost.

    A batch is padded to its bucket and copied in while another runs; it runs when it has its
    `turn`, which all graphs on a GPU share, and is copied out while the next one runs. Where the
    size of no output depends on the data, each bucket's launches are recorded once and replayed.
    """

    def __init__(
        self,
        trt: TensorRt,
        read_plan: Callable[[], bytes],
        graph: Graph,
        *,
        gpu: int,
        slots: int,
        buckets: Sequence[int],
        turn: threading.Lock,
        record: bool,
    ) -> None:
        self.buckets: tuple[int, ...] = tuple(buckets)
        self._trt = trt
        self._read_plan = read_plan
        self._graph = graph
        self._gpu = gpu
        self._slots = slots
        self._turn = turn
        self._record = record
        self._sample: Tensors | None = None
        self._loaded: _Loaded | None = self._load()

    def warm_up(self, sample: Tensors) -> None:
        """Run every bucket in every slot, and record it where that gives the same answer."""
        self._sample = sample
        loaded = self._now()
        self._select()
        for size in reversed(self.buckets):  # what does not fit is known first
            inputs = {name: value[:1].repeat(size, axis=0) for name, value in sample.items()}
            for slot in loaded.every_slot:
                with self._meaning():
                    ran = self._once(slot, inputs, size)
                if self._record:
                    self._record_one(slot, inputs, size, ran)

    def run(self, inputs: Tensors, *, alone: bool = False) -> TimedOutputs:
        loaded = self._now()
        batch, most = loaded.engine.check(inputs), self.buckets[-1]
        self._select()
        parts = [
            self._run(loaded, {name: value[at : at + most] for name, value in inputs.items()})
            for at in range(0, batch, most)
        ]
        if len(parts) == 1:
            return parts[0]
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return TimedOutputs(whole, sum(part.device_s for part in parts))

    def rebuild(self) -> None:
        self._loaded = None  # what still runs holds its slot until it has failed
        self._select()
        cuda_memory.revive()
        self._loaded = self._load()
        if self._sample is not None:
            self.warm_up(self._sample)

    def close(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            self._select()
            loaded.close()

    # --

    def _now(self) -> _Loaded:
        if (loaded := self._loaded) is None:
            raise DeviceLostError("the plan is being loaded anew")
        return loaded

    def _select(self) -> None:
        cuda_memory.select(self._gpu)

    def _load(self) -> _Loaded:
        """Buckets that do not fit into memory are not offered."""
        self._select()
        engine = Engine(self._trt, self._read_plan(), self._graph)
        while True:
            try:
                slots = [Slot(engine, self.buckets[-1]) for _ in range(self._slots)]
                return _Loaded(engine, slots)
            except OutOfMemoryError:
                if len(self.buckets) == 1:
                    raise
                log.warning("batches end at %d: %d do not fit", *self.buckets[-2:])
                self.buckets = self.buckets[:-1]

    def _run(self, loaded: _Loaded, inputs: Tensors) -> TimedOutputs:
        size = self.buckets[bisect.bisect_left(self.buckets, _batch_of(inputs))]
        with loaded.slot() as slot, self._meaning():
            return self._once(slot, inputs, size)

    def _once(self, slot: Slot, inputs: Tensors, size: int) -> TimedOutputs:
        batch = _batch_of(inputs)
        slot.fill(inputs, batch, size)
        with self._turn:
            started = time.perf_counter()
            slot.launch(size)
            device_s = time.perf_counter() - started
        return TimedOutputs(slot.read(batch, size), device_s)

    def _record_one(self, slot: Slot, inputs: Tensors, size: int, ran: Tensors) -> None:
        """Keep the recording if it can be made and answers as the run did; else make none."""
        if slot.open_ended:
            return
        try:
            # Alone on the device: what others do meanwhile must not end up in the recording.
            with self._turn:
                slot.record(size)
            with self._meaning():
                replayed = self._once(slot, inputs, size)
        except (OutOfMemoryError, DeviceLostError):
            raise
        except Exception as error:
            self._give_up_recording(str(error).partition("\n")[0])
        else:
            if not _alike(ran, replayed):
                self._give_up_recording("what is replayed differs from what is run")

    def _give_up_recording(self, why: str) -> None:
        log.warning("batches are not recorded: %s", why)
        self._record = False
        for slot in self._now().every_slot:
            slot.forget_recordings()

    @contextlib.contextmanager
    def _meaning(self) -> Iterator[None]:
        """An error of TensorRT as the engine understands it."""
        try:
            yield
        except PlanError as error:
            # TensorRT says little. Where the device is lost, CUDA says so from now on.
            cuda_memory.check_last()
            if NO_MEMORY.search(str(error)):
                raise OutOfMemoryError("the GPU's memory is full") from error
            raise


class _Loaded:
    """A plan on the device with its slots. Runs keep hold of it: another may take its place."""

    def __init__(self, engine: Engine, slots: Sequence[Slot]) -> None:
        self.engine = engine
        self.every_slot = list(slots)
        self._free: queue.LifoQueue[Slot] = queue.LifoQueue()
        for slot in slots:
            self._free.put(slot)

    @contextlib.contextmanager
    def slot(self) -> Iterator[Slot]:
        """The one that was used last, whose buffers are in the caches; waits until one is free."""
        slot = self._free.get()
        try:
            yield slot
        finally:
            self._free.put(slot)

    def close(self) -> None:
        for slot in self.every_slot:
            slot.close()


def _batch_of(inputs: Tensors) -> int:
    return len(next(iter(inputs.values())))


def _alike(one: Tensors, other: Tensors) -> bool:
    for name, value in one.items():
        expected, found = value.astype(np.float64), other[name].astype(np.float64)
        allowed = REPLAY_TOLERANCE * np.abs(expected).max(initial=1.0)
        if not np.allclose(found, expected, rtol=0.0, atol=allowed, equal_nan=True):
            return False
    return True
