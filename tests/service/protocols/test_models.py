from __future__ import annotations

import threading
from pathlib import Path

from tests.bundles import write_tiny_classifier
from tests.serving import Running, picture, running


def states(server: Running) -> dict[str, str]:
    models = server.client.get("/models").json()["models"]
    return {f"{m['name']}:{m['version']}": m["state"] for m in models}


def test_a_model_is_shown_with_what_its_manifest_says(server: Running) -> None:
    (details,) = server.client.get("/models/tiny").json()
    assert details["default"] is True
    assert [label["name"] for label in details["labels"]] == ["red", "green", "blue"]
    assert details["lanes"]["classify"]["cost_ms"]["1"] > 0
    assert details["licence"] == "Apache-2.0"


def test_an_unknown_model_is_not_found(server: Running) -> None:
    assert server.client.get("/models/other").status_code == 404


def test_nothing_is_loaded_or_unloaded_by_strangers(server: Running) -> None:
    assert server.client.post("/models/tiny/1/unload").status_code in (404, 405)
    assert states(server) == {"tiny:1": "ready"}


def test_a_bad_bundle_is_named_with_its_reason_and_stops_nothing(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    broken = write_tiny_classifier(tmp_path, name="broken")
    graph = broken.file("classify.onnx")
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    (tmp_path / "empty" / "1").mkdir(parents=True)
    with running(tmp_path) as server:
        models = {m["name"]: m for m in server.client.get("/models").json()["models"]}
        assert models["tiny"]["state"] == "ready"
        assert models["broken"]["state"] == models["empty"]["state"] == "failed"
        assert "classify.onnx is not the file that was exported" in models["broken"]["reason"]
        assert "no manifest.json" in models["empty"]["reason"]
        assert server.client.post("/classify", content=picture()).status_code == 200
        refused = server.client.post("/classify?model=broken", content=picture())
        assert refused.status_code == 404
        assert server.client.get("/readyz").status_code == 200


def test_versions_come_and_go_while_requests_are_answered(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with running(tmp_path, admin=True) as server:
        stop = threading.Event()
        statuses: list[int] = []
        used: set[str] = set()

        def ask() -> None:
            while not stop.is_set():
                response = server.client.post("/classify", content=picture())
                statuses.append(response.status_code)
                used.add(response.headers.get("x-model", ""))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for version in (2, 3):
                write_tiny_classifier(tmp_path, version=version, labels=("red", "blue"))
                server.client.post("/models/rescan").raise_for_status()
                server.client.post(f"/models/tiny/{version - 1}/unload").raise_for_status()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert states(server) == {"tiny:1": "unloaded", "tiny:2": "unloaded", "tiny:3": "ready"}
        assert set(statuses) == {200}
        assert len(statuses) > 20
        assert "tiny:1" in used
        last = server.client.post("/classify", content=picture())
        assert last.headers["x-model"] == "tiny:3"
        assert [lane.name for lane in server.serving.device.scheduler.lanes] == ["tiny:3/classify"]

        gone = server.client.post("/classify?model=tiny:1", content=picture())
        assert gone.status_code == 404
        again = server.client.post("/models/tiny/1/load")
        assert again.json()["state"] == "ready"
        back = server.client.post("/classify?model=tiny:1", content=picture())
        assert back.headers["x-model"] == "tiny:1"


def test_a_version_that_nobody_has_cannot_be_loaded(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with running(tmp_path, admin=True) as server:
        assert server.client.post("/models/tiny/9/load").status_code == 404
        assert server.client.post("/models/nobody/1/unload").status_code == 404


def test_what_leaves_the_repository_is_unloaded_by_a_rescan(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    extra = write_tiny_classifier(tmp_path, name="extra")
    with running(tmp_path, admin=True) as server:
        assert states(server) == {"extra:1": "ready", "tiny:1": "ready"}
        extra.folder.rename(tmp_path / "taken-away")
        server.client.post("/models/rescan")
        assert states(server) == {"tiny:1": "ready"}


def test_a_repository_that_is_not_there_is_a_problem_that_is_told(tmp_path: Path) -> None:
    with running(tmp_path / "nowhere") as server:
        answer = server.client.get("/models").json()
        assert answer["models"] == []
        assert "nowhere is not a folder" in answer["problems"][0]
        assert server.client.get("/readyz").status_code == 503
        assert server.client.post("/classify", content=picture()).status_code == 404
