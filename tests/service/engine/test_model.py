"""A model from its bundle to its lanes: loaded, probed, held on to, unloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.bundle import Bundle, BundleError, load_golden, save_golden, write_bundle
from service.engine.device import Device
from service.engine.job import Job
from service.engine.model import Model, load_model
from service.errors import UnavailableError
from tests.bundles import write_tiny_classifier


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device("test", workers=2)
    device.start()
    yield device
    device.stop()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_classifier(tmp_path / "models")


def rewritten(bundle: Bundle, tmp_path: Path, **replaced: Path) -> Bundle:
    """The next version of a bundle, with other files: `golden` or `graph`."""
    files = {
        "classify.onnx": replaced.get("graph", bundle.file("classify.onnx")),
        "golden.npz": replaced.get("golden", bundle.file("golden.npz")),
    }
    manifest = bundle.manifest.model_copy(update={"version": 2})
    return write_bundle(tmp_path / "models", manifest, files)


def classify(model: Model) -> Job:
    image = np.full((32, 32, 3), (250, 0, 0), np.uint8)
    return Job(
        prepare=lambda: {"image": image}, finish=lambda out: int(out["probabilities"].argmax())
    )


def test_a_loaded_model_is_measured_and_answers(bundle: Bundle, device: Device) -> None:
    model = load_model(bundle, device, queue_capacity=16)
    lane = model.lanes["classify"]

    jobs = asyncio.run(device.run(lane, [classify(model)]))

    assert jobs[0].outcome() == 0
    assert device.scheduler.lanes == [lane]
    assert (lane.name, lane.batch_cap, lane.capacity) == ("tiny:1/classify", 8, 16)
    assert min(lane.cost.points()) == 1
    assert model.drift["classify"] <= 1e-5


def test_a_model_that_drifts_from_its_golden_outputs_gets_no_lane(
    bundle: Bundle, device: Device, tmp_path: Path
) -> None:
    inputs, outputs = load_golden(bundle)["classify"]
    outputs["probabilities"] = outputs["probabilities"] + np.float32(0.01)
    save_golden(tmp_path / "golden.npz", {"classify": (inputs, outputs)})

    with pytest.raises(BundleError, match=r"'classify' drifts from its golden outputs by 0\.01"):
        load_model(
            rewritten(bundle, tmp_path, golden=tmp_path / "golden.npz"), device, queue_capacity=16
        )

    assert device.scheduler.lanes == []


def test_a_graph_that_cannot_be_loaded_is_a_reason_in_one_line(
    bundle: Bundle, device: Device, tmp_path: Path
) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")

    with pytest.raises(BundleError, match=r"^'classify' cannot be loaded: ") as error:
        load_model(
            rewritten(bundle, tmp_path, graph=tmp_path / "broken.onnx"), device, queue_capacity=16
        )

    assert "\n" not in str(error.value)


def test_golden_inputs_that_the_graph_does_not_take_are_a_reason(
    bundle: Bundle, device: Device, tmp_path: Path
) -> None:
    _, outputs = load_golden(bundle)["classify"]
    small = np.zeros((4, 16, 16, 3), np.uint8)
    save_golden(tmp_path / "golden.npz", {"classify": ({"image": small}, outputs)})

    with pytest.raises(BundleError, match="'classify' cannot run its golden inputs: "):
        load_model(
            rewritten(bundle, tmp_path, golden=tmp_path / "golden.npz"), device, queue_capacity=16
        )


def test_a_probe_is_a_real_inference_through_the_queue(bundle: Bundle, device: Device) -> None:
    model = load_model(bundle, device, queue_capacity=16)
    asyncio.run(model.probe(60.0))

    device.scheduler.drain(0.0)

    with pytest.raises(UnavailableError):
        asyncio.run(model.probe(60.0))


def test_a_model_is_unused_when_the_last_holder_lets_go(bundle: Bundle, device: Device) -> None:
    async def main() -> None:
        model = load_model(bundle, device, queue_capacity=16)
        await model.unused()
        with model.hold():
            with model.hold():
                waiting = asyncio.create_task(model.unused())
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting

    asyncio.run(main())


def test_a_closed_model_answers_what_it_has_and_leaves_the_device(
    bundle: Bundle, device: Device
) -> None:
    model = load_model(bundle, device, queue_capacity=64)
    lane = model.lanes["classify"]
    jobs = [classify(model) for _ in range(40)]
    device.scheduler.submit(lane, jobs)

    model.close(timeout_s=60.0)

    assert [job.outcome() for job in jobs] == [0] * 40
    assert device.scheduler.lanes == []
    with pytest.raises(UnavailableError, match="the model is being unloaded"):
        device.scheduler.submit(lane, [classify(model)])
