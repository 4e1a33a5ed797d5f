"""From an ONNX graph to a plan. The same calls do for TensorRT 10, 11 and TensorRT for RTX.

Networks are strongly typed, as they cannot but be since version 11: what is float16 or int8 in
the graph is so in the plan, and nothing else. Of float32 alone the builder may choose TF32.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.bundle import Graph
from service.engine.plans.adapting import adapted
from service.engine.plans.key import Precision, Profile, input_shapes
from service.engine.plans.tensorrt import PlanError, TensorRt

Progress = Callable[[str, float], None]
"""What is done now, and how much of it, from 0 to 1."""

_one_build = threading.Lock()
"""Two builds at a time would time each other's kernels, and share one log of what went wrong."""


@dataclass(frozen=True)
class BuildOptions:
    precision: Precision = "tf32"
    optimization_level: int = 3
    """0 to 5: how long kernels are looked for. 5 may take ten times as long as 3."""
    workspace_bytes: int | None = None
    """GPU memory that a kernel may use for itself; all there is without it."""
    build_for: str | None = None
    """A compute capability such as "SM89" instead of this machine's GPU: TensorRT for RTX alone
    can, and then needs none."""


@dataclass(frozen=True)
class Built:
    plan: bytes
    timings: bytes
    seconds: float


def build_plan(
    trt: TensorRt,
    file: Path,
    graph: Graph,
    profile: Profile,
    options: BuildOptions,
    *,
    timings: bytes = b"",
    on_progress: Progress | None = None,
    cancelled: threading.Event | None = None,
) -> Built:
    """Takes minutes and the whole GPU. PlanError where it cannot be done, or was cancelled."""
    stop = cancelled or threading.Event()
    with _one_build:
        if stop.is_set():
            raise PlanError("the build was given up")
        started = time.perf_counter()
        trt.complaints.take()
        builder = trt.module.Builder(trt.logger)
        if builder is None:
            raise PlanError(f"TensorRT cannot build here: {trt.complaints.take()}")
        network = parse(trt, builder, file)
        config = _configure(trt, builder, options)
        _add_profile(trt, builder, config, network, graph, profile)
        cache = _use_timings(trt, config, timings)
        # Bound to a name: TensorRT holds no reference of its own.
        monitor = _watch(trt, config, on_progress, stop)
        plan = builder.build_serialized_network(network.definition, config)
        del monitor
        if plan is None:
            why = "it was given up" if stop.is_set() else trt.complaints.take()
            raise PlanError(f"the build failed: {why}")
        kept = bytes(memoryview(cache.serialize())) if cache is not None else b""
        return Built(bytes(memoryview(plan)), kept, time.perf_counter() - started)


@dataclass(frozen=True)
class Parsed:
    """A network, with the parser that owns its weights."""

    definition: Any
    parser: Any


def parse(trt: TensorRt, builder: Any, file: Path) -> Parsed:
    """The graph as TensorRT reads it; PlanError with the first operator that it does not."""
    model = adapted(file)
    flags = trt.module.NetworkDefinitionCreationFlag
    typed = getattr(flags, "STRONGLY_TYPED", None)
    definition = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.module.OnnxParser(definition, trt.logger)
    if not parser.parse(model, str(file)):  # whose folder has the weights, where they lie beside
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        why = ": ".join(errors[0].splitlines()[:2]) if errors else trt.complaints.take()
        raise PlanError(f"TensorRT cannot read {file.name}: {why}")
    return Parsed(definition, parser)


def _configure(trt: TensorRt, builder: Any, options: BuildOptions) -> Any:
    config = builder.create_builder_config()
    config.builder_optimization_level = options.optimization_level
    if options.workspace_bytes is not None:
        pool = trt.module.MemoryPoolType.WORKSPACE
        config.set_memory_pool_limit(pool, options.workspace_bytes)
    if options.precision == "fp32":
        config.clear_flag(trt.module.BuilderFlag.TF32)
    if options.build_for is not None:
        capabilities = getattr(trt.module, "ComputeCapability", None)
        if not hasattr(capabilities, options.build_for):
            raise PlanError(f"{trt.name} {trt.version} does not build for {options.build_for}")
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(capabilities, options.build_for), 0)
    return config


def _add_profile(
    trt: TensorRt, builder: Any, config: Any, network: Parsed, graph: Graph, profile: Profile
) -> None:
    shapes = [input_shapes(graph, batch) for batch in (1, profile.best, profile.most)]
    given = {
        tensor.name: tuple(tensor.shape)
        for index in range(network.definition.num_inputs)
        if (tensor := network.definition.get_input(index)) is not None
    }
    for name, shape in shapes[0].items():
        # -1 where the graph leaves it open.
        if name not in given or any(g not in (-1, s) for g, s in zip(given[name], shape)):  # noqa: B905
            raise PlanError(f"the graph's input {name!r} is not as the manifest says")
    wanted = builder.create_optimization_profile()
    for name in given:
        wanted.set_shape(name, *(each[name] for each in shapes))
    if config.add_optimization_profile(wanted) < 0:
        raise PlanError(f"TensorRT does not take {profile}: {trt.complaints.take()}")


def _use_timings(trt: TensorRt, config: Any, timings: bytes) -> Any:
    """A cache that the build reads and adds to. One of another version counts as none."""
    if trt.for_rtx:  # where they do nothing, and warn of it
        return None
    for known in (timings, b""):
        cache = config.create_timing_cache(known)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    return None


def _watch(
    trt: TensorRt, config: Any, on_progress: Progress | None, stop: threading.Event
) -> object:
    """Tell how far the build is, and end it when it must; it is kept alive by the caller."""
    base: Any = getattr(trt.module, "IProgressMonitor", None)
    if base is None or not hasattr(config, "progress_monitor"):
        return None

    class Monitor(base):  # type: ignore[misc]  # a class of an Any
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}
            self._outermost: str | None = None

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._steps[phase] = steps
            if not parent:
                self._outermost = phase

        def step_complete(self, phase: str, step: int) -> bool:
            if on_progress is not None and phase == self._outermost:
                on_progress(phase, (step + 1) / max(self._steps[phase], 1))
            return not stop.is_set()

        def phase_finish(self, phase: str) -> None:
            if on_progress is not None and phase == self._outermost:
                on_progress(phase, 1.0)

    config.progress_monitor = monitor = Monitor()
    return monitor
