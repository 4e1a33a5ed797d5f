"""POST /embed: images and texts in, vectors out."""

from __future__ import annotations

import base64
import io
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.access.keys import KeySpec, hash_key
from tests.bundles import write_tiny_classifier
from tests.service.engine.gated import GatedBackend
from tests.serving import Running, picture, running
from tests.towers import meaning, write_tiny_clip

NPY = "application/x-npy"
B64 = "application/vnd.panoptes.embeddings.base64+json"


def vectors(response: httpx.Response) -> list[list[float]]:
    assert response.status_code == 200, response.text
    return [each["embedding"] for each in response.json()["embeddings"]]


def test_an_image_and_the_word_for_it_get_the_same_vector(clip: Running) -> None:
    of_image = clip.client.post("/embed", content=picture("blue"))
    of_text = clip.client.post("/embed", json={"text": "a photo of a blue"})
    np.testing.assert_allclose(vectors(of_image), [meaning("blue")], atol=1e-6)
    np.testing.assert_allclose(vectors(of_text), [meaning("blue")], atol=1e-6)
    answer = of_image.json()
    assert (answer["model"], answer["dimensions"]) == ("towers:1", 4)
    assert of_image.headers["x-model"] == "towers:1"
    assert [each["kind"] for each in answer["embeddings"]] == ["image"]


def test_fields_of_a_form_are_answered_in_the_order_sent(clip: Running) -> None:
    parts = [
        ("text", (None, "red")),
        ("image", ("a.png", picture("yellow"))),
        ("text", (None, "blue")),
        ("image", ("b.png", picture("white"))),
    ]
    response = clip.client.post("/embed?text=black&text=cyan", files=parts)
    words = ["red", "yellow", "blue", "white", "black", "cyan"]
    np.testing.assert_allclose(vectors(response), [meaning(w) for w in words], atol=1e-6)
    kinds = [each["kind"] for each in response.json()["embeddings"]]
    assert kinds == ["text", "image", "text", "image", "text", "text"]


def test_members_of_json_are_answered_in_the_order_sent(clip: Running) -> None:
    image = base64.b64encode(picture("red")).decode()
    one = clip.client.post("/embed", json={"images": [image], "texts": ["green", "blue"]})
    other = clip.client.post("/embed", json={"texts": ["green", "blue"], "image": image})
    np.testing.assert_allclose(vectors(one), [meaning(w) for w in ("red", "green", "blue")], 1e-5)
    np.testing.assert_allclose(vectors(other), [meaning(w) for w in ("green", "blue", "red")], 1e-5)


@pytest.mark.parametrize("way", [{"params": {"format": "npy"}}, {"headers": {"Accept": NPY}}])
def test_numbers_may_come_as_one_array(way: dict, clip: Running) -> None:
    response = clip.client.post("/embed", json={"texts": ["red", "blue"]}, **way)
    assert response.headers["content-type"] == "application/x-npy"
    array = np.load(io.BytesIO(response.content), allow_pickle=False)
    assert array.dtype == np.dtype("<f4")
    np.testing.assert_allclose(array, [meaning("red"), meaning("blue")], atol=1e-6)


@pytest.mark.parametrize("way", [{"params": {"format": "base64"}}, {"headers": {"Accept": B64}}])
def test_numbers_may_come_in_base64(way: dict, clip: Running) -> None:
    response = clip.client.post("/embed", json={"texts": ["red", "blue"]}, **way)
    assert response.headers["content-type"] == B64
    rows = [np.frombuffer(base64.b64decode(text), "<f4") for text in vectors(response)]
    np.testing.assert_allclose(rows, [meaning("red"), meaning("blue")], atol=1e-6)


def test_the_same_number_is_told_in_every_form(clip: Running) -> None:
    told = clip.client.post("/embed", json={"texts": ["red and cyan and the white"]})
    exact = clip.client.post("/embed?format=npy", json={"texts": ["red and cyan and the white"]})
    array = np.load(io.BytesIO(exact.content))
    assert np.array(vectors(told), np.float32).tolist() == array.tolist()


def test_a_text_that_is_cut_is_embedded_and_says_so(clip: Running) -> None:
    response = clip.client.post(
        "/embed", json={"texts": ["red", "red" + " and the" * 20 + " blue"]}
    )
    assert [e["truncated"] for e in response.json()["embeddings"]] == [False, True]
    assert response.headers["x-text-truncated"] == "true"
    np.testing.assert_allclose(vectors(response), [meaning("red")] * 2, atol=1e-6)
    assert "x-text-truncated" not in clip.client.post("/embed?text=red").headers


def test_one_bad_image_fails_alone(clip: Running) -> None:
    parts = [("image", ("a", b"no image")), ("image", ("b", picture())), ("text", (None, "red"))]
    response = clip.client.post("/embed", files=parts)
    bad, *good = response.json()["embeddings"]
    assert bad["error"]["title"] == "Not a readable image"
    assert bad["error"]["instance"] == response.headers["x-request-id"]
    np.testing.assert_allclose([e["embedding"] for e in good], [meaning("red")] * 2, atol=1e-6)


def test_an_array_has_no_place_for_an_error(clip: Running) -> None:
    parts = [("image", ("a", b"no image")), ("text", (None, "red"))]
    response = clip.client.post("/embed?format=npy", files=parts)
    assert response.status_code == 400
    assert response.json()["title"] == "Not a readable image"


def test_if_all_fail_the_request_does(clip: Running) -> None:
    assert clip.client.post("/embed", content=b"no image").status_code == 400


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ({}, 400, "neither an image nor a text"),
        ({"json": {"texts": []}}, 400, "neither an image nor a text"),
        ({"json": {"texts": ["red", " "]}}, 422, "text 1 is empty"),
        ({"json": {"texts": ["red", 3]}}, 400, "a text in JSON is a string"),
        ({"json": {"texts": ["x" * 201]}}, 413, "201 letters; at most 200"),
        ({"json": {"texts": ["x"] * 41}}, 413, "41 texts in one request; at most 40"),
        ({"files": [("image", picture())] * 5}, 413, "5 images in one request; at most 4"),
        ({"json": {"text": "red", "top_k": 1}}, 422, "top_k"),
        ({"json": {"text": "red"}, "params": {"format": "png"}}, 422, "format"),
        ({"json": {"text": "red"}, "params": {"model": "tiny"}}, 404, "there is towers:1"),
        ({"json": {"text": "red"}, "headers": {"Accept": "image/png"}}, 406, "x-npy"),
        ({"json": {"text": "red"}, "headers": {"X-Deadline-Ms": "no"}}, 422, "X-Deadline-Ms"),
    ],
)
def test_bad_requests_are_problems_that_name_what_is_wrong(
    request_: dict, status: int, says: str, clip: Running
) -> None:
    response = clip.client.post("/embed", **request_)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert says in response.json()["detail"]


def test_what_is_known_of_a_text_is_not_asked_again(tmp_path: Path) -> None:
    write_tiny_clip(tmp_path)
    with running(tmp_path) as server:

        def admitted() -> float:
            return server.metric("panoptes_admitted_total", lane="towers:1/text")

        first = server.client.post("/embed", json={"texts": ["red", "blue", "red"]})
        assert admitted() == 2, "the same text twice is one"
        again = server.client.post("/embed", json={"texts": ["blue", "red"]})
        assert admitted() == 2
        assert vectors(again) == vectors(first)[1:]
        server.client.post("/embed", json={"texts": ["Red"]})
        assert admitted() == 3


def test_more_texts_than_the_queue_holds_go_in_portions(tmp_path: Path) -> None:
    write_tiny_clip(tmp_path, max_batch=4)
    words = [f"{a} and {b}" for a in ("red", "blue") for b in ("green", "cyan", "white", "black")]
    with running(tmp_path, queue_capacity=3) as server:
        response = server.client.post("/embed", json={"texts": words})
    np.testing.assert_allclose(vectors(response), [meaning(text) for text in words], atol=1e-6)


def test_a_memory_of_nothing_still_answers(tmp_path: Path) -> None:
    write_tiny_clip(tmp_path)
    with running(tmp_path, text_cache_bytes=0) as server:
        for _ in range(2):
            response = server.client.post("/embed", json={"texts": ["red", "blue"]})
            np.testing.assert_allclose(vectors(response), [meaning("red"), meaning("blue")], 1e-5)
        assert server.metric("panoptes_admitted_total", lane="towers:1/text") == 4


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with running(tmp_path) as server:
        response = server.client.post("/embed?text=red")
        assert response.status_code == 404
        assert "no model for embed" in response.json()["detail"]


@pytest.mark.parametrize(("full", "other"), [("image", "text"), ("text", "image")])
def test_one_tower_without_room_refuses_all_of_a_request(
    full: str, other: str, tmp_path: Path
) -> None:
    write_tiny_clip(tmp_path)
    asked = {"image": {"content": picture()}, "text": {"json": {"text": "red"}}}[full]
    both = [("image", ("a", picture())), ("text", (None, "blue"))]
    with running(tmp_path, workers=1, queue_capacity=1) as server:
        lanes = {lane.name: lane for lane in server.serving.device.scheduler.lanes}
        busy, idle = lanes[f"towers:1/{full}"], lanes[f"towers:1/{other}"]
        busy.backend = gate = GatedBackend(busy.backend)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(server.client.post, "/embed", **asked)
            gate.wait_until_entered()
            with httpx.Client(base_url=server.url, timeout=10) as client:
                response = client.post("/embed", files=both)
            assert response.status_code == 429
            assert int(response.headers["retry-after"]) >= 1
            assert idle.pending == 0
            gate.open()
            assert waiting.result(10).status_code == 200


def test_a_client_that_leaves_takes_both_towers_work_along(tmp_path: Path) -> None:
    write_tiny_clip(tmp_path)
    with running(tmp_path, workers=1) as server:
        lanes = {lane.name: lane for lane in server.serving.device.scheduler.lanes}
        image, text = lanes["towers:1/image"], lanes["towers:1/text"]
        image.backend = gate = GatedBackend(image.backend)
        with httpx.Client(base_url=server.url, timeout=10) as client, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.post, "/embed", content=picture())
            gate.wait_until_entered()
            body = client.build_request(
                "POST", "/embed", files=[("image", ("a", picture())), ("text", (None, "blue"))]
            )
            data = body.read()
            port = int(server.url.rsplit(":", 1)[1])
            with socket.create_connection(("127.0.0.1", port), 10) as leaving:
                leaving.sendall(
                    b"POST /embed HTTP/1.1\r\nHost: x\r\n"
                    + f"Content-Type: {body.headers['content-type']}\r\n".encode()
                    + f"Content-Length: {len(data)}\r\n\r\n".encode()
                    + data
                )
                wait_until(lambda: (image.pending, text.pending) == (2, 1))
            wait_until(lambda: (image.pending, text.pending) == (1, 0))
            gate.open()
            assert waiting.result(10).status_code == 200
        for lane in (image, text):
            cancelled = server.metric("panoptes_settled_total", lane=lane.name, outcome="cancelled")
            assert cancelled == 1


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def test_a_request_for_both_towers_goes_inside_and_counts_once(tmp_path: Path) -> None:
    """It was at the door, where nobody knew yet what is in its body."""
    write_tiny_clip(tmp_path)
    keys = {"seldom": KeySpec(sha256=hash_key("rare"), per_minute=2, at_once=1)}
    image = base64.b64encode(picture("red")).decode()
    with running(tmp_path, api_keys=keys) as server:
        asked = [
            server.client.post(
                "/embed",
                json={"image": image, "text": "blue"},
                headers={"X-API-Key": "rare", "X-Request-Id": f"request-{number}"},
            )
            for number in range(3)
        ]
    assert [each.status_code for each in asked] == [200, 200, 429]
    assert [each.headers["x-request-id"] for each in asked] == [f"request-{n}" for n in range(3)]
