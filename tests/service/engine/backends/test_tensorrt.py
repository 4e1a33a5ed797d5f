"""Plans at work, on a pretended GPU: buffers, buckets, recordings, growth, and what goes wrong.

Nothing here says that TensorRT agrees: that takes a GPU, and golden outputs.
"""

from __future__ import annotations

import concurrent.futures
import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from service.bundle import Bundle, Graph, TensorSpec, check_golden, read_bundle
from service.engine.backends.backend import DeviceLostError, OutOfMemoryError
from service.engine.backends.tensorrt import TensorRtBackend
from service.engine.plans.builder import BuildOptions, build_plan
from service.engine.plans.key import Profile, profile_of
from service.engine.plans.tensorrt import PlanError, find_tensorrt
from service.settings import STARTER_PACK
from tests.bundles import write_iterative, write_tiny_classifier
from tests.graphs import graph_of, onnx_of
from tests.service.engine.pretend.fixtures import Machine, pretended_gpu

BUCKETS = (1, 2, 4, 8)


@pytest.fixture(autouse=True)
def machine() -> Iterator[Machine]:
    with pretended_gpu() as machine:
        yield machine


def plan_of(file: Path, graph: Graph, profile: Profile | None = None) -> bytes:
    chosen = profile or profile_of(graph)
    return build_plan(find_tensorrt(), file, graph, chosen, BuildOptions()).plan


def load(
    plan: bytes,
    graph: Graph,
    *,
    slots: int = 2,
    record: bool = True,
    turn: threading.Lock | None = None,
) -> TensorRtBackend:
    return TensorRtBackend(
        find_tensorrt(),
        lambda: plan,
        graph,
        gpu=0,
        slots=slots,
        buckets=[size for size in BUCKETS if size <= graph.max_batch],
        turn=turn or threading.Lock(),
        record=record,
    )


def iterative(tmp_path: Path, *, slots: int = 2, record: bool = True) -> TensorRtBackend:
    """next_state = state * gain + 1"""
    bundle = write_iterative(tmp_path)
    graph = bundle.manifest.graphs["step"]
    return load(plan_of(bundle.file(graph.file), graph), graph, slots=slots, record=record)


def inputs_of(batch: int, start: float = 0.0) -> dict[str, np.ndarray]:
    states = np.arange(batch * 4, dtype=np.float32).reshape(batch, 4) + np.float32(start)
    return {"state": states, "gain": np.full((batch, 1), 2, np.float32)}


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8, 13])
def test_a_batch_of_any_size_is_answered_through_its_bucket(tmp_path: Path, batch: int) -> None:
    backend = iterative(tmp_path)
    inputs = inputs_of(batch)

    outputs = backend.run(inputs)

    np.testing.assert_array_equal(outputs["next_state"], inputs["state"] * 2 + 1)
    assert outputs.device_s > 0


def test_an_answer_does_not_change_when_the_next_batch_runs(tmp_path: Path) -> None:
    backend = iterative(tmp_path, slots=1)
    first = backend.run(inputs_of(2))["next_state"]
    kept = first.copy()

    backend.run(inputs_of(2, start=100))

    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("folder", sorted(STARTER_PACK.glob("*/*")), ids=lambda f: f.parent.name)
def test_the_starter_packs_golden_outputs_hold(folder: Path) -> None:
    """uint8, int64, outputs without an inner axis: every kind that a bundle has goes through."""
    bundle: Bundle = read_bundle(folder)
    backends = {
        role: load(plan_of(bundle.file(graph.file), graph), graph, slots=1)
        for role, graph in bundle.manifest.graphs.items()
    }

    drift = check_golden(bundle, lambda role, inputs: backends[role].run(inputs))

    assert set(drift) == set(bundle.manifest.graphs)


def test_after_warm_up_every_bucket_is_replayed(tmp_path: Path, machine: Machine) -> None:
    backend = iterative(tmp_path)
    backend.warm_up(inputs_of(1))
    launched = machine.cuda.launches

    for batch in (3, 8):
        inputs = inputs_of(batch, start=batch)
        outputs = backend.run(inputs)["next_state"]
        np.testing.assert_array_equal(outputs, inputs["state"] * 2 + 1)

    assert machine.cuda.launches == launched + 2


def test_without_recording_nothing_is_replayed(tmp_path: Path, machine: Machine) -> None:
    backend = iterative(tmp_path, record=False)
    backend.warm_up(inputs_of(1))

    backend.run(inputs_of(3))

    assert machine.cuda.launches == 0


def test_what_cannot_be_recorded_runs_all_the_same(
    tmp_path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    backend = iterative(tmp_path)
    machine.faults.add("record")
    backend.warm_up(inputs_of(1))

    outputs = backend.run(inputs_of(3))

    np.testing.assert_array_equal(outputs["next_state"], inputs_of(3)["state"] * 2 + 1)
    assert machine.cuda.launches == 0
    assert "batches are not recorded: the plan did not run: the enqueue failed" in caplog.text
    assert all(stream.recording is None for stream in machine.cuda.streams.values())


@pytest.mark.parametrize("warm", [False, True])
def test_the_rest_of_a_bucket_repeats_its_first_sample(
    tmp_path: Path, machine: Machine, warm: bool
) -> None:
    backend = iterative(tmp_path, slots=1)
    if warm:
        backend.warm_up(inputs_of(1))
    backend.run(inputs_of(4, start=1000))
    seen: list[np.ndarray] = []
    machine.watchers.append(lambda inputs: seen.append(inputs["state"].copy()))

    backend.run(inputs_of(3))

    expected = inputs_of(3)["state"]
    np.testing.assert_array_equal(seen, [[*expected, expected[0]]])


@pytest.mark.parametrize("warm", [False, True])
def test_a_batch_runs_in_its_turn_alone(tmp_path: Path, machine: Machine, warm: bool) -> None:
    """Other graphs on the GPU wait meanwhile, so that what a batch takes is its own time."""
    bundle, turn = write_iterative(tmp_path), threading.Lock()
    graph = bundle.manifest.graphs["step"]
    backend = load(plan_of(bundle.file(graph.file), graph), graph, slots=1, turn=turn)
    if warm:
        backend.warm_up(inputs_of(1))
    held: list[bool] = []
    machine.watchers.append(lambda inputs: held.append(turn.locked()))

    backend.run(inputs_of(2))

    assert held == [True]
    assert not turn.locked()


def test_many_threads_share_the_slots(tmp_path: Path) -> None:
    backend = iterative(tmp_path, slots=3)
    backend.warm_up(inputs_of(1))
    batches = [inputs_of(1 + index % 8, start=index) for index in range(120)]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(backend.run, batches))

    for inputs, found in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(found["next_state"], inputs["state"] * 2 + 1)


def test_an_output_that_the_data_make_grows(tmp_path: Path, machine: Machine) -> None:
    """y has as many columns as the largest number says: nobody can know that beforehand."""
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", 3))
    answer = TensorSpec(name="y", dtype="float32", shape=("batch", "columns"))
    model = onnx_of(
        [
            helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
            helper.make_node("Cast", ["largest"], ["columns"], to=TensorProto.INT64),
            helper.make_node("ReduceMax", ["x", "last"], ["row"], keepdims=1),
            helper.make_node("Unsqueeze", ["columns", "first"], ["columns_1"]),
            helper.make_node("Concat", ["one", "columns_1"], ["shape"], axis=0),
            helper.make_node("Expand", ["row", "shape"], ["y"]),
        ],
        [spec],
        [answer],
        last=np.array([1]),
        first=np.array([0]),
        one=np.array([1]),
    )
    (tmp_path / "grow.onnx").write_bytes(model.SerializeToString())
    graph = graph_of("grow.onnx", [spec], [answer], 8)
    backend = load(plan_of(tmp_path / "grow.onnx", graph), graph, slots=1)
    backend.warm_up({"x": np.ones((1, 3), np.float32)})

    for columns in (2, 5000, 3):
        x = np.array([[0, 1, 1], [0, columns, 1], [1, 0, 0]], np.float32)
        y = backend.run({"x": x})["y"]
        expected = np.broadcast_to(x.max(axis=1, keepdims=True), (3, columns))
        np.testing.assert_array_equal(y, expected)

    assert machine.cuda.launches == 0
    machine.cuda.memory_bytes = machine.cuda.used_bytes
    with pytest.raises(OutOfMemoryError):
        backend.run({"x": np.full((1, 3), 1e6, np.float32)})
    machine.cuda.memory_bytes = 1 << 30
    assert backend.run({"x": np.full((1, 3), 4, np.float32)})["y"].shape == (1, 4)


def test_inputs_of_another_kind_are_refused(tmp_path: Path) -> None:
    backend = iterative(tmp_path)
    right = inputs_of(2)

    with pytest.raises(ValueError, match="state is float64"):
        backend.run({**right, "state": right["state"].astype(np.float64)})
    with pytest.raises(ValueError, match=r"gain is float32 \(1, 1\) where the graph takes"):
        backend.run({**right, "gain": right["gain"][:1]})
    with pytest.raises(ValueError, match="inputs state where the graph takes state, gain"):
        backend.run({"state": right["state"]})


def test_buckets_that_do_not_fit_are_not_offered(
    tmp_path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = write_tiny_classifier(tmp_path, size_px=64)  # 12,288 bytes a sample
    graph = bundle.manifest.graphs["classify"]
    plan = plan_of(bundle.file(graph.file), graph)
    machine.cuda.memory_bytes = 5 * 12_500

    backend = load(plan, graph, slots=1)

    assert backend.buckets == (1, 2, 4)
    assert "batches end at 4: 8 do not fit" in caplog.text
    images = np.full((7, 64, 64, 3), (255, 0, 0), np.uint8)
    assert backend.run({"image": images})["probabilities"].argmax(1).tolist() == [0] * 7


def test_nothing_fits_at_all(tmp_path: Path, machine: Machine) -> None:
    machine.cuda.memory_bytes = 8

    with pytest.raises(OutOfMemoryError):
        iterative(tmp_path)


def test_a_run_without_memory_says_so(tmp_path: Path, machine: Machine) -> None:
    backend = iterative(tmp_path)
    machine.faults.add("no memory")

    with pytest.raises(OutOfMemoryError):
        backend.run(inputs_of(1))


def test_a_run_that_fails_fails_alone(tmp_path: Path, machine: Machine) -> None:
    backend = iterative(tmp_path, slots=1)
    machine.faults.add("execute")
    with pytest.raises(PlanError, match="the enqueue failed"):
        backend.run(inputs_of(1))
    machine.faults.clear()

    assert backend.run(inputs_of(1))["next_state"].shape == (1, 4)


def test_a_lost_device_is_rebuilt(tmp_path: Path, machine: Machine) -> None:
    backend = iterative(tmp_path)
    backend.warm_up(inputs_of(1))
    machine.cuda.lost = True
    with pytest.raises(DeviceLostError, match="IllegalAddress"):
        backend.run(inputs_of(2))
    launched = machine.cuda.launches

    backend.rebuild()

    assert machine.cuda.resets == 1
    outputs = backend.run(inputs_of(2))["next_state"]
    np.testing.assert_array_equal(outputs, inputs_of(2)["state"] * 2 + 1)
    assert machine.cuda.launches > launched, "it is warm again"


def test_a_second_rebuild_does_not_reset_what_works(tmp_path: Path, machine: Machine) -> None:
    one, other = iterative(tmp_path / "one"), iterative(tmp_path / "other")
    machine.cuda.lost = True

    one.rebuild()
    other.rebuild()

    assert machine.cuda.resets == 1
    assert one.run(inputs_of(1))["next_state"].shape == (1, 4)


@pytest.mark.parametrize("warm", [False, True])
def test_a_closed_backend_gives_its_memory_back(
    tmp_path: Path, machine: Machine, warm: bool
) -> None:
    backend = iterative(tmp_path)
    if warm:
        backend.warm_up(inputs_of(1))
    backend.run(inputs_of(3))
    assert machine.cuda.used_bytes > 0

    backend.close()

    assert machine.cuda.used_bytes == 0
    assert machine.cuda.pinned == {}
    with pytest.raises(DeviceLostError):
        backend.run(inputs_of(1))


def test_a_forgotten_backend_does_too(tmp_path: Path, machine: Machine) -> None:
    backend = iterative(tmp_path)
    backend.run(inputs_of(3))
    del backend
    gc.collect()

    assert machine.cuda.used_bytes == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"outputs": ("next_state", "float16", ("batch", 4))}, "next_state"),
        ({"outputs": ("another", "float32", ("batch", 4))}, "another, next_state"),
    ],
)
def test_a_plan_of_another_graph_is_refused(
    tmp_path: Path, change: dict[str, tuple[str, str, tuple[object, ...]]], named: str
) -> None:
    bundle = write_iterative(tmp_path)
    graph = bundle.manifest.graphs["step"]
    plan = plan_of(bundle.file(graph.file), graph)
    name, dtype, shape = change["outputs"]
    other = graph.model_copy(update={"outputs": (TensorSpec(name=name, dtype=dtype, shape=shape),)})

    with pytest.raises(PlanError, match=f"the plan's {named} is not as the manifest says"):
        load(plan, other)


def test_what_is_no_plan_is_refused_in_its_own_words(tmp_path: Path) -> None:
    graph = write_iterative(tmp_path).manifest.graphs["step"]

    with pytest.raises(PlanError, match="does not take the plan: the magic tag does not match"):
        load(b"something else", graph)
