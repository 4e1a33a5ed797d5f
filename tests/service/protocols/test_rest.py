from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image
from pydantic import TypeAdapter

from service.tasks.classify import Classification
from tests.serving import Running, picture


def labels(answer: dict) -> list[str]:
    return [image["predictions"][0]["label"] for image in answer["images"]]


def test_raw_bytes_are_classified(server: Running) -> None:
    response = server.client.post("/classify", content=picture("lime"))
    assert response.status_code == 200
    assert labels(response.json()) == ["green"]


@pytest.mark.parametrize(
    "content_type", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded"]
)
def test_raw_bytes_may_be_called_what_curl_calls_them(server: Running, content_type: str) -> None:
    response = server.client.post(
        "/classify", content=picture("blue"), headers={"Content-Type": content_type}
    )
    assert labels(response.json()) == ["blue"]


def test_the_answer_is_what_the_documentation_says(server: Running) -> None:
    response = server.client.post("/classify", content=picture("red", size=(40, 30)))
    (image,) = response.json()["images"]
    answer = TypeAdapter(Classification).validate_python(image)
    assert (answer.width, answer.height) == (40, 30)
    scores = [p.score for p in answer.predictions]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1.0, abs=1e-5)
    assert answer.predictions[0].label == "red"
    assert answer.predictions[0].index == 0


def test_many_images_are_answered_in_the_order_sent(server: Running) -> None:
    files = [("image", (f"{c}.png", picture(c))) for c in ("blue", "red", "lime", "blue")]
    response = server.client.post("/classify", files=files)
    assert labels(response.json()) == ["blue", "red", "green", "blue"]


def test_base64_in_json_is_read_with_and_without_a_data_prefix(server: Running) -> None:
    text = base64.b64encode(picture("blue")).decode()
    body = {"images": [text, f"data:image/png;base64,{text}"], "top_k": 1}
    response = server.client.post("/classify", json=body)
    assert labels(response.json()) == ["blue", "blue"]
    assert all(len(image["predictions"]) == 1 for image in response.json()["images"])


@pytest.mark.parametrize("where", ["query", "form", "json"])
def test_options_come_in_the_query_or_beside_the_image(server: Running, where: str) -> None:
    image = picture()
    if where == "query":
        response = server.client.post("/classify?top_k=2", content=image)
    elif where == "form":
        response = server.client.post("/classify", files={"image": image}, data={"top_k": "2"})
    else:
        text = base64.b64encode(image).decode()
        response = server.client.post("/classify", json={"image": text, "top_k": 2})
    assert len(response.json()["images"][0]["predictions"]) == 2


def test_png_draws_the_answer_on_the_image(server: Running) -> None:
    sent = picture("red", size=(640, 480))
    response = server.client.post("/classify", content=sent, headers={"Accept": "image/png"})
    assert response.headers["content-type"] == "image/png"
    drawn = Image.open(io.BytesIO(response.content))
    assert drawn.width == 640
    assert drawn.height > 480, "the labels stand below the image"
    assert drawn.crop((0, 0, 640, 400)).getpixel((320, 200)) == (255, 0, 0)
    assert len(drawn.getcolors(1 << 20) or []) > 8, "labels and bars are drawn"
    by_option = server.client.post("/classify?format=png", content=sent)
    assert by_option.content == response.content


def test_a_picture_of_several_images_is_refused(server: Running) -> None:
    files = [("image", picture()), ("image", picture())]
    response = server.client.post("/classify", files=files, headers={"Accept": "image/png"})
    assert response.status_code == 406


def test_every_answer_says_where_its_time_went_and_who_gave_it(server: Running) -> None:
    response = server.client.post("/classify", content=picture())
    phases = dict(re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"]))
    assert set(phases) == {"queue", "decode", "run", "render"}
    assert all(float(ms) < 5_000 for ms in phases.values())
    assert 'batch;desc="1"' in response.headers["server-timing"]
    assert response.headers["x-model"] == "tiny:1"
    assert re.fullmatch("[0-9a-f]{64}", response.headers["x-model-digest"])
    assert response.headers["x-request-id"]


def test_a_bad_image_among_good_ones_fails_alone(server: Running) -> None:
    files = [("image", picture("red")), ("image", b"no image"), ("image", picture("blue"))]
    response = server.client.post("/classify", files=files)
    assert response.status_code == 200
    first, bad, last = response.json()["images"]
    assert first["predictions"][0]["label"] == "red"
    assert last["predictions"][0]["label"] == "blue"
    assert bad["error"]["status"] == 400


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ({"content": b""}, 400, "no image"),
        ({"content": b"hello"}, 400, "not a JPEG"),
        ({"content": picture(form="JPEG")[:-40]}, 400, ""),
        ({"content": picture(), "params": {"top_k": 0}}, 422, "top_k"),
        ({"content": picture(), "params": {"topk": 3}}, 422, "topk"),
        ({"content": picture(), "params": {"model": "other"}}, 404, "tiny:1"),
        ({"content": picture(), "params": {"model": "tiny:7"}}, 404, "tiny:7"),
        ({"content": picture(), "params": {"model": "../etc"}}, 422, "model"),
        ({"content": picture(), "params": {"format": "gif"}}, 422, "format"),
        ({"content": picture(), "headers": {"Accept": "text/html"}}, 406, "application/json"),
        ({"content": picture(), "headers": {"X-Deadline-Ms": "soon"}}, 422, "X-Deadline-Ms"),
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "text/plain"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "JSON"),
        ({"json": {"image": "@@@"}}, 400, "base64"),
        ({"json": [1]}, 400, "object"),
        ({"json": {"images": []}}, 400, "no image"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
    ],
)
def test_bad_requests_are_problems_that_name_what_is_wrong(
    server: Running, request_: dict, status: int, says: str
) -> None:
    response = server.client.post("/classify", **request_)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert says in problem["detail"]
    assert problem["instance"] == response.headers["x-request-id"]


def test_a_deadline_that_cannot_be_met_is_refused_at_once(server: Running) -> None:
    server.client.post("/classify", content=picture())  # so that the cost is known
    response = server.client.post(
        "/classify",
        files=[("image", picture(size=(1000, 1000))) for _ in range(60)],
        headers={"X-Deadline-Ms": "1"},
    )
    assert response.status_code in (429, 504)
    if response.status_code == 429:
        assert int(response.headers["retry-after"]) >= 1
