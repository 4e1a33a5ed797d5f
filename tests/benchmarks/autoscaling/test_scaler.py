"""The simulated autoscaler follows the rules of the real one, with what k8s/ ships."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.autoscaling.__main__ import MANIFEST
from benchmarks.autoscaling.scaler import Policy, Scaler, Step, read_policy

QUEUE = "panoptes_queue_depth"
POLICY = Policy(
    targets={QUEUE: 4.0},
    least=2,
    most=20,
    up=Step(percent=100, pods=4, period_s=30),
    down=Step(percent=25, pods=0, period_s=60),
    down_after_s=300,
)


def test_the_shipped_policy_is_read_from_the_manifest() -> None:
    policy = read_policy(MANIFEST)
    assert policy == replace(POLICY, targets={"panoptes_running": 1.4, QUEUE: 4.0})


@pytest.mark.parametrize(
    ("replicas", "total", "wanted"),
    [
        (4, 17.0, 4),  # 1.06 of the target: within the tolerance
        (4, 18.0, 5),
        (4, 32.0, 8),
        (4, 400.0, 8),  # no more than double, or four more, within 30 s
        (2, 400.0, 6),
        (12, 400.0, 20),  # never more than the most
    ],
)
def test_it_goes_up_at_once_but_not_too_far(replicas: int, total: float, wanted: int) -> None:
    assert Scaler(POLICY, replicas).decide(0.0, {QUEUE: total}) == wanted


def test_of_several_metrics_the_one_that_wants_most_decides() -> None:
    policy = replace(POLICY, targets={QUEUE: 4.0, "panoptes_running": 1.4})
    both = {QUEUE: 0.0, "panoptes_running": 7.0}
    assert Scaler(policy, 4).decide(0.0, both) == 5


def test_it_goes_down_by_the_largest_wish_of_five_minutes() -> None:
    scaler = Scaler(POLICY, 8)
    assert scaler.decide(0.0, {QUEUE: 32.0}) == 8
    counts = [scaler.decide(float(s), {QUEUE: 0.0}) for s in range(15, 900, 15)]
    assert counts[: 300 // 15 - 1] == [8] * 19
    assert counts[300 // 15 - 1] == 6  # a quarter a minute
    assert counts[-1] == 2
