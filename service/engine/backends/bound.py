"""A graph on a device with memory of its own: batches go through buffers that stay.

A batch is padded up to a bucket, copied in on a stream of its own while another batch runs, run
when the device is free, and copied out while the next one runs.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import onnxruntime as ort

from service.engine.backends.backend import (
    DeviceLostError,
    OutOfMemoryError,
    Tensors,
    TimedOutputs,
)
from service.engine.backends.batches import (
    FreeSlots,
    alike,
    batch_of,
    bucket_for,
    buckets_up_to,
    in_parts,
)
from service.engine.backends.binding import Binding, UnboundError, ports_of
from service.engine.backends.memory import Memory, Strand
from service.engine.backends.ports import Ports

log = logging.getLogger(__name__)

NOT_RECORDED: Final = -1
"""The id of ONNX Runtime with which a run is neither recorded nor replayed."""

OpenSession = Callable[[bool], ort.InferenceSession]
"""Loads the graph; True asks for runs that are recorded and replayed."""
Translate = Callable[[Exception], Exception]
"""What an error of the runtime means to the engine."""

_record_ids = itertools.count(1)


class _Slot:
    """What one batch under way has for itself; bindings are made when their bucket comes."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._strand: Strand = memory.strand()
        self._bindings: dict[int, Binding] = {}
        self._record_ids: dict[int, int] = {}

    def binding(self, session: ort.InferenceSession, ports: Ports, size: int) -> Binding:
        if size not in self._bindings:
            self._bindings[size] = Binding(session, ports, self._memory, self._strand, size)
        return self._bindings[size]

    def record_id(self, size: int) -> int:
        return self._record_ids.setdefault(size, next(_record_ids))


class _Loaded:
    """A session with its slots. Runs keep hold of it: another may take its place meanwhile."""

    def __init__(
        self, session: ort.InferenceSession, memory: Memory, slots: int, *, records: bool
    ) -> None:
        self.session = session
        self.ports = ports_of(session)
        # Whose outputs vary in size cannot be replayed into buffers that stay.
        self.records = records and self.ports.fixed
        # ONNX Runtime keeps a recording for the thread that made it: one thread does them all.
        self._recorder = ThreadPoolExecutor(1, "recorder") if self.records else None
        self.slots = FreeSlots([_Slot(memory) for _ in range(slots)])

    def run(
        self, slot: _Slot, inputs: Tensors, size: int, turn: threading.Lock, *, recorded: bool
    ) -> TimedOutputs:
        batch = batch_of(inputs)
        binding = slot.binding(self.session, self.ports, size)
        binding.fill(inputs, batch)
        with turn:
            started = time.perf_counter()
            if self._recorder is None:
                binding.run(self.session)
            else:
                options = ort.RunOptions()
                record_id = slot.record_id(size) if recorded else NOT_RECORDED
                options.add_run_config_entry("gpu_graph_id", str(record_id))
                self._recorder.submit(binding.run, self.session, options).result()
            seconds = time.perf_counter() - started
        return TimedOutputs(binding.read(batch), seconds)

    def close(self) -> None:
        if self._recorder is not None:
            self._recorder.shutdown(wait=False)


class BoundBackend:
    """One graph on one device.

    `turn` is held while a batch runs: the backends of a device share it, so that the device does
    one batch at a time, in the order that the scheduler chose, and what a batch takes is known.
    With `record`, the launches of a bucket are recorded at warm-up and replayed afterwards.
    """

    def __init__(
        self,
        open_session: OpenSession,
        memory_of: Callable[[ort.InferenceSession], Memory],
        *,
        max_batch: int,
        slots: int,
        turn: threading.Lock,
        record: bool = False,
        translate: Translate = lambda error: error,
        revive: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_session = open_session
        self._memory_of = memory_of
        self._slots = slots
        self._turn = turn
        self._translate = translate
        self._revive = revive
        self._record = record
        self._recorded = False
        self._sample: Tensors | None = None
        self.buckets: tuple[int, ...] = buckets_up_to(max_batch)
        self._loaded: _Loaded | None = self._open()

    @property
    def records(self) -> bool:
        """Whether runs are replays of what was recorded."""
        return self._recorded

    def warm_up(self, sample: Tensors) -> None:
        """Run every bucket in every slot: the first time is slow. Buckets that do not fit into
        memory are not offered."""
        self._sample = sample
        for size in self.buckets:
            inputs = {name: value.repeat(size, axis=0) for name, value in sample.items()}
            try:
                self._warm(inputs, size)
            except OutOfMemoryError:
                if size == self.buckets[0]:
                    raise
                self.buckets = tuple(bucket for bucket in self.buckets if bucket < size)
                log.warning("batches end at %d: %d do not fit", self.buckets[-1], size)
                break
        self._recorded = self._now().records

    def run(self, inputs: Tensors, *, alone: bool = False) -> TimedOutputs:
        loaded = self._now()
        loaded.ports.check(inputs)
        return in_parts(inputs, self.buckets[-1], lambda part: self._run(loaded, part))

    def rebuild(self) -> None:
        self.close()
        self._revive()
        self._loaded = self._open()
        if self._sample is not None:
            self.warm_up(self._sample)

    def close(self) -> None:
        loaded, self._loaded = self._loaded, None
        self._recorded = False
        if loaded is not None:
            loaded.close()

    # --

    def _now(self) -> _Loaded:
        if (loaded := self._loaded) is None:
            raise DeviceLostError("the graph is being loaded anew")
        return loaded

    def _open(self) -> _Loaded:
        if self._record:
            try:
                loaded = self._load(records=True)
                if loaded.records:
                    return loaded
                self._record = False
            except UnboundError:
                raise
            except Exception as error:  # of a graph with parts that cannot be recorded
                self._give_up_recording(_first_line(error))
        return self._load(records=False)

    def _load(self, *, records: bool) -> _Loaded:
        session = self._open_session(records)
        return _Loaded(session, self._memory_of(session), self._slots, records=records)

    def _run(self, loaded: _Loaded, inputs: Tensors) -> TimedOutputs:
        size = bucket_for(batch_of(inputs), self.buckets)
        with loaded.slots.one() as slot, self._meaning():
            return loaded.run(slot, inputs, size, self._turn, recorded=self._recorded)

    def _warm(self, inputs: Tensors, size: int) -> None:
        loaded = self._now()
        for slot in loaded.slots.every:
            with self._meaning():
                run = loaded.run(slot, inputs, size, self._turn, recorded=False)
            if not loaded.records:
                continue
            try:
                with self._meaning():
                    loaded.run(slot, inputs, size, self._turn, recorded=True)
                    replayed = loaded.run(slot, inputs, size, self._turn, recorded=True)
            except (OutOfMemoryError, DeviceLostError):
                raise
            except Exception as error:
                self._give_up_recording(_first_line(error))
            else:
                if alike(run, replayed):
                    continue
                self._give_up_recording("what is replayed differs from what is run")
            self.close()
            self._loaded = self._open()
            self._warm(inputs, size)
            return

    @contextmanager
    def _meaning(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if (meant := self._translate(error)) is error:
                raise
            raise meant from error

    def _give_up_recording(self, why: str) -> None:
        log.warning("batches are not recorded: %s", why)
        self._record = False


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
