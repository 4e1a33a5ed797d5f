"""Samples a second of every graph by batch, beside PyTorch with the same network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.gpu.context import Context
from benchmarks.gpu.halving import halved
from benchmarks.gpu.pumping import pump
from benchmarks.gpu.report import Cell, Findings, SkippedError
from benchmarks.gpu.twins import twin_of
from service.bundle import Bundle, Tensors, load_golden
from service.engine.backends.backend import Backend, TimedOutputs
from service.engine.backends.choose import open_graph

if TYPE_CHECKING:
    from torch import nn

TITLE = "Throughput by batch"
NOTE = (
    "`samples/s` through the engine's backend from all its slots, with every copy to the device "
    "and back; `device ms` is one batch in the graph alone, and `eager ms` and `compiled ms` are "
    "PyTorch with the same architecture (random weights) on inputs that lie on the device "
    "already, in half precision under autocast. `× eager` is eager over device."
)


@dataclass(frozen=True)
class Subject:
    name: str
    precision: str
    sample: Tensors
    """A batch of one."""
    max_batch: int
    open: Callable[[], Backend]
    module: Callable[[], nn.Module | None]

    @property
    def half(self) -> bool:
        return self.precision == "fp16-compute"


def check(context: Context, found: Findings) -> None:
    found.notes.append(NOTE)
    for subject in _subjects(context, found):
        measure(context, subject, found)


def measure(context: Context, subject: Subject, found: Findings) -> None:
    """Rows of one graph; a failure is told, and the graphs after it go on."""
    label = f"{subject.name} {subject.precision}"
    context.tell(label)
    try:
        backend = subject.open()
    except Exception as error:  # each runtime has errors of its own
        found.failures.append(f"{label}: {str(error).partition(chr(10))[0]}")
        return
    try:
        backend.warm_up(subject.sample)
        most = min((subject.max_batch, *backend.buckets[-1:]))
        beside = _PyTorch(context, subject, found)
        for batch in context.batches(most):
            rate, device_ms = _engine(context, subject, backend, batch)
            found.rows.append(
                {
                    "graph": subject.name,
                    "precision": subject.precision,
                    "batch": batch,
                    "samples/s": rate,
                    "device ms": device_ms,
                    **beside.row(batch, device_ms),
                }
            )
    except Exception as error:
        found.failures.append(f"{label}: {str(error).partition(chr(10))[0]}")
    finally:
        backend.close()


def _engine(
    context: Context, subject: Subject, backend: Backend, batch: int
) -> tuple[float, float]:
    """Samples a second from all slots, and milliseconds of a batch in the graph."""
    inputs = _repeated(subject.sample, batch)
    threads = context.compute.slots if context.compute.on_gpu else context.cores
    device_s: list[float] = []

    def run() -> None:
        outputs = backend.run(inputs)
        if isinstance(outputs, TimedOutputs):
            device_s.append(outputs.device_s)

    rate = pump(run, batch, threads=threads, seconds=context.window_s)
    alone = pump(run, batch, threads=1, seconds=context.window_s / 3)
    device_ms = min(device_s) * 1e3 if device_s else alone.batch_ms
    return rate.samples_per_s, device_ms


class _PyTorch:
    """Columns of PyTorch, as far as it is here and runs the network."""

    def __init__(self, context: Context, subject: Subject, found: Findings) -> None:
        self._context, self._subject, self._found = context, subject, found
        self._networks: dict[str, Any] = {}
        try:
            from benchmarks.gpu.torch_rate import TorchNetwork

            module = subject.module()
        except ImportError as error:
            self._note(f"not beside PyTorch: {error.name} is not installed")
            return
        if module is None:
            self._note(f"{subject.name}: which PyTorch network it comes from is not known")
            return
        place = f"cuda:{context.compute.gpus[0]}" if context.compute.on_gpu else "cpu"
        ways = ("eager",) if context.quick else ("eager", "compiled")
        for way in ways:
            self._networks[way] = TorchNetwork(
                module, place, half=subject.half, compiled=way == "compiled"
            )

    def row(self, batch: int, device_ms: float) -> dict[str, Cell]:
        cells: dict[str, Cell] = {}
        for way, network in list(self._networks.items()):
            inputs = _repeated(self._subject.sample, batch)
            try:
                seconds = network.seconds(inputs, for_s=self._context.window_s / 3)
            except Exception as error:  # the comparison is no promise of ours
                self._note(f"{self._subject.name}, {way}: {str(error).partition(chr(10))[0]}")
                del self._networks[way]
                continue
            cells[f"{way} ms"] = seconds * 1e3
        if isinstance(eager := cells.get("eager ms"), float):
            cells["× eager"] = eager / device_ms
        return cells

    def _note(self, text: str) -> None:
        if text not in self._found.notes:
            self._found.notes.append(text)


def _subjects(context: Context, found: Findings) -> Iterator[Subject]:
    for bundle in context.bundles():
        yield from _of(context, bundle)
        try:
            folder = context.make_folder(f"half-rate/{bundle.manifest.name}")
            yield from _of(context, halved(bundle, folder))
        except SkippedError as error:
            found.notes.append(f"{bundle.manifest.ref}: {error}")


def _of(context: Context, bundle: Bundle) -> Iterator[Subject]:
    golden = load_golden(bundle)
    for role, graph in bundle.manifest.graphs.items():
        yield Subject(
            f"{bundle.manifest.ref}/{role}",
            graph.precision,
            {name: value[:1] for name, value in golden[role][0].items()},
            graph.max_batch,
            lambda role=role: open_graph(  # type: ignore[misc]
                bundle, role, context.compute, cores=1
            ),
            lambda role=role: twin_of(bundle, role),  # type: ignore[misc]
        )


def _repeated(sample: Tensors, batch: int) -> Tensors:
    return {name: value.repeat(batch, axis=0) for name, value in sample.items()}
