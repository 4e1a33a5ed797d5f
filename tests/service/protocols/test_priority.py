"""X-Priority, in every dialect: who goes first when the device is busy."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton

from service.engine.job import Priority
from service.engine.lane import Lane
from tests.bundles import write_tiny_classifier
from tests.painters import write_tiny_painter
from tests.service.engine.gated import GatedBackend
from tests.serving import Running, picture, running
from tests.towers import write_tiny_clip

HIGH = {"X-Priority": "high"}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of one worker, whose `gate` model can hold it."""
    repository: Path = tmp_path_factory.mktemp("repository")
    for name in ("gate", "one", "other"):
        write_tiny_classifier(repository, name=name)
    write_tiny_clip(repository)
    write_tiny_painter(repository)
    with running(repository, workers=1, grpc_port=0) as started:
        yield started


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def classify(server: Running, model: str, **headers: str) -> Any:
    return server.client.post(f"/classify?model={model}", content=picture(), headers=headers)


@contextlib.contextmanager
def gated(server: Running, *names: str) -> Iterator[tuple[dict[str, GatedBackend], list[Any]]]:
    """The models' lanes behind gates, and what comes to those in order; open again in the end."""
    lanes = lanes_of(server)
    log: list[tuple[str, int]] = []
    inner = {name: lanes[f"{name}:1/classify"].backend for name in names}
    gates = {name: GatedBackend(backend, name, log) for name, backend in inner.items()}
    for name, gate in gates.items():
        lanes[f"{name}:1/classify"].backend = gate
    try:
        yield gates, log
    finally:
        for name, gate in gates.items():
            gate.open()
            lanes[f"{name}:1/classify"].backend = inner[name]


def lanes_of(server: Running) -> dict[str, Lane]:
    return {lane.name: lane for lane in server.serving.device.scheduler.lanes}


def test_a_request_of_high_priority_overtakes_one_of_low(busy: Running) -> None:
    lanes = lanes_of(busy)
    with ThreadPoolExecutor(3) as pool, gated(busy, "gate", "one", "other") as (gates, log):
        asked = [pool.submit(classify, busy, "gate")]
        gates["gate"].wait_until_entered()
        for name, priority in (("one", "low"), ("other", "high")):
            asked.append(pool.submit(classify, busy, name, **{"X-Priority": priority}))
            wait_until(lambda lane=lanes[f"{name}:1/classify"]: lane.queued == 1)
        for gate in gates.values():
            gate.open()
        assert [each.result(20).status_code for each in asked] == [200, 200, 200]
    assert [name for name, _ in log] == ["gate", "other", "one"]


def infer_rest(server: Running) -> Any:
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 32, 32, 3]}
    body = {"inputs": [{**tensor, "data": pixels.ravel().tolist()}]}
    return server.client.post("/v2/models/one/infer", json=body, headers=HIGH)


def infer_grpc(server: Running) -> Any:
    tensor = triton.InferInput("image", [1, 32, 32, 3], "UINT8")
    tensor.set_data_from_numpy(np.zeros((1, 32, 32, 3), np.uint8))
    url = f"127.0.0.1:{server.app.api.state.grpc.port}"
    with triton.InferenceServerClient(url) as client:
        return client.infer("one", [tensor], headers={"x-priority": "high"})


def embed(server: Running) -> Any:
    return server.client.post("/embed", json={"text": "blue"}, headers=HIGH)


def generate(server: Running) -> Any:
    return server.client.post("/generate", json={"prompt": "a red ball"}, headers=HIGH)


def generate_as_usual(server: Running) -> Any:
    return server.client.post("/generate", json={"prompt": "a blue cube"})


@pytest.mark.parametrize(
    ("ask", "lane_name", "expected"),
    [
        (lambda server: classify(server, "one", **HIGH), "one:1/classify", Priority.HIGH),
        (lambda server: classify(server, "one"), "one:1/classify", Priority.NORMAL),
        (infer_rest, "one:1/classify", Priority.HIGH),
        (infer_grpc, "one:1/classify", Priority.HIGH),
        (embed, "towers:1/text", Priority.HIGH),
        (generate, "painter:1/text", Priority.HIGH),
        (generate_as_usual, "painter:1/text", Priority.LOW),
    ],
)
def test_every_dialect_takes_it(
    busy: Running, ask: Callable[[Running], Any], lane_name: str, expected: Priority
) -> None:
    lane = lanes_of(busy)[lane_name]
    with ThreadPoolExecutor(2) as pool, gated(busy, "gate") as (gates, _):
        holding = pool.submit(classify, busy, "gate")
        gates["gate"].wait_until_entered()
        asked = pool.submit(ask, busy)
        wait_until(lambda: lane.queued > 0 or asked.done())
        head = lane.head()
        assert head is not None and head.priority is expected
        gates["gate"].open()
        holding.result(20)
        asked.result(20)


def test_another_word_is_no_priority(server: Running) -> None:
    response = server.client.post(
        "/classify", content=picture(), headers={"X-Priority": "yesterday"}
    )
    assert response.status_code == 422
    assert "high, normal, low" in response.json()["detail"]


def test_high_may_be_kept_from_callers(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with running(tmp_path, allow_high_priority=False) as server:
        refused = server.client.post("/classify", content=picture(), headers=HIGH)
        assert refused.status_code == 403
        assert refused.headers["content-type"] == "application/problem+json"
        low = server.client.post("/classify", content=picture(), headers={"X-Priority": "Low"})
        assert low.status_code == 200
