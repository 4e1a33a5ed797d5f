"""How a device stands, and what that means for the jobs that come and those that are here."""

from __future__ import annotations

from dataclasses import dataclass

from service.engine.job import Job
from service.engine.lane import Lane
from service.errors import ClientGoneError, DeadlineError, PanoptesError, UnavailableError


@dataclass
class Standing:
    """Under the device's lock."""

    draining: bool = False
    """Nothing new is taken; what is here is finished."""
    stopped: bool = False
    """Nothing runs any more."""
    lost: str | None = None
    """What the device died of, until it is rebuilt."""

    @property
    def healthy(self) -> bool:
        """Whether what is queued may run."""
        return self.lost is None and not self.stopped

    def check_open(self, lane: Lane) -> None:
        """UnavailableError where nothing new is taken."""
        if self.draining or lane.closing:
            raise UnavailableError(
                "the server is stopping" if self.draining else "the model is being unloaded"
            )
        if self.lost is not None:
            raise UnavailableError("the device is being rebuilt")

    def check_alive(self, lane: Lane) -> None:
        """UnavailableError only where nothing will ever run again: for what was promised."""
        if self.stopped or lane.closed:
            raise UnavailableError(
                "the server is stopping" if self.stopped else "the model was unloaded"
            )

    def why_drop(self, lane: Lane, job: Job, now: float) -> PanoptesError | None:
        """Why it is no use to go on with a job; None if it is."""
        if job.abandoned:
            return ClientGoneError("the client went away")
        if lane.closed:
            return UnavailableError("the model was unloaded")
        if self.stopped:
            return UnavailableError("the server is stopping")
        return too_late(job) if job.deadline <= now else None


def too_late(job: Job) -> DeadlineError:
    done = job.steps - job.steps_left
    return DeadlineError(
        f"the deadline passed after {done} of {job.steps} steps" if done else "the deadline passed"
    )
