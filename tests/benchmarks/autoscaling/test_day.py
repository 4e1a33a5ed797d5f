"""The simulated queues wait as queueing theory says, and a day adds up."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.autoscaling.__main__ import MANIFEST
from benchmarks.autoscaling.day import World, simulate
from benchmarks.autoscaling.pods import Fleet, Pod
from benchmarks.autoscaling.scaler import read_policy


@pytest.mark.parametrize(("workers", "busy"), [(1, 0.5), (1, 0.8), (2, 0.7), (4, 0.9)])
def test_a_pod_is_an_erlang_c_queue(workers: int, busy: float) -> None:
    """M/M/c: exponential arrivals and services, against the closed form."""
    rng = random.Random(1)
    pod = Pod([0.0] * workers)
    now, waited, samples = 0.0, 0.0, 200_000
    for _ in range(samples):
        now += rng.expovariate(busy * workers)
        takes = rng.expovariate(1.0)
        end = pod.take(now, takes, math.inf)
        assert end is not None
        waited += end - takes - now
        pod.given.clear()
    load = busy * workers
    last = load**workers / math.factorial(workers) / (1 - busy)
    queues = last / (sum(load**k / math.factorial(k) for k in range(workers)) + last)
    assert waited / samples == pytest.approx(queues / (workers - load), rel=0.06)


def test_a_pod_runs_no_more_than_its_workers() -> None:
    pod = Pod([0.0, 0.0])
    for _ in range(5):
        pod.take(0.0, 1.0, math.inf)
    assert pod.look(0.5) == (2, 3)
    assert pod.look(1.5) == (2, 1)
    assert pod.look(2.5) == (1, 0)
    assert pod.look(3.5) == (0, 0)


def test_what_would_be_too_late_is_refused() -> None:
    pod = Pod([0.0])
    assert pod.take(0.0, 2.0, patience_s=3.0) == 2.0
    assert pod.take(0.0, 2.0, patience_s=3.0) is None
    assert pod.take(1.0, 2.0, patience_s=3.0) == 4.0


def test_pods_take_time_to_come_and_none_to_go() -> None:
    fleet = Fleet(2, workers=1, start_s=30.0, rng=random.Random(0))
    fleet.resize(0.0, 4)
    fleet.arrive(29.0)
    assert (fleet.size, len(fleet.ready)) == (4, 2)
    fleet.arrive(30.0)
    assert len(fleet.ready) == 4
    fleet.resize(31.0, 3)
    assert (fleet.size, len(fleet.ready)) == (3, 3)


def test_every_request_is_answered_or_refused_and_the_fleet_follows_the_load() -> None:
    policy = read_policy(MANIFEST)
    world = World(length_s=3600.0)
    run = simulate(policy, lambda s: 60.0 if s >= 1200 else 5.0, world)
    assert len(run.latency_s) + run.refused == pytest.approx(1200 * 5 + 2400 * 60, rel=0.02)
    assert min(run.latency_s) >= world.sample_s * 0.9
    assert run.pods[70] == policy.least
    # 60 a second of 0.2 s on pods of two workers: six are busy, at 0.7 it takes nine.
    assert np.median(run.pods[-100:]) == pytest.approx(60 * 0.2 / 1.4, abs=1.5)
    late = np.asarray(run.latency_s)[np.asarray(run.arrived_s) > 1800]
    assert np.percentile(late, 99) < 1.0


def test_the_queue_alone_sees_a_load_too_late() -> None:
    """Why the manifests scale on what runs as well."""
    policy = read_policy(MANIFEST)
    queue = {name: t for name, t in policy.targets.items() if name == "panoptes_queue_depth"}
    world = World(length_s=3600.0)
    both, alone = (
        simulate(p, lambda s: 10.0 + s / 72, world)
        for p in (policy, replace(policy, targets=queue))
    )
    assert both.percentile_s(99) < alone.percentile_s(99) / 2
