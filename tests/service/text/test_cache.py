"""What is remembered of texts, and how much of it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from service.text import TextCache, TextOutput
from service.text.cache import OVERHEAD_BYTES


def output(value: float, size: int = 4) -> TextOutput:
    return TextOutput(np.full(size, value, np.float32), tokens=3, truncated=False)


def test_what_was_put_is_got_by_model_and_text() -> None:
    cache = TextCache(10_000)
    cache.put("one", "red", output(1))
    cache.put("other", "red", output(2))
    assert cache.get("one", "red").values.tolist() == [1] * 4
    assert cache.get("other", "red").values.tolist() == [2] * 4
    assert cache.get("one", "Red") is None
    assert cache.get("none", "red") is None


def test_it_owns_its_numbers() -> None:
    cache = TextCache(10_000)
    batch = np.zeros((1000, 4), np.float32)
    kept = cache.put("m", "red", TextOutput(batch[3], 3, False))
    assert kept is cache.get("m", "red")
    assert kept.values.base is None
    batch[3] = 9
    assert kept.values.tolist() == [0] * 4
    with pytest.raises(ValueError, match="read-only"):
        kept.values[0] = 1


def test_the_least_recently_used_is_forgotten_first() -> None:
    each = 16 + 4 + OVERHEAD_BYTES  # four numbers, one letter
    cache = TextCache(3 * each)
    for letter in "abc":
        cache.put("m", letter, output(0))
    assert cache.size_bytes == 3 * each
    cache.get("m", "a")
    cache.put("m", "d", output(0))
    assert [cache.get("m", letter) is not None for letter in "abcd"] == [True, False, True, True]
    assert cache.size_bytes == 3 * each


def test_long_texts_count_too() -> None:
    cache = TextCache(10_000)
    cache.put("m", "x" * 2000, output(0))
    assert 8000 < cache.size_bytes <= 10_000
    cache.put("m", ("y" * 2000, "z"), output(0))
    assert len(cache) == 1
    assert cache.get("m", "x" * 2000) is None


def test_what_is_put_again_counts_once() -> None:
    cache = TextCache(10_000)
    cache.put("m", "a", output(1))
    before = cache.size_bytes
    cache.put("m", "a", output(2))
    assert (len(cache), cache.size_bytes) == (1, before)
    assert cache.get("m", "a").values[0] == 2


def test_what_is_too_large_is_given_back_and_not_kept() -> None:
    cache = TextCache(1000)
    cache.put("m", "a", output(1))
    assert cache.put("m", "b", output(2, size=1000)).values[0] == 2
    assert cache.get("m", "b") is None
    assert cache.get("m", "a") is not None
    nothing = TextCache(0)
    nothing.put("m", "a", output(1))
    assert (len(nothing), nothing.size_bytes) == (0, 0)


def test_many_threads_keep_it_within_its_bound() -> None:
    cache = TextCache(20 * OVERHEAD_BYTES)

    def work(seed: int) -> None:
        for i in np.random.default_rng(seed).integers(0, 60, 500).tolist():
            if cache.get("m", str(i)) is None:
                cache.put("m", str(i), output(i))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = [cache.get("m", str(i)) for i in range(60)]
    kept = [found for found in left if found is not None]
    assert 0 < len(kept) == len(cache) < 20
    assert all(found.values[0] == i for i, found in enumerate(left) if found is not None)
    assert cache.size_bytes == sum(
        OVERHEAD_BYTES + 16 + 4 * len(str(i)) for i, found in enumerate(left) if found is not None
    )
