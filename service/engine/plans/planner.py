"""Finding and building the plans of one kind of GPU."""

from __future__ import annotations

import threading

from service.bundle import Bundle
from service.engine.plans.builder import BuildOptions, Built, Progress, build_plan
from service.engine.plans.cache import Found, PlanCache
from service.engine.plans.key import PlanKey, Target, digest_of, profile_of
from service.engine.plans.policy import PlanPolicy
from service.engine.plans.tensorrt import TensorRt


class Planner:
    """`build_for` is the builder's: a compute capability instead of the GPU of this machine."""

    def __init__(
        self,
        trt: TensorRt,
        policy: PlanPolicy,
        *,
        gpu: str,
        sm: str,
        build_for: str | None = None,
    ) -> None:
        self.trt = trt
        self.policy = policy
        self.cache = PlanCache(policy.folder)
        self.target = Target(gpu=gpu, sm=sm, library=trt.name, version=trt.version)
        self._options = BuildOptions(
            precision=policy.precision,
            optimization_level=policy.optimization_level,
            workspace_bytes=policy.workspace_bytes,
            build_for=build_for,
        )

    def key(self, bundle: Bundle, role: str) -> PlanKey:
        """PlanError where the graph cannot have a plan."""
        graph = bundle.manifest.graphs[role]
        return PlanKey(
            graph_sha256=digest_of(bundle.manifest, role),
            target=self.target,
            precision=self.policy.precision,
            profile=profile_of(graph, self.policy.best_batch),
        )

    def find(self, bundle: Bundle, role: str) -> Found:
        """PlanError with the reason where there is none to use."""
        return self.cache.find(self.key(bundle, role))

    def look(self, bundle: Bundle, role: str) -> Found | None:
        """What is in the plan's place: one to use, one that was refused; None for anything else."""
        return self.cache.look(self.key(bundle, role))

    def build(
        self,
        bundle: Bundle,
        role: str,
        *,
        on_progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> Built:
        """PlanError where it cannot be done. What was learned of kernels is kept."""
        graph = bundle.manifest.graphs[role]
        built = build_plan(
            self.trt,
            bundle.file(graph.file),
            graph,
            self.key(bundle, role).profile,
            self._options,
            timings=self.cache.timings(self.target),
            on_progress=on_progress,
            cancelled=cancelled,
        )
        if built.timings:
            self.cache.store_timings(self.target, built.timings)
        return built

    def store(self, bundle: Bundle, role: str, built: Built, *, refused: str = "") -> Found:
        return self.cache.store(
            self.key(bundle, role),
            built.plan,
            graph=f"{bundle.manifest.ref}/{role}",
            build_s=built.seconds,
            optimization_level=self.policy.optimization_level,
            refused=refused,
        )
