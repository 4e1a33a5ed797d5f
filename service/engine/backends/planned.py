"""Graphs on TensorRT by their plans; those without one run on ONNX Runtime until they have one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from service.bundle import Bundle, BundleError, Graph, check_golden, load_golden
from service.engine.backends import gpus as driver
from service.engine.backends.backend import Backend, DeviceLostError, OutOfMemoryError
from service.engine.backends.batches import buckets_up_to
from service.engine.backends.replicas import Replicas
from service.engine.backends.unplanned import Unplanned
from service.engine.compute import Compute, ComputeError
from service.engine.plans.builder import Progress
from service.engine.plans.cache import Found
from service.engine.plans.planner import Planner
from service.engine.plans.tensorrt import PlanError, find_tensorrt

log = logging.getLogger(__name__)


def check_tensorrt(compute: Compute) -> None:
    """ComputeError, in words that say what to do, unless plans can be run on these GPUs."""
    planners_of(compute)
    try:
        from service.engine.backends import cuda_memory  # noqa: F401
    except ImportError as error:
        raise ComputeError("TensorRT needs: pip install 'panoptes[tensorrt]'") from error


def planners_of(compute: Compute) -> list[Planner]:
    """One a GPU. ComputeError where there is no such GPU, or no TensorRT."""
    try:
        trt = find_tensorrt()
        found = {gpu.index: gpu for gpu in driver.gpus()}
    except (PlanError, driver.NoDriverError) as error:
        raise ComputeError(str(error)) from None
    if missing := [index for index in compute.gpus if index not in found]:
        names = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in found.values()) or "none"
        raise ComputeError(f"there is no GPU {missing[0]}; there is {names}")
    here = [found[index] for index in compute.gpus]
    return [Planner(trt, compute.plans, gpu=gpu.name, sm=gpu.sm) for gpu in here]


def open_planned(
    bundle: Bundle, role: str, compute: Compute, fallback: Callable[[], Backend]
) -> Backend:
    """By plan on every GPU, or not at all."""
    try:
        planners = planners_of(compute)
        plans = [planner.find(bundle, role) for planner in planners]
        backends = [
            _run_plan(planner, plan.read, bundle.manifest.graphs[role], compute, gpu)
            for planner, plan, gpu in zip(planners, plans, compute.gpus, strict=True)
        ]
    except (PlanError, ComputeError) as error:
        log.warning("%s/%s runs on ONNX Runtime: %s", bundle.manifest.ref, role, error)
        return Unplanned(fallback(), bundle, role, str(error))
    return backends[0] if len(backends) == 1 else Replicas(backends)


def make_plan(
    planner: Planner,
    bundle: Bundle,
    role: str,
    compute: Compute,
    *,
    gpu: int,
    on_progress: Progress | None = None,
    cancelled: threading.Event | None = None,
) -> Found:
    """Build a plan, hold it to the golden outputs, and keep it; PlanError where one fails.

    One that drifts is kept too, marked as refused: or it would be built again at every start.
    """
    built = planner.build(bundle, role, on_progress=on_progress, cancelled=cancelled)
    try:
        refused = _drift(planner, built.plan, bundle, role, compute, gpu)
    except (OutOfMemoryError, DeviceLostError) as error:  # which says nothing of the plan
        raise PlanError(f"it was built, but could not be tried: {error}") from error
    found = planner.store(bundle, role, built, refused=refused)
    if refused:
        raise PlanError(refused)
    return found


def _drift(
    planner: Planner, plan: bytes, bundle: Bundle, role: str, compute: Compute, gpu: int
) -> str:
    """Why a plan must not be used, by the golden outputs; empty where it may."""
    backend = _run_plan(planner, lambda: plan, bundle.manifest.graphs[role], compute, gpu)
    try:
        golden = {role: load_golden(bundle)[role]}
        check_golden(bundle, lambda _, inputs: backend.run(inputs), golden=golden)
    except BundleError as error:
        if isinstance(error.__cause__, OutOfMemoryError | DeviceLostError):
            raise error.__cause__ from None
        return str(error)
    finally:
        backend.close()
    return ""


def _run_plan(
    planner: Planner, read: Callable[[], bytes], graph: Graph, compute: Compute, gpu: int
) -> Backend:
    from service.engine.backends.tensorrt import TensorRtBackend

    return TensorRtBackend(
        planner.trt,
        read,
        graph,
        gpu=gpu,
        slots=compute.slots,
        buckets=buckets_up_to(graph.max_batch),
        turn=driver.turn_of(gpu),
        record=compute.cuda_graphs,
    )
