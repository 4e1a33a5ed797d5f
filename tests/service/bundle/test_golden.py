"""The gate at load: golden tensors that are there, whole, and answered within tolerance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from service.bundle import (
    Bundle,
    BundleError,
    Graph,
    Manifest,
    Provenance,
    Tensors,
    TensorSpec,
    check_golden,
    load_golden,
    save_golden,
    write_bundle,
)

TOLERANCE = 1e-3
X = np.arange(6, dtype=np.float32).reshape(3, 2)
GOLDEN = {"double": ({"x": X}, {"y": 2 * X, "total": X.sum(axis=1)})}


def tensor(name: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=("batch", *shape))


def write(
    folder: Path,
    golden: Mapping[str, tuple[Tensors, Tensors]] = GOLDEN,
    *,
    write_file: Callable[[Path], object] | None = None,
    tolerances: Mapping[str, float] = MappingProxyType({}),
    compared_by_share: tuple[str, ...] = (),
) -> Bundle:
    """A bundle whose graph is an empty file: what it would answer is up to the test."""
    folder.mkdir(exist_ok=True)
    graph_file, golden_file = folder / "double.onnx", folder / "golden.npz"
    graph_file.touch()
    if write_file is None:
        save_golden(golden_file, golden)
    else:
        write_file(golden_file)
    manifest = Manifest.model_construct(
        name="double",
        version=1,
        task="double",
        graphs={
            "double": Graph(
                file="double.onnx",
                precision="fp32",
                inputs=(tensor("x", 2),),
                outputs=(tensor("y", 2), tensor("total")),
                max_batch=4,
                golden_tolerance=TOLERANCE,
                golden_tolerances=dict(tolerances),
                compared_by_share=compared_by_share,
            )
        },
        provenance=Provenance(command="test", created=dt.datetime(2025, 1, 1, tzinfo=dt.UTC)),
        licence="Apache-2.0",
    )
    files = {"double.onnx": graph_file, "golden.npz": golden_file}
    return write_bundle(folder / "repository", manifest, files)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write(tmp_path / "made")


def answers(**changed: np.ndarray) -> Callable[[str, Tensors], Tensors]:
    def run(role: str, inputs: Tensors) -> Tensors:
        assert role == "double"
        x = inputs["x"]
        return {"y": 2 * x, "total": x.sum(axis=1)} | changed

    return run


def test_golden_tensors_survive_being_written_and_read(bundle: Bundle) -> None:
    inputs, outputs = load_golden(bundle)["double"]

    np.testing.assert_array_equal(inputs["x"], X)
    assert inputs["x"].dtype == np.float32
    assert set(outputs) == {"y", "total"}


def test_an_engine_that_answers_as_pytorch_did_passes(bundle: Bundle) -> None:
    assert check_golden(bundle, answers()) == {"double": 0.0}


def test_the_largest_difference_of_any_output_is_told(bundle: Bundle) -> None:
    total = X.sum(axis=1) + np.float32([0, -5e-4, 0])

    assert check_golden(bundle, answers(total=total))["double"] == pytest.approx(5e-4, rel=1e-2)


def test_an_output_may_have_a_tolerance_of_its_own(tmp_path: Path) -> None:
    """Pixels beside scores: each is held to its own, and counts in proportion to it."""
    bundle = write(tmp_path / "made", tolerances={"y": 0.5})

    assert check_golden(bundle, answers(y=2 * X + np.float32(0.25)))["double"] == pytest.approx(
        0.5 * TOLERANCE, rel=1e-3
    )
    with pytest.raises(BundleError, match=r"by 0.75, more than the 0.5 that .* allows of y"):
        check_golden(bundle, answers(y=2 * X + np.float32(0.75)))
    with pytest.raises(BundleError, match=r"more than the 0.001 that .* allows of total"):
        check_golden(bundle, answers(total=X.sum(axis=1) + np.float32(0.25)))


def test_numbers_that_are_names_may_differ_in_a_few_places(tmp_path: Path) -> None:
    """One cell of a map on the other side of an edge, however far apart the two ids are."""
    y = 2 * X
    y[0, 1] = 99
    few = write(tmp_path / "few", tolerances={"y": 0.2}, compared_by_share=("y",))
    none = write(tmp_path / "none", tolerances={"y": 0.1}, compared_by_share=("y",))

    assert check_golden(few, answers(y=y))["double"] == pytest.approx(TOLERANCE * (1 / 6) / 0.2)
    with pytest.raises(BundleError, match=r"by 0.167, more than the 0.1 that .* allows of y"):
        check_golden(none, answers(y=y))


def test_an_engine_that_drifts_is_refused_with_how_far(bundle: Bundle) -> None:
    reason = "'double' drifts from its golden outputs by 0.25, more than the 0.001"
    y = 2 * X
    y[1, 1] += 0.25

    with pytest.raises(BundleError, match=reason):
        check_golden(bundle, answers(y=y))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_not_finite_never_passes(bundle: Bundle, value: float) -> None:
    y = 2 * X
    y[2, 0] = value

    with pytest.raises(BundleError, match="drifts from its golden outputs by inf"):
        check_golden(bundle, answers(y=y))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_even_where_pytorch_gave_the_same(tmp_path: Path, value: float) -> None:
    y = np.full_like(X, value)
    bundle = write(tmp_path / "made", {"double": ({"x": X}, {"y": y})})

    with pytest.raises(BundleError, match="by inf"):
        check_golden(bundle, answers(y=y))


def test_half_precision_is_compared_with_what_pytorch_gave_in_full(bundle: Bundle) -> None:
    check_golden(bundle, answers(y=(2 * X).astype(np.float16)))


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64])
def test_outputs_of_whole_numbers_are_compared_without_wrapping(
    tmp_path: Path, dtype: type[np.generic]
) -> None:
    zeros, ones = np.zeros((3, 2), dtype), np.ones((3, 2), dtype)
    bundle = write(tmp_path / "made", {"double": ({"x": X}, {"y": zeros})})

    assert check_golden(bundle, answers(y=zeros)) == {"double": 0.0}
    with pytest.raises(BundleError, match="by 1,"):
        check_golden(bundle, answers(y=ones))


def test_an_output_of_another_shape_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"'double': y is \(3, 1\) where PyTorch gave \(3, 2\)"):
        check_golden(bundle, answers(y=X[:, :1]))


def test_an_output_that_is_missing_is_named(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="'double' has no output 'y'"):
        check_golden(bundle, lambda role, inputs: {"total": inputs["x"].sum(axis=1)})


def test_golden_inputs_that_the_engine_cannot_run_are_a_reason(bundle: Bundle) -> None:
    def run(role: str, inputs: Tensors) -> Tensors:
        raise RuntimeError("x has 2 columns where 3 are expected\nat line 7 of engine.cc")

    reason = "'double' cannot run its golden inputs: x has 2 columns where 3 are expected$"
    with pytest.raises(BundleError, match=reason):
        check_golden(bundle, run)


@pytest.mark.parametrize(
    ("golden", "reason"),
    [
        ({"double": ({}, {"y": X})}, "golden.npz has no full set of tensors for 'double'"),
        ({"double": ({"x": X}, {})}, "golden.npz has no full set of tensors for 'double'"),
        ({"double": ({"x": X, "z": X}, {"y": X})}, "golden.npz has no full set of tensors"),
        ({}, "golden.npz has no full set of tensors for 'double'"),
        ({"double": ({"x": X[:0]}, {"y": X[:0]})}, "golden.npz has an empty tensor for 'double'"),
        ({"other": ({"x": X}, {"y": X})}, "golden.npz cannot be read: 'other'"),
    ],
)
def test_golden_tensors_that_would_prove_nothing_are_refused(
    tmp_path: Path, golden: Mapping[str, tuple[Tensors, Tensors]], reason: str
) -> None:
    bundle = write(tmp_path / "made", golden)

    with pytest.raises(BundleError) as error:
        check_golden(bundle, answers())

    assert str(error.value).startswith(reason)


def save_truncated(path: Path) -> None:
    save_golden(path, GOLDEN)
    path.write_bytes(path.read_bytes()[:-100])


def save_damaged(path: Path) -> None:
    save_golden(path, {"double": ({"x": np.random.default_rng(0).random((500, 2))}, {"y": X})})
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(data)


def save_objects(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **{"double/in/x": np.array([{"a": "pickle"}], object)})


def save_one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, X)


def save_without_roles(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=X)


@pytest.mark.parametrize(
    "write_file",
    [
        Path.touch,
        lambda path: path.write_bytes(b"not an archive"),
        save_truncated,
        save_damaged,
        save_objects,
        save_one_array,
        save_without_roles,
    ],
)
def test_golden_tensors_that_cannot_be_read_are_a_reason(
    tmp_path: Path, write_file: Callable[[Path], object]
) -> None:
    bundle = write(tmp_path / "made", write_file=write_file)

    with pytest.raises(BundleError, match=r"^golden.npz cannot be read: "):
        load_golden(bundle)
