"""Several copies of one graph behind one queue."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Sequence

import numpy as np

from service.engine.backends.backend import Tensors
from service.engine.backends.replicas import Replicas


class Gated:
    """Adds one; while it is held it stays in its run."""

    def __init__(self, buckets: Sequence[int] = (1, 2, 4)) -> None:
        self.buckets = buckets
        self.entered, self.leave = threading.Event(), threading.Event()
        self.runs = 0
        self.done: list[str] = []

    def warm_up(self, sample: Tensors) -> None:
        self.done.append("warm")

    def run(self, inputs: Tensors, *, alone: bool = False) -> Tensors:
        self.runs += 1
        self.entered.set()
        assert self.leave.wait(10)
        return {"y": inputs["x"] + 1}

    def rebuild(self) -> None:
        self.done.append("rebuilt")

    def close(self) -> None:
        self.done.append("closed")


def test_a_batch_goes_where_the_fewest_are() -> None:
    first, second = Gated(), Gated()
    both = Replicas([first, second])
    x = np.zeros(1)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        one = pool.submit(both.run, {"x": x})
        assert first.entered.wait(10)
        other = pool.submit(both.run, {"x": x + 5})
        assert second.entered.wait(10)
        second.leave.set()
        assert other.result()["y"] == 6
        first.leave.set()
        assert one.result()["y"] == 1
    assert (first.runs, second.runs) == (1, 1)


def test_one_that_failed_is_free_again() -> None:
    class Failing(Gated):
        def run(self, inputs: Tensors, *, alone: bool = False) -> Tensors:
            self.runs += 1
            raise ValueError("no")

    both = Replicas([Failing(), Failing()])
    for _ in range(4):
        try:
            both.run({"x": np.zeros(1)})
        except ValueError:
            continue
    assert both._under_way == [0, 0]


def test_all_of_them_are_warmed_rebuilt_and_closed() -> None:
    parts = [Gated(), Gated((1, 2))]
    both = Replicas(parts)

    assert both.buckets == (1, 2)
    both.warm_up({})
    both.rebuild()
    both.close()
    assert [part.done for part in parts] == [["warm", "rebuilt", "closed"]] * 2
