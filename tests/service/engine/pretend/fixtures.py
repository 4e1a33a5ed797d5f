"""A machine with one GPU and TensorRT, pretended."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from service.engine.backends import cuda_memory, gpus
from service.engine.plans import tensorrt as plans_tensorrt
from tests.service.engine.pretend import tensorrt
from tests.service.engine.pretend.cuda import PretendCuda

GPU = gpus.GpuFound(0, "Pretended GPU", "90", 1 << 30)


@dataclass
class Machine:
    cuda: PretendCuda
    faults: set[str]
    builds: list[bytes]
    gate: threading.Event
    """Builds wait for it; it is open."""
    begun: threading.Event
    """Set when one does."""
    watchers: list[Callable[[dict[str, np.ndarray]], None]]


@contextlib.contextmanager
def pretended_gpu() -> Iterator[Machine]:
    with pytest.MonkeyPatch.context() as patch:
        cuda = PretendCuda()
        patch.setattr(tensorrt, "CUDA", cuda)
        patch.setattr(tensorrt, "FAULTS", set())
        patch.setattr(tensorrt, "BUILDS", [])
        patch.setattr(tensorrt, "WATCHERS", [])
        tensorrt.GATE.set()
        tensorrt.BEGUN.clear()
        patch.setattr(cuda_memory, "runtime", cuda)
        patch.setattr(gpus, "gpus", lambda: [GPU])
        patch.setattr(plans_tensorrt, "NAMES", (tensorrt.__name__,))
        plans_tensorrt.find_tensorrt.cache_clear()
        yield Machine(
            cuda,
            tensorrt.FAULTS,
            tensorrt.BUILDS,
            gate=tensorrt.GATE,
            begun=tensorrt.BEGUN,
            watchers=tensorrt.WATCHERS,
        )
        plans_tensorrt.find_tensorrt.cache_clear()
