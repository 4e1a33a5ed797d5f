"""The path of a batch through bound buffers, on the processor, where every copy is real too."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.bundle import load_golden
from service.engine.backends.backend import DeviceLostError, OutOfMemoryError
from service.engine.backends.batches import buckets_up_to
from service.engine.backends.binding import UnboundError
from service.engine.backends.bound import BoundBackend
from service.engine.backends.memory import HostMemory
from service.engine.backends.onnxruntime import OnnxRuntimeBackend
from tests.bundles import write_tiny_classifier, write_tiny_detector

F32, F16, I64, U8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.UINT8


def write(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, list[int | str]]],
    outputs: dict[str, tuple[int, list[int | str]]],
    **constants: np.ndarray,
) -> Path:
    def infos(ports: dict[str, tuple[int, list[int | str]]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, *port) for name, port in ports.items()]

    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", infos(inputs), infos(outputs), weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path)
    return path


def write_doubling(folder: Path) -> Path:
    """x [batch, 3] -> y = x + x."""
    return write(
        folder / "doubling.onnx",
        [helper.make_node("Add", ["x", "x"], ["y"])],
        {"x": (F32, ["batch", 3])},
        {"y": (F32, ["batch", 3])},
    )


def write_reading(folder: Path) -> Path:
    """index [batch, 1] -> y, a number of a table of 10: beyond that the run fails."""
    return write(
        folder / "reading.onnx",
        [helper.make_node("Gather", ["table", "index"], ["y"])],
        {"index": (I64, ["batch", 1])},
        {"y": (F32, ["batch", 1])},
        table=np.arange(10, dtype=np.float32) * 3,
    )


def opening(path: Path) -> Callable[[bool], ort.InferenceSession]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return lambda record: ort.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )


def bound(path: Path, *, max_batch: int = 8, slots: int = 2, record: bool = False) -> BoundBackend:
    return BoundBackend(
        opening(path),
        lambda session: HostMemory(),
        max_batch=max_batch,
        slots=slots,
        turn=threading.Lock(),
        record=record,
    )


def rows(count: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + 3 * count, dtype=np.float32).reshape(count, 3)


def test_buckets_double_up_to_the_largest() -> None:
    assert buckets_up_to(1) == (1,)
    assert buckets_up_to(8) == (1, 2, 4, 8)
    assert buckets_up_to(12) == (1, 2, 4, 8, 12)


@pytest.mark.parametrize("write_bundle", [write_tiny_classifier, write_tiny_detector])
def test_every_batch_size_is_answered_as_by_a_plain_run(
    tmp_path: Path, write_bundle: Callable[[Path], object]
) -> None:
    bundle = write_bundle(tmp_path)
    ((role, graph),) = bundle.manifest.graphs.items()
    path, names = bundle.file(graph.file), [output.name for output in graph.outputs]
    plain = OnnxRuntimeBackend(path, outputs=names, cores=1)
    backend = bound(path, max_batch=4)
    inputs, _ = load_golden(bundle)[role]

    for batch in range(1, 10):  # past the largest bucket too
        asked = {
            name: np.resize(value, (batch, *value.shape[1:])) for name, value in inputs.items()
        }
        expected, found = plain.run(asked), backend.run(asked)
        assert list(found) == names
        for name in names:
            assert found[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{name} {batch}")


def test_an_answer_is_not_touched_by_the_batches_after_it(tmp_path: Path) -> None:
    backend = bound(write_doubling(tmp_path), slots=1)

    first = backend.run({"x": rows(3)})["y"]
    backend.run({"x": rows(3, start=100)})

    np.testing.assert_array_equal(first, 2 * rows(3))


def test_buffers_stay_where_they_are(tmp_path: Path) -> None:
    backend = bound(write_doubling(tmp_path), slots=1)
    (slot,) = backend._now().slots.every

    def addresses() -> dict[int, list[int]]:
        return {
            size: [pair.address for pair in (*made._inputs.values(), *made._outputs.values())]
            for size, made in slot._bindings.items()
        }

    backend.run({"x": rows(3)})
    before = addresses()
    for batch in (4, 3, 4):
        backend.run({"x": rows(batch)})

    assert list(before) == [4]
    assert addresses() == before


def test_threads_that_share_two_slots_get_their_own_answers(tmp_path: Path) -> None:
    backend = bound(write_doubling(tmp_path), slots=2)
    batches = [rows(1 + i % 8, start=i) for i in range(300)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda x: backend.run({"x": x})["y"], batches))

    for x, found in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(found, 2 * x)


def test_what_waits_for_its_turn_is_not_counted_as_run(tmp_path: Path) -> None:
    turn = threading.Lock()
    backend = BoundBackend(
        opening(write_doubling(tmp_path)),
        lambda session: HostMemory(),
        max_batch=4,
        slots=2,
        turn=turn,
    )
    backend.run({"x": rows(1)})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with turn:
            running = pool.submit(backend.run, {"x": rows(1)})
            assert not concurrent.futures.wait([running], timeout=0.3).done
        assert running.result().device_s < 0.2


def test_outputs_whose_size_only_the_run_tells_are_cut_to_the_batch(tmp_path: Path) -> None:
    # As many columns as the largest count in the batch.
    path = write(
        tmp_path / "growing.onnx",
        [
            helper.make_node("ReduceMax", ["count"], ["most"], keepdims=1),
            helper.make_node("Reshape", ["most", "one"], ["columns"]),
            helper.make_node("Concat", ["one", "columns"], ["shape"], axis=0),
            helper.make_node("Expand", ["count", "shape"], ["wide"]),
            helper.make_node("Add", ["x", "x"], ["y"]),
        ],
        {"count": (I64, ["batch", 1]), "x": (F32, ["batch", 3])},
        {"wide": (I64, ["batch", "columns"]), "y": (F32, ["batch", 3])},
        one=np.array([1]),
    )
    backend = bound(path, record=True)

    found = backend.run({"count": np.array([[2], [5], [1]]), "x": rows(3)})

    np.testing.assert_array_equal(found["wide"], np.repeat([[2], [5], [1]], 5, axis=1))
    np.testing.assert_array_equal(found["y"], 2 * rows(3))
    assert not backend._now().records


def test_types_may_be_mixed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mixed.onnx",
        [
            helper.make_node("Cast", ["pixels"], ["half"], to=F16),
            helper.make_node("Mul", ["half", "scale"], ["scaled"]),
            helper.make_node("Cast", ["scaled"], ["single"], to=F32),
            helper.make_node("ArgMax", ["single"], ["best"], axis=1, keepdims=0),
            helper.make_node("Greater", ["scaled", "limit"], ["bright"]),
        ],
        {"pixels": (U8, ["batch", 4]), "scale": (F16, ["batch", 1])},
        {
            "scaled": (F16, ["batch", 4]),
            "best": (I64, ["batch"]),
            "bright": (TensorProto.BOOL, ["batch", 4]),
        },
        limit=np.float16([100]),
    )
    inputs = {
        "pixels": np.random.default_rng(0).integers(0, 256, (3, 4), np.uint8),
        "scale": np.float16([[0.5], [1], [2]]),
    }

    found, expected = bound(path).run(inputs), opening(path)(False).run(None, inputs)

    for (name, value), wanted in zip(found.items(), expected, strict=True):
        assert value.dtype == wanted.dtype, name
        np.testing.assert_array_equal(value, wanted)


def test_a_batch_that_fails_leaves_its_slot_to_the_next(tmp_path: Path) -> None:
    backend = bound(write_reading(tmp_path), slots=1)
    with pytest.raises(Exception, match="indices element out of data bounds"):
        backend.run({"index": np.array([[1], [77], [2]])})

    # In the same bucket: nothing of the failed batch may be left in its padding.
    found = backend.run({"index": np.array([[1], [3], [2]])})["y"]

    assert found.tolist() == [[3], [9], [6]]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"x": np.zeros((2, 3))}, "float64"),
        ({"x": np.zeros((2, 1), np.float32)}, r"\(2, 1\)"),  # which would spread over 3
        ({"z": np.zeros((2, 3), np.float32)}, "takes x"),
        ({"x": np.zeros((2, 3), np.float32), "z": np.zeros((2, 3), np.float32)}, "takes x"),
    ],
)
def test_what_the_graph_does_not_take_is_refused(
    tmp_path: Path, inputs: dict[str, np.ndarray], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        bound(write_doubling(tmp_path)).run(inputs)


def test_an_input_of_unknown_size_cannot_be_bound(tmp_path: Path) -> None:
    path = write(
        tmp_path / "free.onnx",
        [helper.make_node("Add", ["x", "x"], ["y"])],
        {"x": (F32, ["batch", "length"])},
        {"y": (F32, ["batch", "length"])},
    )
    for record in (False, True):
        with pytest.raises(UnboundError, match="size of x"):
            bound(path, record=record)


def test_warming_up_binds_every_bucket_in_every_slot(tmp_path: Path) -> None:
    backend = bound(write_doubling(tmp_path), max_batch=6)

    backend.warm_up({"x": rows(1)})

    for slot in backend._now().slots.every:
        assert list(slot._bindings) == [1, 2, 4, 6]


def test_buckets_that_do_not_fit_are_not_offered(tmp_path: Path) -> None:
    path = write(
        tmp_path / "huge.onnx",
        [
            helper.make_node("Shape", ["x"], ["batch"], start=0, end=1),
            helper.make_node("Equal", ["batch", "four"], ["at_four"]),
            helper.make_node("Where", ["at_four", "most", "one"], ["size"]),
            helper.make_node("Expand", ["zero", "size"], ["large"]),
            helper.make_node("ReduceMax", ["large"], ["none"], keepdims=0),
            helper.make_node("Add", ["x", "none"], ["y"]),
        ],
        {"x": (F32, ["batch", 3])},
        {"y": (F32, ["batch", 3])},
        four=np.array([4]),
        one=np.array([1]),
        most=np.array([1 << 46]),
        zero=np.float32([0]),
    )

    def meaning(error: Exception) -> Exception:
        return OutOfMemoryError() if "allocate memory" in str(error) else error

    backend = BoundBackend(
        opening(path),
        lambda session: HostMemory(),
        max_batch=8,
        slots=1,
        turn=threading.Lock(),
        translate=meaning,
    )
    backend.warm_up({"x": rows(1)})

    assert backend.buckets == (1, 2)
    np.testing.assert_array_equal(backend.run({"x": rows(8)})["y"], rows(8))  # in parts


def test_runs_are_recorded_on_one_thread(tmp_path: Path) -> None:
    backend = bound(write_doubling(tmp_path), record=True)
    assert not backend.records
    backend.warm_up({"x": rows(1)})

    assert backend.records
    np.testing.assert_array_equal(backend.run({"x": rows(3)})["y"], 2 * rows(3))
    assert any(thread.name.startswith("recorder") for thread in threading.enumerate())
    backend.close()


def test_a_graph_that_cannot_be_opened_for_recording_is_run(tmp_path: Path) -> None:
    opened = opening(write_doubling(tmp_path))

    def open_session(record: bool) -> ort.InferenceSession:
        if record:
            raise RuntimeError("This session cannot use the graph capture feature")
        return opened(record)

    backend = BoundBackend(
        open_session,
        lambda session: HostMemory(),
        max_batch=4,
        slots=2,
        turn=threading.Lock(),
        record=True,
    )
    backend.warm_up({"x": rows(1)})

    assert not backend.records
    np.testing.assert_array_equal(backend.run({"x": rows(3)})["y"], 2 * rows(3))


def test_what_fails_as_it_is_recorded_is_run(tmp_path: Path) -> None:
    opened, sessions = opening(write_reading(tmp_path)), []

    class Recording(ort.InferenceSession):
        """Fails where it would record, as CUDA does at a step that waits for the host."""

        def run_with_iobinding(self, bound: object, options: object = None) -> None:
            recorded = options.get_run_config_entry("gpu_graph_id") != "-1"
            if recorded:
                raise RuntimeError("operation not permitted when stream is capturing")
            super().run_with_iobinding(bound, options)

    def open_session(record: bool) -> ort.InferenceSession:
        sessions.append(record)
        if not record:
            return opened(record)
        return Recording(str(tmp_path / "reading.onnx"), providers=["CPUExecutionProvider"])

    backend = BoundBackend(
        open_session,
        lambda session: HostMemory(),
        max_batch=2,
        slots=2,
        turn=threading.Lock(),
        record=True,
    )
    backend.warm_up({"index": np.array([[4]])})

    assert sessions == [True, False]
    assert not backend.records
    assert backend.run({"index": np.array([[4], [5], [6]])})["y"].tolist() == [[12], [15], [18]]


def test_a_replay_that_answers_otherwise_is_not_trusted(tmp_path: Path) -> None:
    class Stale(ort.InferenceSession):
        """Replays nothing: the outputs of the run before are left as they are."""

        runs = 0

        def run_with_iobinding(self, bound: object, options: object = None) -> None:
            if options.get_run_config_entry("gpu_graph_id") == "-1":
                super().run_with_iobinding(bound, options)
                return
            Stale.runs += 1
            outputs = bound.get_outputs()
            outputs[0].update_inplace(np.full(outputs[0].shape(), 7, np.float32))

    path = write_doubling(tmp_path)
    backend = BoundBackend(
        lambda record: (
            Stale(str(path), providers=["CPUExecutionProvider"])
            if record
            else opening(path)(record)
        ),
        lambda session: HostMemory(),
        max_batch=2,
        slots=1,
        turn=threading.Lock(),
        record=True,
    )
    backend.warm_up({"x": rows(1)})

    assert Stale.runs == 2
    assert not backend.records
    np.testing.assert_array_equal(backend.run({"x": rows(2)})["y"], 2 * rows(2))


def test_a_rebuilt_backend_answers_as_before_and_is_warm(tmp_path: Path) -> None:
    revived = []
    backend = BoundBackend(
        opening(write_doubling(tmp_path)),
        lambda session: HostMemory(),
        max_batch=4,
        slots=2,
        turn=threading.Lock(),
        revive=lambda: revived.append(True),
    )
    backend.warm_up({"x": rows(1)})
    before = backend._now()

    backend.rebuild()

    assert revived == [True]
    assert backend._now() is not before
    assert [list(slot._bindings) for slot in backend._now().slots.every] == [[1, 2, 4]] * 2
    np.testing.assert_array_equal(backend.run({"x": rows(3)})["y"], 2 * rows(3))


def test_a_closed_backend_is_lost_to_who_still_asks(tmp_path: Path) -> None:
    backend = bound(write_doubling(tmp_path))
    backend.close()

    with pytest.raises(DeviceLostError):
        backend.run({"x": rows(1)})


def test_errors_are_told_in_the_engines_words(tmp_path: Path) -> None:
    backend = BoundBackend(
        opening(write_reading(tmp_path)),
        lambda session: HostMemory(),
        max_batch=2,
        slots=1,
        turn=threading.Lock(),
        translate=lambda error: DeviceLostError("gone"),
    )
    with pytest.raises(DeviceLostError, match="gone") as caught:
        backend.run({"index": np.array([[77]])})
    assert "out of data bounds" in str(caught.value.__cause__)
