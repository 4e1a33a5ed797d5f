import re

import pytest

from tests.serving import Running, picture


def test_every_answer_has_a_request_id_of_its_own(server: Running) -> None:
    paths = ["/livez", "/models", "/nowhere", "/"]
    ids = [server.client.get(path).headers["x-request-id"] for path in paths]
    assert len(set(ids)) == len(paths)
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)


def test_a_callers_id_is_kept(server: Running) -> None:
    response = server.client.get("/livez", headers={"X-Request-Id": "trace-42:a.b"})
    assert response.headers["x-request-id"] == "trace-42:a.b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 200, "<script>"])
def test_an_id_that_is_not_sane_is_replaced(server: Running, given: str) -> None:
    response = server.client.get("/livez", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{16}", response.headers["x-request-id"])


def test_unknown_paths_share_one_metric(server: Running) -> None:
    server.client.get("/invented/1")
    server.client.get("/invented/2")
    assert server.metric("panoptes_request_seconds_count", route="(none)", status="404") >= 2
    assert server.metric("panoptes_request_seconds_count", route="/invented/1", status="404") == 0


def test_unknown_paths_and_methods_are_problems(server: Running) -> None:
    missing = server.client.get("/nowhere")
    assert missing.json()["detail"] == "there is nothing at /nowhere"
    wrong = server.client.put("/classify", content=picture())
    assert wrong.status_code == 405
    assert wrong.headers["content-type"] == "application/problem+json"
