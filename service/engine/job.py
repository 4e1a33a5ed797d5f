"""A job: one sample of one request, from the bytes that came to the answer that goes."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

Sample = dict[str, npt.NDArray[np.generic]]
"""Tensors of one sample by name, without the batch axis."""


class Priority(enum.IntEnum):
    """How long a job may be passed over by others: its patience, in seconds, is in `PATIENCE_S`."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


PATIENCE_S = {Priority.HIGH: 0.1, Priority.NORMAL: 1.0, Priority.LOW: 10.0}


class State(enum.Enum):
    NEW = "new"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


@dataclass(slots=True)
class Timing:
    """Where a job's time went; steps add up."""

    queue_s: float = 0.0
    prepare_s: float = 0.0
    run_s: float = 0.0
    finish_s: float = 0.0
    largest_batch: int = 0


def _no_next_step(outputs: Sample, step: int) -> Sample:
    raise AssertionError(f"a job of one step was asked for the inputs of step {step}")


def _settled(*_: object) -> NoReturn:
    raise AssertionError("a settled job was asked to go on")


def _unheard(job: Job) -> None:
    """The null listener."""


@dataclass(slots=True, eq=False)
class Job:
    """What a task asks of the engine for one sample.

    `prepare` (bytes to the tensors of the first step), `advance` (outputs of a step to the inputs
    of the next) and `finish` (outputs of the last step to the result) run on a worker's thread.
    A PanoptesError that they raise is this job's outcome and no one else's.
    `on_done` is called exactly once, on whichever thread settles the job.

    The fields below the line belong to the device that the job was submitted to.
    """

    prepare: Callable[[], Sample]
    finish: Callable[[Sample], Any]
    advance: Callable[[Sample, int], Sample] = _no_next_step
    steps: int = 1
    deadline: float = math.inf
    priority: Priority = Priority.NORMAL
    probe: bool = False
    """Nobody waits for it but the server: it neither takes all of an idle device nor counts as
    asking."""
    on_done: Callable[[Job], None] = _unheard

    # ---
    state: State = State.NEW
    steps_left: int = field(init=False)
    then_s: float = 0.0
    """What is to follow on other lanes takes at least so long."""
    predicted_s: float = 0.0
    """From `came_at` to the answer, where that is to be compared; 0 otherwise."""
    place: int = 0
    """So many jobs of its lane are settled by then, if no one overtakes it."""
    inputs: Sample | None = None
    came_at: float = 0.0
    ready_at: float = 0.0
    abandoned: bool = False
    lost_devices: int = 0
    timing: Timing = field(default_factory=Timing)
    result: Any = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"a job of {self.steps} steps")
        self.steps_left = self.steps

    def release(self) -> None:
        """Let go of the request's bytes and tensors: a settled job needs them no more."""
        self.inputs = None
        self.prepare = self.advance = self.finish = _settled

    def tell(self) -> None:
        """Let the listener know, who is then let go of: he may know the job."""
        hear, self.on_done = self.on_done, _unheard
        hear(self)

    def outcome(self) -> Any:
        """The result, or raises what went wrong."""
        if self.error is not None:
            raise self.error
        return self.result
