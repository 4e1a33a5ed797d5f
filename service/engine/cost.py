"""What a batch costs: T(batch), measured at warm-up and refreshed by every run; and how far that
was off."""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable, Sequence

SMOOTHING = 0.1
FEW, MANY = 10, 200
"""A size that ran n times in about the last `MANY` runs moves by the nth part of what is new; what
ran less than `FEW` times moves no faster."""
PAYS = 0.1
"""A larger batch must make a sample at least this much cheaper to be worth its latency."""

TRY_EVERY = 64
"""Batches between two trials of another size. One that promises to pay after all is repeated after
the next batch."""

FORGETTING = 0.02
"""The share by which each job that is done makes earlier ones count for less."""
SLOWEST = 4.0
"""Times as long as expected: more is a pause and no pace."""


class CostCurve:
    """Seconds of one worker for a batch of b samples: T(b) = run(b) + b · host.

    `run(b)` was measured at each batch size that was seen, and is interpolated between; `host` is
    what decoding and answering take for one sample. Not locked: its lane's device is the one owner.

    How fast the device is changes by the second, with its clock and its neighbours. So what a run
    took tells first how slow the device is now, for every size, and only little by little what
    this size costs beside the others: sizes that were seen at different times can be compared.

    With `buckets`, a batch costs what the next of them does, to which it is padded.
    """

    def __init__(self, buckets: Sequence[int] = ()) -> None:
        self._buckets = tuple(buckets)
        self._sizes: list[int] = []
        self._usual_s: dict[int, float] = {}
        """Of each size, on a device of slowness 1."""
        self._of_late: dict[int, float] = {}
        """Runs of each size among about the last `MANY`. A weight that goes by anything faster
        lets sizes that disturb each other drift away from those that do not run."""
        self._slowness = 1.0
        self._latest = 0
        """The size that ran last."""
        self._host_s: float | None = None
        self._since_tried = 0
        self._tried_less = False

    def observe_run(self, batch: int, seconds: float) -> None:
        if seconds <= 0:  # the clock was too coarse
            return
        batch = self._padded(batch)
        latest, self._latest = self._latest, batch
        if batch not in self._usual_s:
            self._begin(batch, seconds)
            return
        times = seconds / self._run(batch)
        if times * (1 + PAYS) < 1 and self._would_pay(batch, seconds, latest):
            self._since_tried = TRY_EVERY - 2
            self._tried_less = batch > latest
        self._learn(batch, _within(times, SLOWEST))

    def observe_host(self, seconds: float) -> None:
        """Seconds to prepare and finish one sample."""
        if self._host_s is None:
            self._host_s = seconds
        self._host_s += SMOOTHING * (seconds - self._host_s)

    def seconds(self, batch: int) -> float:
        """T(batch); 0 while nothing was measured, so that a new lane admits its first jobs."""
        return self._run(batch) + batch * (self._host_s or 0.0)

    def paying_batch(self, available: int) -> int:
        """The smallest batch, of at most `available`, that is within `PAYS` of the cheapest."""
        if available == 1 or not self._sizes:
            return available
        smaller = self._sizes[: bisect.bisect_left(self._sizes, available)]
        cheapest = self._usually(self._padded(available)) / available
        for batch in smaller:
            cheapest = min(cheapest, self._usual_s[batch] / batch)
        host_s = (self._host_s or 0.0) / self._slowness
        enough = (cheapest + host_s) * (1 + PAYS) - host_s
        for batch in smaller:
            if self._usual_s[batch] / batch <= enough:
                return batch
        return available

    def batch_to_run(self, available: int) -> int:
        """The paying batch, or now and then twice or half as much, to learn what that costs.

        Twice always where the largest size that was seen pays: the curve may go on falling.
        Otherwise rarely: a size that once seemed dear or cheap by chance would be shunned, or
        kept, for ever.
        """
        batch = self.paying_batch(available)
        if not self._sizes:
            return batch
        if self._sizes[-1] <= batch < available:
            self._since_tried = 0
            return min(2 * batch, available)
        self._since_tried += 1
        if self._since_tried < TRY_EVERY:
            return batch
        self._since_tried = 0
        self._tried_less = batch > 1 and not self._tried_less
        return batch // 2 if self._tried_less else min(2 * batch, available)

    def points(self) -> dict[int, float]:
        """The measured curve, for people and for sizing."""
        return {b: self.seconds(b) for b in self._sizes}

    def _would_pay(self, batch: int, seconds: float, latest: int) -> bool:
        """Whether it would pay in place of the size that ran before it, if it always took so long.
        Much less dear than it seemed is not enough."""
        host_s = self._host_s or 0.0
        each_s = seconds / batch + host_s
        latest_each_s = self._run(latest) / latest + host_s
        if batch > latest:
            return each_s * (1 + PAYS) < latest_each_s
        return batch < latest and each_s < latest_each_s * (1 + PAYS)

    def _begin(self, batch: int, seconds: float) -> None:
        """A size that was never seen, whose first run may hold a pause too."""
        if self._sizes:
            seconds = min(seconds, SLOWEST * self._run(batch))
        bisect.insort(self._sizes, batch)
        self._usual_s[batch] = seconds / self._slowness
        self._of_late[batch] = FEW

    def _learn(self, batch: int, times: float) -> None:
        """A run took so many times as long as expected: as powers, so that as much faster undoes
        as much slower."""
        for size in self._sizes:
            self._of_late[size] *= 1 - 1 / MANY
        self._of_late[batch] += 1
        slowness = self._slowness * times**SMOOTHING
        self._slowness = _within(slowness, SLOWEST)
        # More than that is no slowness, but what this size costs.
        lasting = slowness / self._slowness
        self._usual_s[batch] *= times ** (1 / max(self._of_late[batch], FEW)) * lasting

    def _padded(self, batch: int) -> int:
        at = bisect.bisect_left(self._buckets, batch)
        return self._buckets[at] if at < len(self._buckets) else batch

    def _run(self, batch: int) -> float:
        return self._slowness * self._usually(self._padded(batch)) if self._sizes else 0.0

    def _usually(self, batch: int) -> float:
        if (seen_s := self._usual_s.get(batch)) is not None:
            return seen_s
        at = bisect.bisect_left(self._sizes, batch)
        if at == 0:  # smaller than any seen: cost does not fall below proportion
            return self._usual_s[self._sizes[0]] * batch / self._sizes[0]
        below = self._sizes[at - 1]
        if at == len(self._sizes):  # larger than any seen: assume no further gain
            return self._usual_s[below] * batch / below
        above = self._sizes[at]
        share = (batch - below) / (above - below)
        return self._usual_s[below] * (1 - share) + self._usual_s[above] * share


def _within(times: float, most: float) -> float:
    return min(max(times, 1 / most), most)


class Pace:
    """How much longer the jobs of a lane take than predicted. No cost shows what workers wait for:
    the interpreter, a core that others want as well."""

    def __init__(self) -> None:
        self._predicted_s = 0.0
        self._taken_s = 0.0

    def observe(self, predicted_s: float, taken_s: float) -> None:
        """Of one job; one that waited long says more than one that did not."""
        self._predicted_s += predicted_s - FORGETTING * self._predicted_s
        self._taken_s += taken_s - FORGETTING * self._taken_s

    @property
    def factor(self) -> float:
        if self._taken_s <= self._predicted_s or not self._predicted_s:
            return 1.0
        return min(self._taken_s / self._predicted_s, SLOWEST)


def fastest_s(run: Callable[[], object], times: int, long_s: float = math.inf) -> float:
    """The fastest of so many runs, of which the first that takes long is the last: a neighbour only
    ever slows."""
    taken: list[float] = []
    while len(taken) < times and (not taken or taken[-1] < long_s):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return min(taken)
