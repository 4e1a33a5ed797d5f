"""Keys, scopes, limits, ports and origins, over real HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.access import KeySpec
from service.access.keys import hash_key
from service.errors import BusyError
from tests.bundles import write_tiny_classifier
from tests.serving import Running, picture, running

KEYS = {
    "viewer": KeySpec(sha256=hash_key("see")),
    "operator": KeySpec(sha256=hash_key("run"), scopes=frozenset({"infer", "admin"})),
    "watcher": KeySpec(sha256=hash_key("watch"), scopes=frozenset({"admin"})),
    "seldom": KeySpec(sha256=hash_key("rare"), per_minute=2),
    "narrow": KeySpec(sha256=hash_key("one"), at_once=1),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(folder)
    return folder


@pytest.fixture(scope="module")
def guarded(repository: Path) -> Iterator[Running]:
    with running(repository, api_keys=KEYS, admin=True, cors_origins=("https://one.example",)) as s:
        yield s


def classify(server: Running, key: str | None, **headers: str) -> httpx.Response:
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return server.client.post("/classify", content=picture(), headers=headers)


def test_without_a_key_nothing_is_answered_but_probes_and_the_page(guarded: Running) -> None:
    for path in ("/livez", "/readyz", "/", "/web/scripts/app.js", "/v2/health/live"):
        assert guarded.client.get(path).status_code == 200, path
    for path in ("/models", "/metrics", "/openapi.json", "/v2/models/tiny", "/nowhere"):
        refused = guarded.client.get(path)
        assert refused.status_code == 401, path
        assert refused.headers["www-authenticate"] == "Bearer"
    refused = classify(guarded, None)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert "Authorization: Bearer" in refused.json()["detail"]


@pytest.mark.parametrize("wrong", ["seee", "SEE", hash_key("see")])
def test_a_key_that_is_not_known_is_refused(guarded: Running, wrong: str) -> None:
    assert classify(guarded, wrong).status_code == 401


def test_either_header_brings_the_key(guarded: Running) -> None:
    assert classify(guarded, "see").status_code == 200
    assert classify(guarded, None, **{"X-API-Key": "see"}).status_code == 200


def test_scopes_are_held_apart(guarded: Running) -> None:
    def status(method: str, path: str, key: str) -> int:
        return guarded.client.request(method, path, headers={"X-API-Key": key}).status_code

    assert status("POST", "/models/rescan", "see") == 403
    assert status("POST", "/models/rescan", "run") == 200
    assert status("GET", "/metrics", "see") == 403
    assert status("GET", "/metrics", "watch") == 200
    assert status("GET", "/models", "watch") == 403
    assert status("GET", "/models", "see") == 200


def test_a_key_has_its_own_rate(guarded: Running) -> None:
    statuses = [classify(guarded, "rare").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = classify(guarded, "rare")
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert classify(guarded, "see").status_code == 200


def test_a_key_has_its_own_places_and_gets_them_back(guarded: Running) -> None:
    guard = guarded.serving.guard
    header = [(b"x-api-key", b"one")]
    held = guard.enter("infer", header)
    with pytest.raises(BusyError):
        guard.enter("infer", header)
    assert classify(guarded, "one").status_code == 429
    held.leave()
    for _ in range(3):  # an answer, a refusal of the task's own: each gives its place back
        assert classify(guarded, "one").status_code == 200
        broken = {"X-API-Key": "one"}
        assert guarded.client.post("/classify", content=b"x", headers=broken).status_code == 400


def test_the_page_of_another_server_is_let_read_if_it_is_named(guarded: Running) -> None:
    asked = {"Origin": "https://one.example", "Access-Control-Request-Method": "POST"}
    preflight = guarded.client.options("/classify", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://one.example"
    for key, status in (("see", 200), (None, 401)):
        answer = classify(guarded, key, Origin="https://one.example")
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "https://one.example"
    other = classify(guarded, "see", Origin="https://two.example")
    assert "access-control-allow-origin" not in other.headers


def test_without_keys_and_origins_the_door_is_open_and_cors_off(server: Running) -> None:
    answer = server.client.post(
        "/classify", content=picture(), headers={"Origin": "https://one.example"}
    )
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_admin_calls_can_have_a_port_of_their_own(repository: Path) -> None:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    with (
        running(repository, admin=True, admin_port=port) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as inside,
    ):
        assert server.client.get("/metrics").status_code == 404
        assert server.client.post("/models/rescan").status_code == 404
        assert server.client.get("/models").status_code == 200
        assert inside.get("/metrics").status_code == 200
        assert inside.post("/models/rescan").status_code == 200
        assert inside.get("/livez").status_code == 200


def test_keys_of_a_file_are_read_again(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[a]\nsha256 = "{hash_key("old")}"\n')
    with running(repository, api_keys_file=file) as server:
        assert classify(server, "old").status_code == 200
        file.write_text(f'[a]\nsha256 = "{hash_key("new")}"\n')
        server.serving.guard.reload()
        assert classify(server, "old").status_code == 401
        assert classify(server, "new").status_code == 200
