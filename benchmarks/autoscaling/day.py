"""One day: requests come and go with the hours, and the scaler looks every 15 seconds."""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from benchmarks.autoscaling.pods import Fleet
from benchmarks.autoscaling.scaler import Policy, Scaler

DAY_S = 86_400.0
LOOK_S = 15.0
"""Between two scrapes, and between two looks of the scaler."""
AVERAGED = 4
"""Scrapes in the minute that the adapter and KEDA average over."""


@dataclass(frozen=True)
class World:
    """What pods are, and what comes."""

    workers: int = 2
    sample_s: float = 0.2
    """A sample takes this long on one worker, give or take a tenth."""
    start_s: float = 30.0
    """From the scaler's wish to a pod that is ready: place, start, load, probe."""
    patience_s: float = 30.0
    """The server's deadline: what would be later is refused."""
    length_s: float = DAY_S
    seed: int = 0


def day(second: float) -> float:
    """Requests a second: a night, a working day with two humps, and a rush at half past one."""
    hour = second / 3600
    humps = 40 * math.exp(-(((hour - 10.5) / 2.2) ** 2)) + 50 * math.exp(
        -(((hour - 16.0) / 3.0) ** 2)
    )
    rush = 2.5 if 13.5 <= hour < 13.5 + 1 / 3 else 1.0
    return (6 + humps) * rush


@dataclass
class Run:
    """What a day was like: one entry a look, and one a request."""

    looks_s: list[float] = field(default_factory=list)
    pods: list[int] = field(default_factory=list)
    arrived_s: list[float] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def pod_hours(self) -> float:
        return sum(self.pods) * LOOK_S / 3600

    def percentile_s(self, percent: float) -> float:
        return float(np.percentile(self.latency_s, percent))

    def share_above(self, seconds: float) -> float:
        """Of all requests; one that is refused has waited too long as well."""
        late = int((np.asarray(self.latency_s) > seconds).sum()) + self.refused
        return late / (len(self.latency_s) + self.refused)

    def by_minute(self, percent: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Hour of the day and percentile of the latency, a minute each."""
        arrived, latency = np.asarray(self.arrived_s), np.asarray(self.latency_s)
        edges = np.searchsorted(arrived, np.arange(0, arrived[-1] + 60, 60))
        spans = [(a, b) for a, b in itertools.pairwise(edges) if b > a]
        return (
            np.array([arrived[a] / 3600 for a, _ in spans]),
            np.array([np.percentile(latency[a:b], percent) for a, b in spans]),
        )


def simulate(policy: Policy, traffic: Callable[[float], float], world: World) -> Run:
    rng = random.Random(world.seed)
    fleet = Fleet(policy.least, workers=world.workers, start_s=world.start_s, rng=rng)
    scaler = Scaler(policy, policy.least)
    minute: deque[tuple[int, int]] = deque(maxlen=AVERAGED)
    run = Run()
    now_s = 0.0
    while now_s < world.length_s:
        _requests(fleet, traffic, world, rng, now_s, run)
        now_s += LOOK_S
        seen = [pod.look(now_s) for pod in fleet.ready]
        minute.append((sum(r for r, _ in seen), sum(q for _, q in seen)))
        running, queued = (sum(each) / len(minute) for each in zip(*minute, strict=True))
        totals = {"panoptes_running": running, "panoptes_queue_depth": queued}
        fleet.resize(now_s, scaler.decide(now_s, totals))
        run.looks_s.append(now_s)
        run.pods.append(fleet.size)
    return run


def _requests(
    fleet: Fleet,
    traffic: Callable[[float], float],
    world: World,
    rng: random.Random,
    from_s: float,
    run: Run,
) -> None:
    """Poisson arrivals until the next look; the rate is that of the look's beginning."""
    rate = traffic(from_s)
    second = from_s + rng.expovariate(rate)
    while second < from_s + LOOK_S:
        fleet.arrive(second)
        takes_s = world.sample_s * (0.9 + 0.2 * rng.random())
        end_s = fleet.pick().take(second, takes_s, world.patience_s)
        if end_s is None:
            run.refused += 1
        else:
            run.arrived_s.append(second)
            run.latency_s.append(end_s - second)
        second += rng.expovariate(rate)
