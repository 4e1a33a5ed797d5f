"""Plans that are built while the server answers, and models that are opened anew with them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator

from service.engine.backends.planned import make_plan, planners_of
from service.engine.backends.unplanned import Unplanned
from service.engine.compute import Compute, ComputeError
from service.engine.model import Model
from service.engine.plans.key import digest_of
from service.engine.plans.tensorrt import PlanError
from service.registry import Registry

log = logging.getLogger(__name__)


class Renewal:
    """Of every model that becomes ready, builds what it lacks, one after the other.

    A graph is tried once: what cannot be built would not be built the next time either.
    """

    def __init__(self, registry: Registry, compute: Compute) -> None:
        self._registry = registry
        self._compute = compute
        self._waiting: asyncio.Queue[Model] = asyncio.Queue()
        self._tried: set[str] = set()
        self._stop = threading.Event()
        registry.on_ready.append(self._waiting.put_nowait)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Works in the background inside; a build that is under way at the end is given up."""
        work = asyncio.create_task(self._loop())
        try:
            yield
        finally:
            self._stop.set()
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work

    async def _loop(self) -> None:
        while True:
            model = await self._waiting.get()
            built = [
                await asyncio.to_thread(self._build, lane.backend)
                for lane in model.lanes.values()
                if isinstance(lane.backend, Unplanned)
            ]
            if any(built):
                await self._registry.renew(model)
            del model  # or a version that is unloaded would be held until the next one comes
            self._waiting.task_done()

    async def settled(self) -> None:
        """Until nothing is left to try, of the models that are ready now."""
        await self._waiting.join()

    def _build(self, lacking: Unplanned) -> bool:
        """Whether the graph has plans now that it had not."""
        bundle, role = lacking.bundle, lacking.role
        name = f"{bundle.manifest.ref}/{role}"
        digest = digest_of(bundle.manifest, role)
        if digest in self._tried or self._stop.is_set():
            return False
        self._tried.add(digest)
        try:
            # GPUs of one kind share a plan: the second one finds it.
            for gpu, planner in zip(self._compute.gpus, planners_of(self._compute), strict=True):
                if planner.look(bundle, role) is None:
                    log.info("%s: building a plan for %s", name, planner.target)
                    make_plan(planner, bundle, role, self._compute, gpu=gpu, cancelled=self._stop)
                planner.find(bundle, role)
        except (PlanError, ComputeError) as error:
            if not self._stop.is_set():
                log.warning("%s stays on ONNX Runtime: %s", name, error)
            return False
        except Exception:
            log.exception("%s stays on ONNX Runtime", name)
            return False
        return True
