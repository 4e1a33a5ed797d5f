from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service.bundle import open_repository
from service.engine.device import Device
from service.engine.job import Job
from service.errors import NotFoundError, UnavailableError
from service.registry import Registry
from service.tasks import check_bundle
from tests.bundles import write_iterative, write_tiny_classifier
from tests.memory import in_use_mib


def registry_of(folder: Path, device: Device, **defaults: str) -> Registry:
    return Registry(
        [open_repository(str(folder), folder / "cache")],
        device,
        queue_capacity=8,
        default_models=defaults,
        check=check_bundle,
    )


@pytest.fixture
def device():
    device = Device("cpu", workers=1)
    device.start()
    yield device
    device.stop()


def test_the_default_is_the_first_name_and_its_newest_version(
    tmp_path: Path, device: Device
) -> None:
    for name, version in (("b", 1), ("a", 1), ("a", 2)):
        write_tiny_classifier(tmp_path, name=name, version=version)

    async def scenario() -> None:
        registry = registry_of(tmp_path, device)
        with pytest.raises(UnavailableError, match="being loaded"):
            registry.find("classify", None)
        await registry.rescan()
        assert registry.find("classify", None).ref == "a:2"
        assert registry.find("classify", "a:1").ref == "a:1"
        assert registry.find("classify", "b").ref == "b:1"
        with pytest.raises(NotFoundError, match="a:1, a:2, b:1"):
            registry.find("classify", "c")
        with pytest.raises(NotFoundError):
            registry.find("detect", None)
        chosen = registry_of(tmp_path, device, classify="b")
        await chosen.rescan()
        assert chosen.find("classify", None).ref == "b:1"

    asyncio.run(scenario())


def test_a_task_that_is_not_known_here_is_a_reason(tmp_path: Path, device: Device) -> None:
    write_iterative(tmp_path)

    async def scenario() -> None:
        registry = registry_of(tmp_path, device)
        await registry.rescan()
        (entry,) = registry.entries()
        assert entry.state == "failed"
        assert "'iterate' is not known here" in entry.reason

    asyncio.run(scenario())


def test_unloading_waits_for_those_who_hold_the_model(tmp_path: Path, device: Device) -> None:
    write_tiny_classifier(tmp_path)

    async def scenario() -> None:
        registry = registry_of(tmp_path, device)
        await registry.rescan()
        model = registry.find("classify", None)
        with model.hold():
            unloading = asyncio.create_task(registry.unload("tiny", 1))
            await asyncio.sleep(0)  # as far as it goes by itself
            assert registry.entries()[0].state == "unloading"
            with pytest.raises(NotFoundError):
                registry.find("classify", None)
            sample = model.probes["classify"]
            job = Job(prepare=lambda: sample, finish=lambda outputs: outputs["probabilities"])
            await device.run(model.lanes["classify"], [job])
            assert job.outcome().shape == (3,)
            assert not unloading.done()
        assert (await unloading).state == "unloaded"
        assert device.scheduler.lanes == []

    asyncio.run(scenario())


def test_memory_is_given_back_on_unload(tmp_path: Path, device: Device) -> None:
    """A model of some 10 MiB that ran a batch of far more: the process is as before."""
    write_tiny_classifier(tmp_path, size_px=256, max_batch=64, matmuls=2)

    async def scenario() -> None:
        registry = registry_of(tmp_path, device)
        await registry.rescan()
        await registry.unload("tiny", 1)  # once, so that what the runtime keeps for good is there
        before = in_use_mib()
        await registry.load("tiny", 1)
        model = registry.find("classify", None)
        sample = model.probes["classify"]
        inputs = {name: value[None].repeat(32, axis=0) for name, value in sample.items()}
        model.lanes["classify"].backend.run(inputs)
        loaded = in_use_mib()
        del model, inputs, sample
        await registry.unload("tiny", 1)
        assert loaded - before > 6, "the test must see the model at all"
        assert in_use_mib() - before < (loaded - before) / 3

    asyncio.run(scenario())
