from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.bundles import write_tiny_classifier
from tests.serving import Running, picture, running


def test_alive_and_ready(server: Running) -> None:
    assert server.client.get("/livez").json() == {"status": "alive"}
    assert server.client.get("/readyz").json() == {"status": "ready"}


def test_readiness_is_an_inference_through_the_queue(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with running(tmp_path) as server:
        assert server.client.get("/readyz").status_code == 200
        lane = "tiny:1/classify"
        assert server.metric("panoptes_settled_total", lane=lane, outcome="answered") == 1
        assert server.client.get("/readyz").status_code == 200
        again = server.metric("panoptes_settled_total", lane=lane, outcome="answered")
        assert again == 1, "a recent inference is proof enough"


def test_a_device_that_is_lost_is_not_ready_and_is_refused(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with running(tmp_path) as server:
        scheduler = server.serving.device.scheduler
        scheduler.lose(scheduler.lanes[0], [], "gone")
        ready = server.client.get("/readyz")
        assert ready.status_code == 503
        assert "rebuilt" in ready.json()["reason"]
        assert server.client.post("/classify", content=picture()).status_code == 503
        scheduler.recover()
        assert server.client.get("/readyz").status_code == 200
        assert server.client.post("/classify", content=picture()).status_code == 200


def test_a_draining_server_is_not_ready_but_answers(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with running(tmp_path) as server:
        server.serving.draining = True
        assert server.client.get("/readyz").json()["reason"] == "draining"
        assert server.client.post("/classify", content=picture()).status_code == 200


def test_metrics_are_what_prometheus_reads(server: Running) -> None:
    server.client.post("/classify", content=picture())
    server.client.post("/classify", content=b"no image")
    text = server.client.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for phase in ("queue", "decode", "run", "render"):
        assert families[f"panoptes_{phase}_seconds"].type == "histogram"
    lane = {"lane": "tiny:1/classify"}
    outcomes = {
        sample.labels["outcome"]: sample.value
        for sample in families["panoptes_settled"].samples
        if sample.name.endswith("_total")
    }
    assert outcomes["answered"] >= 1
    assert outcomes["rejected"] >= 1
    assert set(outcomes) == {"answered", "rejected", "expired", "cancelled", "failed"}
    assert [s.labels for s in families["panoptes_queue_depth"].samples] == [lane]
    assert families["panoptes_models_ready"].samples[0].value == 1
    routes = {s.labels["route"] for s in families["panoptes_request_seconds"].samples}
    assert "/classify" in routes
