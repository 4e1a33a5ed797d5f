"""POST /v1/embeddings, asked by OpenAI's own client."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openai
import pytest

from service.protocols.openai.errors import error_response
from tests.service.engine.gated import GatedBackend
from tests.serving import Running, picture, running
from tests.towers import meaning, write_tiny_clip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_clip(repository)
    with running(repository, max_texts=40) as started:
        yield started


@pytest.fixture
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none is needed", max_retries=0
    ) as client:
        yield client


def as_uri(image: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def test_models_are_listed(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.object) == ("towers:1", "model")
    answer = client.embeddings.create(model=model.id, input="red")
    assert answer.model == model.id


def test_texts_and_images_in_one_list(client: openai.OpenAI) -> None:
    mixed = ["red", as_uri(picture("blue")), "a photo of the green"]
    answer = client.embeddings.create(model="towers", input=mixed)
    rows = [item.embedding for item in answer.data]
    np.testing.assert_allclose(rows, [meaning(c) for c in ("red", "blue", "green")], atol=1e-6)
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert {item.object for item in answer.data} == {"embedding"}
    assert (answer.object, answer.model) == ("list", "towers:1")
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 3 + 7


def test_one_text_by_itself(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="towers:1", input="red", user="somebody")
    np.testing.assert_allclose([answer.data[0].embedding], [meaning("red")], atol=1e-6)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_both_encodings_tell_the_same(encoding: str, server: Running) -> None:
    body = {"input": ["red"], "encoding_format": encoding}
    (item,) = server.client.post("/v1/embeddings", json=body).json()["data"]
    told = item["embedding"]
    row = np.frombuffer(base64.b64decode(told), "<f4") if encoding == "base64" else told
    np.testing.assert_allclose(row, meaning("red"), atol=1e-6)


def test_the_dimensions_that_there_are_may_be_asked_for(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="towers", input="red", dimensions=4)
    assert len(answer.data[0].embedding) == 4


def test_other_dimensions_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="have 4 dimensions") as caught:
        client.embeddings.create(model="towers", input="red", dimensions=2)
    assert caught.value.param == "dimensions"
    assert caught.value.type == "invalid_request_error"


def test_a_model_that_is_not_there(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is towers:1") as caught:
        client.embeddings.create(model="text-embedding-3-small", input="red")
    assert caught.value.code == "model_not_found"
    assert caught.value.response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "nothing in it"),
        ([[1, 2, 3]], "these are tokens"),
        ([1, 2, 3], "these are tokens"),
        ("", "text 0 is empty"),
        (["red", as_uri(b"no image")], "input 1: These bytes are not"),
        (["data:image/png;base64,@@"], "not valid base64"),
        (["red", None], "input"),
    ],
)
def test_what_cannot_be_embedded_is_named(given: object, says: str, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=says):
        client.embeddings.create(model="towers", input=given)  # type: ignore[arg-type]


def test_more_than_a_request_may_have(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="41 texts") as caught:
        client.embeddings.create(model="towers", input=["red"] * 41)
    assert caught.value.status_code == 413


def test_an_unknown_member_is_an_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="no option 'colour'") as caught:
        client.embeddings.create(model="towers", input="red", extra_body={"colour": "red"})
    assert caught.value.param == "colour"


def test_a_header_that_is_wrong_is_told_in_the_same_form(server: Running) -> None:
    response = server.client.post(
        "/v1/embeddings", json={"input": "red"}, headers={"X-Deadline-Ms": "soon"}
    )
    assert response.status_code == 400
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "X-Deadline-Ms" in error["message"]


def test_a_busy_server_is_a_rate_limit(tmp_path: Path) -> None:
    write_tiny_clip(tmp_path)
    with running(tmp_path, workers=1, queue_capacity=1) as server, ThreadPoolExecutor(1) as pool:
        (lane,) = (x for x in server.serving.device.scheduler.lanes if x.name == "towers:1/text")
        lane.backend = gate = GatedBackend(lane.backend)
        waiting = pool.submit(server.client.post, "/v1/embeddings", json={"input": "red"})
        gate.wait_until_entered()
        url = f"{server.url}/v1"
        with (
            openai.OpenAI(base_url=url, api_key="none is needed", max_retries=0) as client,
            pytest.raises(openai.RateLimitError) as caught,
        ):
            client.embeddings.create(model="towers", input="blue")
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        gate.open()
        assert waiting.result(10).status_code == 200


def test_a_defect_tells_nothing_but_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    response = error_response(KeyError("secret"), "abc")
    assert response.status_code == 500
    assert b"secret" not in response.body
    assert b'"server_error"' in response.body
    assert "secret" in caplog.text


def test_a_body_that_is_no_json(server: Running) -> None:
    response = server.client.post("/v1/embeddings", content=b"{")
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert response.headers["content-type"] == "application/json"


def test_what_was_truncated_is_in_a_header(server: Running) -> None:
    response = server.client.post("/v1/embeddings", json={"input": "red" + " and the" * 9})
    assert response.headers["x-text-truncated"] == "true"
    assert response.headers["server-timing"]
