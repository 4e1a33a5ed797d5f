"""A column over several files indexes like the one array it stands for."""

from pathlib import Path

import numpy as np
import pytest

from models.data.world.columns import ShardedArray


@pytest.fixture
def whole() -> np.ndarray:
    return np.arange(10 * 3 * 2, dtype=np.int32).reshape(10, 3, 2)


@pytest.fixture
def column(tmp_path: Path, whole: np.ndarray) -> ShardedArray:
    files = []
    for number, (first, stop) in enumerate([(0, 4), (4, 5), (5, 10)]):
        files.append(tmp_path / f"{number}.npy")
        np.save(files[-1], whole[first:stop])
    return ShardedArray(files)


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(4),
        slice(None),
        slice(2, 8),
        slice(None, None, -3),
        slice(7, 2),
        [9, 0, 4, 4, -10],
        np.array([[1, 5], [6, 2]]),
        np.arange(10) % 3 == 0,
        (3, 1),
        (slice(3, 6), slice(None), 1),
        (np.array([8, 1]), 2),
    ],
    ids=str,
)
def test_it_indexes_like_an_array(column: ShardedArray, whole: np.ndarray, key: object) -> None:
    np.testing.assert_array_equal(column[key], whole[key])  # type: ignore[call-overload]


def test_it_becomes_an_array(column: ShardedArray, whole: np.ndarray) -> None:
    np.testing.assert_array_equal(np.asarray(column), whole)
    assert np.asarray(column, dtype=np.float64).dtype == np.float64
    assert (column.shape, column.dtype, column.ndim) == (whole.shape, whole.dtype, 3)


def test_it_iterates_over_rows(column: ShardedArray, whole: np.ndarray) -> None:
    np.testing.assert_array_equal(np.stack(list(column)), whole)


@pytest.mark.parametrize("key", [10, -11, [0, 10], [-11], np.ones(9, dtype=bool)])
def test_it_refuses_what_lies_outside(column: ShardedArray, key: object) -> None:
    with pytest.raises(IndexError):
        column[key]
