"""A server that builds its plans while it answers, on a pretended GPU."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.bundle import open_repository
from service.engine.backends.tensorrt import TensorRtBackend
from service.engine.backends.unplanned import Unplanned
from service.engine.compute import Compute
from service.engine.device import device_of
from service.engine.job import Job
from service.engine.model import Model
from service.engine.plans.cache import PlanCache
from service.engine.plans.policy import PlanPolicy
from service.registry import Registry
from service.renewal import Renewal
from service.tasks import check_bundle
from tests.bundles import write_tiny_classifier
from tests.service.engine.pretend.fixtures import Machine, pretended_gpu
from tests.serving import Running, picture, running
from tests.towers import write_tiny_clip

LIMIT_S = 30.0


@pytest.fixture
def machine() -> Iterator[Machine]:
    with pretended_gpu() as machine:
        yield machine


# -- over HTTP


def without_plan(server: Running) -> str | None:
    (model,) = server.client.get("/models").json()["models"]
    return model["lanes"]["classify"]["without_plan"]


def label_of_red(server: Running) -> str:
    headers = {"Content-Type": "image/png"}
    answer = server.client.post("/classify", content=picture("red"), headers=headers)
    return answer.json()["images"][0]["predictions"][0]["label"]


@contextlib.contextmanager
def served(tmp_path: Path, machine: Machine, **settings: Any) -> Iterator[Running]:
    plans = tmp_path / "plans"
    with running(tmp_path / "repository", device="tensorrt", plan_dir=plans, **settings) as server:
        try:
            yield server
        finally:
            machine.gate.set()


def test_onnx_runtime_answers_until_the_plan_is_built(machine: Machine, tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path / "repository")
    machine.gate.clear()
    ran_on_gpu: list[object] = []
    renewed = threading.Event()
    with served(tmp_path, machine) as server:
        assert without_plan(server).startswith("no plan was built for Pretended GPU (sm 90)")
        machine.watchers.append(ran_on_gpu.append)
        assert label_of_red(server) == "red"
        assert ran_on_gpu == []

        server.serving.registry.on_ready.append(lambda model: renewed.set())
        machine.gate.set()
        assert renewed.wait(LIMIT_S)

        assert without_plan(server) is None
        ran_on_gpu.clear()
        assert label_of_red(server) == "red"
        assert len(ran_on_gpu) == 1

    with served(tmp_path, machine, build_plans=False) as server:
        assert without_plan(server) is None
    assert len(machine.builds) == 1


def test_without_leave_nothing_is_built(machine: Machine, tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path / "repository")
    with served(tmp_path, machine, build_plans=False) as server:
        assert label_of_red(server) == "red"
    assert machine.builds == []


# -- inside


class House:
    """A registry on a device for plans, and who renews its models."""

    def __init__(self, folder: Path) -> None:
        self.compute = Compute(device="tensorrt", plans=PlanPolicy(folder=folder / "plans"))
        self.device = device_of(self.compute, cores=1)
        self.registry = Registry(
            [open_repository(str(folder), folder / "cache")],
            self.device,
            queue_capacity=8,
            default_models={},
            check=check_bundle,
        )
        self.renewal = Renewal(self.registry, self.compute)
        self.heard: asyncio.Queue[Model] = asyncio.Queue()
        self.registry.on_ready.append(self.heard.put_nowait)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[House]:
        self.device.start()
        try:
            async with self.renewal.running():
                await self.registry.rescan()
                yield self
        finally:
            await asyncio.to_thread(self.device.stop)

    async def ready(self) -> Model:
        """The next model that becomes ready."""
        return await asyncio.wait_for(self.heard.get(), LIMIT_S)


def backends(model: Model) -> dict[str, type]:
    return {role: type(lane.backend) for role, lane in model.lanes.items()}


def test_all_graphs_of_a_model_get_their_plans_before_it_is_renewed_once(
    machine: Machine, tmp_path: Path
) -> None:
    write_tiny_clip(tmp_path)

    async def scenario() -> None:
        async with House(tmp_path).open() as house:
            first, second = await house.ready(), await house.ready()
            assert backends(first) == {"image": Unplanned, "text": Unplanned}
            assert backends(second) == {"image": TensorRtBackend, "text": TensorRtBackend}
            assert house.registry.find("embed", None) is second

    asyncio.run(scenario())
    assert len(machine.builds) == 2


def test_who_holds_the_old_model_is_answered_by_it(machine: Machine, tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)

    async def scenario() -> None:
        async with House(tmp_path).open() as house:
            old = await house.ready()
            with old.hold():
                new = await house.ready()
                assert house.registry.find("classify", None) is new
                sample = old.probes["classify"]
                job = Job(prepare=lambda: dict(sample), finish=lambda outputs: outputs)
                await house.device.run(old.lanes["classify"], [job])
                expected = new.lanes["classify"].backend.run(
                    {name: value[None] for name, value in sample.items()}
                )
                np.testing.assert_allclose(
                    job.outcome()["probabilities"], expected["probabilities"][0], atol=1e-6
                )
            await house.registry.unload("tiny", 1)  # waits until the old one is closed
            assert house.device.scheduler.lanes == []
        assert machine.cuda.used_bytes == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "said"),
    [("build", "no kernel for node_17"), ("drift", "drifts from its golden outputs")],
)
def test_what_cannot_be_built_stays_and_is_tried_once(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str, said: str
) -> None:
    write_tiny_classifier(tmp_path)
    machine.faults.add(fault)

    async def scenario() -> None:
        async with House(tmp_path).open() as house:
            model = await house.ready()
            await house.registry.unload("tiny", 1)
            await house.registry.load("tiny", 1)
            again = await house.ready()
            write_tiny_classifier(tmp_path, name="other", size_px=16)
            await house.registry.rescan()
            other = await house.ready()
            await house.renewal.settled()
            assert {*backends(model).values(), *backends(again).values()} == {Unplanned}
            assert house.registry.find("classify", "tiny") is again
            assert house.registry.find("classify", "other") is other

    asyncio.run(scenario())
    assert [line.partition(":1/")[0] for line in tried(caplog)] == ["tiny", "other"]
    assert all(said in line for line in tried(caplog))


def tried(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "stays on ONNX Runtime" in r.getMessage()]


def test_a_build_is_given_up_at_the_end(machine: Machine, tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    machine.gate.clear()

    async def scenario() -> None:
        async with House(tmp_path).open() as house:
            await house.ready()
            assert await asyncio.to_thread(machine.begun.wait, LIMIT_S)
        machine.gate.set()

    asyncio.run(scenario())  # which waits for the thread that builds
    assert machine.builds == []
    assert list(PlanCache(tmp_path / "plans").entries()) == []


def test_a_model_that_was_unloaded_meanwhile_does_not_come_back(
    machine: Machine, tmp_path: Path
) -> None:
    write_tiny_classifier(tmp_path)

    async def scenario() -> None:
        house = House(tmp_path)
        house.device.start()
        await house.registry.rescan()
        model = await house.ready()
        await house.registry.unload("tiny", 1)

        assert await house.registry.renew(model) is False
        assert [entry.state for entry in house.registry.entries()] == ["unloaded"]
        await asyncio.to_thread(house.device.stop)

    asyncio.run(scenario())


def test_a_model_that_cannot_be_opened_anew_serves_on(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = write_tiny_classifier(tmp_path)

    async def scenario() -> None:
        house = House(tmp_path)
        house.device.start()
        await house.registry.rescan()
        model = await house.ready()
        bundle.file("golden.npz").write_bytes(b"")

        assert await house.registry.renew(model) is False
        assert house.registry.find("classify", None) is model
        assert "tiny:1 stays as it is" in caplog.text
        await asyncio.to_thread(house.device.stop)

    asyncio.run(scenario())
