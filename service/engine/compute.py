"""On what the engine computes: the processor or GPUs, and how much of them it may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from service.engine.plans.policy import PlanPolicy

Kind = Literal["cpu", "cuda", "tensorrt"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class ComputeError(Exception):
    """The device that was asked for is not to be had here; the message says what is missing."""


@dataclass(frozen=True)
class Compute:
    device: Kind = "cpu"
    gpus: tuple[int, ...] = (0,)
    """Every graph is loaded on each of them, and all serve one queue."""
    slots: int = 2
    """Batches that one GPU may have at a time: one runs, the others are gathered and copied."""
    gpu_memory_bytes: int | None = None
    """The most that the arena of one graph may take on one GPU; all there is without it."""
    cuda_graphs: bool = True
    """Record the launches of a batch once and replay them, where a graph allows it."""
    allow_cpu: bool = False
    """Serve from the processor where a GPU was asked for and cannot be had."""
    plans: PlanPolicy = field(default_factory=PlanPolicy)
    """Of TensorRT."""

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def name(self) -> str:
        """Of the device in metrics and logs."""
        if not self.on_gpu:
            return "cpu"
        return f"{self.device}:{','.join(map(str, self.gpus))}"
