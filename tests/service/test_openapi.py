from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bundles import write_tiny_classifier, write_tiny_depth, write_tiny_detector
from tests.painters import write_tiny_painter
from tests.segment_bundle import write_tiny_segmenter
from tests.serving import Running, running
from tests.towers import write_tiny_clip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One with a model for every task."""
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(repository)
    write_tiny_detector(repository)
    write_tiny_depth(repository)
    write_tiny_clip(repository)
    write_tiny_painter(repository)
    write_tiny_segmenter(repository)
    with running(repository) as started:
        yield started


def test_every_route_is_documented_with_its_answers(server: Running) -> None:
    document = server.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {
        "/classify",
        "/detect",
        "/embed",
        "/rank",
        "/v1/embeddings",
        "/models",
        "/models/{name}",
        "/livez",
        "/readyz",
        "/metrics",
    } <= set(document["paths"])
    classify = document["paths"]["/classify"]["post"]
    names = {p["name"]: p for p in classify["parameters"]}
    assert set(names) == {"model", "format", "top_k", "labels", "template", "templates"}
    assert all(p["in"] == "query" and p["description"] for p in names.values())
    assert {"200", "400", "413", "422", "429", "503", "504"} <= set(classify["responses"])
    rank = document["paths"]["/rank"]["post"]
    assert {p["name"] for p in rank["parameters"]} == {"model", "text", "top_k"}
    schema = document["components"]["schemas"]["Prediction"]
    assert schema["properties"]["score"]["description"]


def test_the_examples_work_when_they_are_pasted(server: Running) -> None:
    document = server.client.get("/openapi.json").json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            bodies = operation.get("requestBody", {}).get("content", {})
            for kind, content in bodies.items():
                for example in content.get("examples", {}).values():
                    response = server.client.request(
                        method, path, json=example["value"], headers={"Content-Type": kind}
                    )
                    assert response.status_code == 200, response.text
                    expected = operation["responses"]["200"]["content"][kind]["example"]
                    assert members(response.json()) == members(expected), path
                    tried += 1
    assert tried >= 6


def members(value: object) -> object:
    """The names of its members; of those that are lists, the names of the first's."""
    if isinstance(value, dict):
        lists = {name: each[:1] for name, each in value.items() if isinstance(each, list)}
        return dict.fromkeys(value) | {name: members(first) for name, first in lists.items()}
    return [members(each) for each in value] if isinstance(value, list) else None
