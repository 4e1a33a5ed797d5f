"""Which backend runs a graph: one line a kind of device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from service.bundle import Bundle
from service.engine.backends.backend import Backend
from service.engine.compute import Compute, ComputeError, Kind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    open: Callable[[Bundle, str, Compute, int], Backend]
    """Loads the graph of a role; the last is how many cores a batch may have."""
    check: Callable[[Compute], None]
    """ComputeError, in words that say what to do, where this cannot be computed on."""


def open_graph(bundle: Bundle, role: str, compute: Compute, *, cores: int) -> Backend:
    """ComputeError, or whatever the runtime raises of a graph that it cannot load."""
    return BACKENDS[compute.device].open(bundle, role, compute, cores)


def check_compute(compute: Compute) -> None:
    """Before anything is loaded: ComputeError unless it is to be had or the processor will do."""
    try:
        BACKENDS[compute.device].check(compute)
    except ComputeError as error:
        if not compute.allow_cpu:
            raise
        log.warning("%s is not to be had, the processor will do: %s", compute.name, error)


# Imported when they are needed: a server on the processor has none of CUDA's packages.


def _on_cpu(bundle: Bundle, role: str, compute: Compute, cores: int) -> Backend:
    from service.engine.backends.onnxruntime import OnnxRuntimeBackend

    graph = bundle.manifest.graphs[role]
    outputs = [output.name for output in graph.outputs]
    return OnnxRuntimeBackend(bundle.file(graph.file), outputs=outputs, cores=cores)


def _on_cuda(bundle: Bundle, role: str, compute: Compute, cores: int) -> Backend:
    from service.engine.backends.cuda import open_cuda

    graph = bundle.manifest.graphs[role]
    return open_cuda(bundle.file(graph.file), compute, max_batch=graph.max_batch)


def _on_tensorrt(bundle: Bundle, role: str, compute: Compute, cores: int) -> Backend:
    from service.engine.backends.planned import open_planned

    def without_plan() -> Backend:
        try:
            _check_cuda(compute)
            return _on_cuda(bundle, role, compute, cores)
        except ComputeError as error:
            log.warning("%s/%s runs on the processor: %s", bundle.manifest.ref, role, error)
            return _on_cpu(bundle, role, compute, cores)

    return open_planned(bundle, role, compute, without_plan)


def _check_cpu(compute: Compute) -> None:
    """There always is one."""


def _check_cuda(compute: Compute) -> None:
    from service.engine.backends.cuda import check_cuda

    check_cuda(compute)


def _check_tensorrt(compute: Compute) -> None:
    from service.engine.backends.planned import check_tensorrt

    check_tensorrt(compute)


BACKENDS: Final[Mapping[Kind, Choice]] = {
    "cpu": Choice(_on_cpu, _check_cpu),
    "cuda": Choice(_on_cuda, _check_cuda),
    "tensorrt": Choice(_on_tensorrt, _check_tensorrt),
}
