"""TensorRT on one GPU: a plan with an execution context a slot, and recorded batches.

B the bucket that is run, b <= B the samples in it.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from service.bundle import Graph
from service.engine.backends import cuda_memory
from service.engine.backends.backend import (
    DeviceLostError,
    OutOfMemoryError,
    Tensors,
    TimedOutputs,
)
from service.engine.backends.batches import FreeSlots, alike, batch_of, bucket_for, in_parts
from service.engine.backends.tensorrt_slot import Engine, Slot
from service.engine.plans.tensorrt import PlanError, TensorRt

log = logging.getLogger(__name__)

NO_MEMORY: Final = re.compile(r"out of memory|outofmemory|alloc", re.IGNORECASE)


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
            for slot in loaded.slots.every:
                with self._meaning():
                    ran = self._once(slot, inputs, size)
                if self._record:
                    self._record_one(slot, inputs, size, ran)

    def run(self, inputs: Tensors, *, alone: bool = False) -> TimedOutputs:
        loaded = self._now()
        loaded.engine.ports.check(inputs)
        self._select()
        return in_parts(inputs, self.buckets[-1], lambda part: self._run(loaded, part))

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
        size = bucket_for(batch_of(inputs), self.buckets)
        with loaded.slots.one() as slot, self._meaning():
            return self._once(slot, inputs, size)

    def _once(self, slot: Slot, inputs: Tensors, size: int) -> TimedOutputs:
        batch = batch_of(inputs)
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
            if not alike(ran, replayed):
                self._give_up_recording("what is replayed differs from what is run")

    def _give_up_recording(self, why: str) -> None:
        log.warning("batches are not recorded: %s", why)
        self._record = False
        for slot in self._now().slots.every:
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
        self.slots = FreeSlots(slots)

    def close(self) -> None:
        for slot in self.slots.every:
            slot.close()
