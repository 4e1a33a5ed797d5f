"""A lane: one loaded graph, its queue and its cost curve."""

from __future__ import annotations

import heapq
import itertools

from service.engine.backends.backend import Backend
from service.engine.cost import CostCurve, Pace
from service.engine.job import PATIENCE_S, Job, Priority, State

_sequence = itertools.count()


class Lane:
    """Owned by its device: everything here is read and written under the device's lock.

    Jobs wait in order of the earlier of two moments: when the job must start its next step to meet
    its deadline, and when the patience ends that it came with. The second makes a job age without
    being sorted anew, so that no priority starves another; and those that came first are done
    first, so that what was promised to them holds whoever comes later. Where a batch has room, all
    of them share it.

    How urgent the lane is beside others goes by its first job, which ages from its last step: a job
    of many steps so shares the device with other lanes instead of holding it.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        *,
        max_batch: int,
        capacity: int,
        cost: CostCurve | None = None,
    ) -> None:
        if max_batch < 1 or capacity < 1:
            raise ValueError(f"lane {name}: max_batch {max_batch}, capacity {capacity}")
        self.name = name
        self.backend = backend
        self.capacity = capacity
        self.batch_cap = max_batch
        self.cost = cost or CostCurve()
        self.pace = Pace()
        self.closing = False  # takes no more jobs
        self.closed = False  # keeps none either
        self.queued = 0
        self.running = 0
        self.holds = 0
        self._settled = 0
        # What is pending, by priority.
        self._jobs = [0] * len(Priority)
        self._steps = [0] * len(Priority)
        self._heap: list[tuple[float, int, Job]] = []

    @property
    def pending(self) -> int:
        """Samples that were admitted and are not settled."""
        return self.queued + self.running

    @property
    def steps_pending(self) -> int:
        return sum(self._steps)

    def admit(self, job: Job, now: float) -> None:
        """Count a job in, before it is pushed for the first time."""
        job.came_at = now
        self._jobs[job.priority] += 1
        self._steps[job.priority] += job.steps_left

    def expect(self, job: Job, predicted_s: float) -> None:
        """Of a job that was just admitted: compare what is predicted with what comes true."""
        job.predicted_s = predicted_s
        job.place = self._settled + self.pending + self.batch_cap  # in a batch all are equal

    def compare(self, job: Job, now: float) -> None:
        """The job is done. One that others overtook was late for their sake, and says nothing."""
        if job.predicted_s and self._settled <= job.place:
            self.pace.observe(job.predicted_s, now - job.came_at)

    def count_step(self, job: Job) -> None:
        job.steps_left -= 1
        self._steps[job.priority] -= 1

    def work_beside_s(self, steps: int, priority: Priority) -> float:
        """What runs here while a job of another lane does so many steps, beside what runs now.

        At each of them, every job here does one that is as urgent or more. Those of more patience
        wait.
        """
        jobs = sum(self._jobs[: priority + 1])
        pending = sum(self._steps[: priority + 1])
        return self.work_s(min(pending, jobs * steps) - self.running, jobs)

    def work_s(self, steps: int, jobs: int) -> float:
        """Seconds of one worker for so many steps, shared by so many jobs, batched as they pay."""
        if steps <= 0:
            return 0.0
        most = min(jobs, self.batch_cap)
        batch = self.cost.paying_batch(most)
        alike = max(steps // batch - 1, 0)
        total_s, steps = alike * self.cost.seconds(batch), steps - alike * batch
        while steps > 0:  # the last ones take what is left, as it pays then
            batch = self.cost.paying_batch(min(steps, most))
            total_s += self.cost.seconds(batch)
            steps -= batch
        return total_s

    def push(self, job: Job, now: float) -> None:
        job.state = State.QUEUED
        job.ready_at = now
        turn = min(self._latest_start(job), job.came_at + PATIENCE_S[job.priority])
        heapq.heappush(self._heap, (turn, next(_sequence), job))
        self.queued += 1

    def urgency(self) -> float | None:
        """How urgent the first job is beside those of other lanes; None when no job waits."""
        if (job := self.head()) is None:
            return None
        return min(self._latest_start(job), job.ready_at + PATIENCE_S[job.priority])

    def head(self) -> Job | None:
        """The job whose turn it is; None when no job waits."""
        while self._heap and self._heap[0][2].state is not State.QUEUED:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def needs_preparing(self) -> bool:
        """The job whose turn it is has no inputs yet."""
        return (job := self.head()) is not None and job.inputs is None

    def pop(self, now: float) -> Job | None:
        """The job whose turn it is, now running; None when no job waits."""
        if self.head() is None:
            return None
        job = heapq.heappop(self._heap)[2]
        job.state = State.RUNNING
        job.timing.queue_s += now - job.ready_at
        self.queued -= 1
        self.running += 1
        return job

    def waiting(self) -> list[Job]:
        """Every job in the queue, in no order."""
        return [job for _, _, job in self._heap if job.state is State.QUEUED]

    def forget(self, job: Job, now: float) -> None:
        """Count a job out that is settled."""
        self._settled += 1
        if job.state is State.QUEUED:
            job.timing.queue_s += now - job.ready_at
            self.queued -= 1
        elif job.state is State.RUNNING:
            self.running -= 1
        self._jobs[job.priority] -= 1
        self._steps[job.priority] -= job.steps_left
        job.state = State.DONE
        job.release()
        if len(self._heap) > 2 * self.queued + 64:  # what was forgotten must not hold memory
            self._heap = [entry for entry in self._heap if entry[2].state is State.QUEUED]
            heapq.heapify(self._heap)

    def _latest_start(self, job: Job) -> float:
        return job.deadline - job.then_s - job.steps_left * self.cost.seconds(1)
