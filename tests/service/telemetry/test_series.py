"""Held against the client library's own metrics, which are another implementation."""

import random
import threading

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from service.telemetry.series import FOLD_AT, Counter, Histogram

BOUNDS = (0.001, 0.01, 0.1, 1.0, 10.0)


def test_it_says_what_the_client_library_says() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Histogram("h", "Text", ["lane"], BOUNDS, registry=ours)
    reference = prometheus_client.Histogram("h", "Text", ["lane"], registry=theirs, buckets=BOUNDS)
    chance = random.Random(0)
    values = [*BOUNDS, 0.0, 99.0, *(chance.expovariate(5.0) for _ in range(2 * FOLD_AT))]
    for lane in ("a", "b"):
        for value in values:
            mine.labels(lane).observe(value)
            reference.labels(lane).observe(value)
    for lane in ("a", "b"):
        for le in ("0.001", "0.01", "0.1", "1.0", "10.0", "+Inf"):
            labels = {"lane": lane, "le": le}
            expected = theirs.get_sample_value("h_bucket", labels)
            assert ours.get_sample_value("h_bucket", labels) == expected
        total = theirs.get_sample_value("h_sum", {"lane": lane})
        assert total is not None
        found = ours.get_sample_value("h_sum", {"lane": lane})
        assert found is not None
        assert abs(found - total) < 1e-6 * total
    assert b'h_count{lane="a"}' in generate_latest(ours)


def test_no_value_is_lost_between_threads() -> None:
    histogram = Histogram("h", "Text", [], BOUNDS)
    series = histogram.labels()
    many = 3 * FOLD_AT

    def observe() -> None:
        for _ in range(many):
            series.observe(0.5)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        series.read()
    for thread in threads:
        thread.join()
    buckets, total = series.read()
    assert buckets[-1] == ("+Inf", 4 * many)
    assert total == 0.5 * 4 * many


def test_a_counter_says_what_the_client_library_says() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Counter("c", "Text", ["lane", "reason"], registry=ours)
    reference = prometheus_client.Counter("c", "Text", ["lane", "reason"], registry=theirs)
    for lane, reason, values in (("a", "full", [1, 3]), ("a", "late", []), ("b", "full", [2])):
        for value in values:
            mine.labels(lane, reason).observe(value)
            reference.labels(lane, reason).inc(value)
        mine.labels(lane, reason), reference.labels(lane, reason)
    said = generate_latest(theirs).decode().splitlines()
    assert generate_latest(ours).decode().splitlines() == [
        line for line in said if "c_created" not in line
    ]
