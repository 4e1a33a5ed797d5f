"""T(batch) between, below and beyond what was measured, and the batch that pays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from service.engine.cost import SLOWEST, TRY_EVERY, CostCurve, Pace
from tests.service.engine.scripted import measured


def accelerator(batch: int) -> float:
    """Mostly launch: eight cost little more than one."""
    return 0.010 + 0.001 * batch


def processor(batch: int) -> float:
    """Every sample costs the same."""
    return 0.010 * batch


def test_nothing_measured_costs_nothing() -> None:
    assert CostCurve().seconds(5) == 0.0


def test_a_size_that_was_measured_costs_what_was_measured() -> None:
    curve = measured(accelerator, 1, 2, 4, 8)

    assert [curve.seconds(b) for b in (1, 2, 4, 8)] == pytest.approx(
        [accelerator(b) for b in (1, 2, 4, 8)]
    )


def test_between_two_measured_sizes_the_cost_is_interpolated() -> None:
    assert measured(lambda b: b**2, 2, 6).seconds(3) == pytest.approx(4 + (36 - 4) / 4)


def test_below_and_beyond_what_was_measured_the_cost_is_proportional() -> None:
    curve = measured(accelerator, 2, 8)

    assert curve.seconds(1) == pytest.approx(accelerator(2) / 2)
    assert curve.seconds(16) == pytest.approx(2 * accelerator(8))


def test_the_host_adds_to_each_sample() -> None:
    curve = measured(accelerator, 1, 4)
    curve.observe_host(0.5)

    assert curve.seconds(4) == pytest.approx(accelerator(4) + 4 * 0.5)


def test_a_curve_follows_a_device_that_became_slower() -> None:
    curve = measured(processor, 1)
    curve.observe_run(1, 0.020)
    assert 0.010 < curve.seconds(1) < 0.012, "one outlier must not carry the curve away"

    for _ in range(100):
        curve.observe_run(1, 0.020)

    assert curve.seconds(1) == pytest.approx(0.020, rel=1e-3)
    assert curve.points() == {1: curve.seconds(1)}


def test_where_samples_share_a_launch_the_largest_batch_pays() -> None:
    curve = measured(accelerator, 1, 2, 4, 8)

    assert [curve.paying_batch(b) for b in (1, 3, 5, 8)] == [1, 3, 5, 8]


def test_where_each_sample_costs_the_same_a_batch_of_one_pays() -> None:
    curve = measured(processor, 1, 2, 4, 8)

    assert [curve.paying_batch(b) for b in (1, 3, 5, 8)] == [1, 1, 1, 1]


def test_a_batch_that_saves_next_to_nothing_is_not_worth_its_latency() -> None:
    saturated = {1: 0.012, 2: 0.014, 4: 0.020, 8: 0.0396}

    assert measured(saturated.__getitem__, *saturated).paying_batch(8) == 4


def test_work_on_the_host_makes_batches_pay_less() -> None:
    curve = measured(accelerator, 1, 2, 4, 8)
    curve.observe_host(0.5)

    assert curve.paying_batch(8) == 1


def test_a_size_that_was_never_seen_is_tried_and_learned_from() -> None:
    curve = measured(accelerator, 1)
    tried = []
    while (batch := curve.batch_to_run(8)) not in tried:
        tried.append(batch)
        curve.observe_run(batch, accelerator(batch))

    assert tried == [2, 4, 8]


def test_what_was_tried_and_did_not_pay_is_left() -> None:
    curve = measured(processor, 1)
    for _ in range(3):
        batch = curve.batch_to_run(8)
        curve.observe_run(batch, processor(batch))

    assert [curve.batch_to_run(8) for _ in range(10)] == [1] * 10


def test_a_size_that_seemed_dear_by_chance_is_tried_again() -> None:
    curve = measured(accelerator, 1)
    curve.observe_run(2, 0.050)
    tried = set()
    for _ in range(20 * TRY_EVERY):
        batch = curve.batch_to_run(8)
        tried.add(batch)
        curve.observe_run(batch, accelerator(batch))

    assert curve.paying_batch(8) == 8
    assert tried == {1, 2, 4, 8}


def test_a_size_that_seemed_cheap_by_chance_is_left_again() -> None:
    curve = measured(processor, 1)
    curve.observe_run(2, 0.016)
    assert curve.paying_batch(8) == 2
    for _ in range(6 * TRY_EVERY):
        batch = curve.batch_to_run(8)
        curve.observe_run(batch, processor(batch))

    assert curve.paying_batch(8) == 1


def test_a_trial_that_promises_much_is_repeated_soon() -> None:
    curve = measured(processor, 1, 2, 4, 8, 16)
    batches = 0
    while curve.paying_batch(16) < 16:  # runs wait for something that is the same for all sizes
        batch = curve.batch_to_run(16)
        curve.observe_run(batch, accelerator(batch))
        batches += 1

    assert batches < 4 * TRY_EVERY


def test_a_trial_that_is_only_less_dear_than_it_seemed_stays_rare() -> None:
    curve = measured(processor, 1)
    curve.observe_run(2, 10 * processor(2))  # the first run of a size, or a pause
    ran = Counter[int]()
    for _ in range(10 * TRY_EVERY):
        batch = curve.batch_to_run(8)
        ran[batch] += 1
        curve.observe_run(batch, processor(batch))

    assert ran.keys() == {1, 2}
    assert ran[2] == 10


def test_pauses_never_add_up_to_more_than_the_longest_of_them() -> None:
    random = np.random.default_rng(0)
    curve = measured(accelerator, 1, 2, 4, 8)
    for _ in range(20_000):
        batch = curve.batch_to_run(int(random.integers(1, 9)))
        pause_s = random.uniform(1, 3) if random.random() < 0.05 else 0.0
        curve.observe_run(batch, accelerator(batch) + pause_s)
        assert max(curve.points().values()) < 10 * accelerator(8)

    for size in (1, 2, 4, 8):
        assert curve.seconds(size) == pytest.approx(accelerator(size), rel=0.6)


def test_a_size_seen_for_the_first_time_in_a_pause_is_no_lasting_fright() -> None:
    curve = measured(accelerator, 1)
    curve.observe_run(2, 30.0)

    assert curve.seconds(2) <= SLOWEST * 2 * accelerator(1)


def test_sizes_that_disturb_each_other_are_told_apart_for_ever() -> None:
    def cold_after_another(batch: int, before: int) -> float:
        return accelerator(batch) * (1.0 if batch == before else 1.3)

    curve = measured(accelerator, 1, 2, 8)
    before = 2
    for batch in [1, 1, 1, 2] * 100_000:
        curve.observe_run(batch, cold_after_another(batch, before))
        before = batch

    assert curve.seconds(1) == pytest.approx(1.1 * accelerator(1), rel=0.15)
    assert curve.seconds(2) == pytest.approx(1.3 * accelerator(2), rel=0.15)
    assert curve.seconds(8) == pytest.approx(accelerator(8), rel=0.3), "it never ran since"


def test_a_slow_minute_makes_every_size_slower() -> None:
    curve = measured(accelerator, 1, 2, 4, 8)
    for _ in range(100):
        curve.observe_run(8, accelerator(8))
    for _ in range(30):
        curve.observe_run(8, 1.5 * accelerator(8))

    assert curve.seconds(8) == pytest.approx(1.5 * accelerator(8), rel=0.02)
    assert curve.seconds(2) == pytest.approx(1.5 * accelerator(2), rel=0.1)


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(processor, 1), (lambda b: 0.01 * b * (1.0 if b == 1 else 0.8), 2), (accelerator, 16)],
)
def test_a_device_whose_speed_drifts_does_not_mislead(
    seconds: Callable[[int], float], wanted: int
) -> None:
    random = np.random.default_rng(0)
    curve = measured(seconds, 1)
    drift, samples = 0.0, Counter[int]()
    while samples.total() < 10_000:
        batch = curve.batch_to_run(16)
        drift = 0.99 * drift + 0.14 * random.normal(0, 0.15)  # for seconds, by 15 %
        curve.observe_run(batch, seconds(batch) * math.exp(drift + random.normal(0, 0.05)))
        samples[batch] += batch

    assert samples[wanted] > 0.9 * samples.total()


def test_a_lane_that_was_never_measured_takes_all_there_is() -> None:
    assert CostCurve().paying_batch(5) == 5


def test_a_padded_batch_costs_what_its_bucket_does() -> None:
    curve = CostCurve(buckets=(1, 2, 4, 8))
    for batch, seconds in ((1, 1.0), (4, 2.0), (8, 6.0)):
        curve.observe_run(batch, seconds)

    assert [curve.seconds(batch) for batch in (3, 4, 5, 8)] == [2.0, 2.0, 6.0, 6.0]
    assert curve.paying_batch(5) == 4  # five would be run as eight
    curve.observe_run(5, 6.0)
    assert list(curve.points()) == [1, 4, 8]


def test_a_pace_that_is_unknown_or_better_than_predicted_changes_nothing() -> None:
    pace = Pace()
    assert pace.factor == 1.0

    pace.observe(predicted_s=0.4, taken_s=0.3)

    assert pace.factor == 1.0


def test_the_pace_is_that_of_late_and_of_those_that_waited_long() -> None:
    pace = Pace()
    for _ in range(300):
        pace.observe(predicted_s=0.4, taken_s=0.6)
    pace.observe(predicted_s=0.001, taken_s=0.1)
    assert pace.factor == pytest.approx(1.5, abs=0.02)

    for _ in range(300):
        pace.observe(predicted_s=0.4, taken_s=0.4)

    assert pace.factor == pytest.approx(1.0, abs=0.01)


def test_a_pause_is_no_pace() -> None:
    pace = Pace()

    pace.observe(predicted_s=0.01, taken_s=30.0)

    assert pace.factor == SLOWEST
