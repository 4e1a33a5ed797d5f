"""POST /classify by words of the request."""

from __future__ import annotations

import base64
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from service.engine.lane import Lane
from tests.service.engine.gated import GatedBackend
from tests.serving import Running, picture, running
from tests.towers import meaning, write_tiny_clip

WORDS = ["blue", "red", "green"]


def shares(colour: str, prompts: list[str], scale: float = 10.0) -> np.ndarray:
    return softmax(scale * np.array([meaning(colour) @ meaning(p) for p in prompts]))


def scores(response: httpx.Response) -> dict[str, float]:
    assert response.status_code == 200, response.text
    return {p["label"]: p["score"] for p in response.json()["images"][0]["predictions"]}


@pytest.mark.parametrize("ask", ["query", "repeated", "form", "json"])
def test_the_likeliest_word_comes_first(ask: str, clip: Running) -> None:
    ways = {
        "query": {"params": {"labels": "blue, red,green"}, "content": picture("red")},
        "repeated": {"params": {"labels": WORDS}, "content": picture("red")},
        "form": {"files": {"image": picture("red")}, "data": {"labels": WORDS}},
        "json": {"json": {"image": as_text(picture("red")), "labels": WORDS}},
    }
    response = clip.client.post("/classify", **ways[ask])
    found = scores(response)
    assert next(iter(found)) == "red"
    prompts = [f"a photo of a {word}" for word in WORDS]
    np.testing.assert_allclose([found[w] for w in WORDS], shares("red", prompts), atol=2e-6)
    answer = response.json()
    assert answer["model"] == "towers:1"
    assert answer["images"][0]["predictions"][0]["index"] == 1, "its place among the words"
    assert (answer["images"][0]["width"], answer["images"][0]["height"]) == (64, 48)


def test_without_words_the_classifier_answers(clip: Running) -> None:
    response = clip.client.post("/classify", content=picture("red"))
    assert response.json()["model"] == "tiny:1"


def test_only_the_best_words_if_so_asked(clip: Running) -> None:
    params = {"labels": "blue,red,green", "top_k": 2}
    assert len(scores(clip.client.post("/classify", params=params, content=picture("red")))) == 2


def test_a_template_of_ones_own_is_read(clip: Running) -> None:
    # The template's own colour counts: "red and blue" is less like a red image than "red".
    params = {"labels": "red,green", "template": "{} and blue"}
    found = scores(clip.client.post("/classify", params=params, content=picture("red")))
    wanted = shares("red", ["red and blue", "green and blue"])
    np.testing.assert_allclose([found["red"], found["green"]], wanted, atol=2e-6)


def test_several_templates_are_averaged_and_brought_back_to_length_1(clip: Running) -> None:
    params = {"labels": "red,green", "templates": ["{}", "{} and blue", "the white of {}"]}
    found = scores(clip.client.post("/classify", params=params, content=picture("red")))
    likeness = []
    for word in ("red", "green"):
        mean = np.mean([meaning(t.replace("{}", word)) for t in params["templates"]], axis=0)
        likeness.append(meaning("red") @ (mean / np.linalg.norm(mean)))
    wanted = softmax(10.0 * np.array(likeness))
    np.testing.assert_allclose([found["red"], found["green"]], wanted, atol=2e-6)


def test_the_second_time_only_the_image_tower_runs(tmp_path: Path) -> None:
    write_tiny_clip(tmp_path)
    with running(tmp_path) as server:

        def samples(role: str) -> float:
            return server.metric("panoptes_admitted_total", lane=f"towers:1/{role}")

        params = {"labels": "blue,red,green"}
        server.client.post("/classify", params=params, content=picture("red"))
        assert (samples("text"), samples("image")) == (3, 1)
        server.client.post("/classify", params=params, content=picture("blue"))
        assert (samples("text"), samples("image")) == (3, 2)
        # Other words, of which two are known.
        params = {"labels": "blue,red,white"}
        server.client.post("/classify", params=params, content=picture("blue"))
        assert (samples("text"), samples("image")) == (4, 3)


def test_several_images_share_the_words_and_a_bad_one_fails_alone(clip: Running) -> None:
    files = [("image", (str(i), d)) for i, d in enumerate([picture("red"), b"x", picture("blue")])]
    response = clip.client.post("/classify?labels=red,blue", files=files)
    first, bad, last = response.json()["images"]
    assert first["predictions"][0]["label"] == "red"
    assert bad["error"]["status"] == 400
    assert last["predictions"][0]["label"] == "blue"


def test_the_answer_can_be_drawn(clip: Running) -> None:
    headers = {"Accept": "image/png"}
    response = clip.client.post("/classify?labels=red", content=picture("red"), headers=headers)
    assert response.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(response.content)).size[0] >= 64


def test_a_label_that_is_cut_says_so(clip: Running) -> None:
    long = "blue" + " and the" * 9
    response = clip.client.post("/classify", params={"labels": [long]}, content=picture())
    assert response.headers["x-text-truncated"] == "true"
    again = clip.client.post("/classify", params={"labels": [long]}, content=picture())
    assert again.headers["x-text-truncated"] == "true"


def test_server_timing_counts_both_towers(clip: Running) -> None:
    params = {"labels": "magenta,yellow"}
    response = clip.client.post("/classify", params=params, content=picture())
    names = [part.split(";")[0] for part in response.headers["server-timing"].split(", ")]
    assert names == ["queue", "decode", "run", "render", "batch"]


@pytest.mark.parametrize(
    ("params", "status", "says"),
    [
        ({"labels": ""}, 422, "labels: there is none"),
        ({"labels": "red,red"}, 422, "'red' is there more than once"),
        ({"labels": "red", "template": "a photo"}, 422, "no {} for the label"),
        ({"template": "a {}"}, 422, "no labels to put into it"),
        ({"templates": ["a {}", "the {}"]}, 422, "no labels to put into it"),
        ({"labels": "red", "model": "tiny"}, 404, "there is towers:1"),
        ({"labels": [str(i) for i in range(41)]}, 413, "41 labels times templates"),
        ({"labels": "red," + "x" * 200}, 413, "at most 200"),
    ],
)
def test_bad_words_are_problems_that_name_what_is_wrong(
    params: dict, status: int, says: str, clip: Running
) -> None:
    response = clip.client.post("/classify", params=params, content=picture())
    assert response.status_code == status
    assert says in response.json()["detail"]


def test_too_many_prompts_are_counted_before_they_are_made(clip: Running) -> None:
    labels, templates = [f"l{i}" for i in range(20_000)], [f"{{}} {i}" for i in range(20_000)]
    body = {"image": as_text(picture()), "labels": labels, "templates": templates}
    response = clip.client.post("/classify", json=body)
    assert response.status_code == 413
    assert "400000000 labels times templates" in response.json()["detail"]


def test_what_was_promised_with_the_words_is_not_refused_afterwards(tmp_path: Path) -> None:
    """The images' room was asked for with the words: others that came between do not take it."""
    write_tiny_clip(tmp_path)
    with running(tmp_path, workers=1, queue_capacity=1) as server:
        lanes = {lane.name: lane for lane in server.serving.device.scheduler.lanes}
        text, image = lanes["towers:1/text"], lanes["towers:1/image"]
        text.backend = words = GatedBackend(text.backend)
        image.backend = look = GatedBackend(image.backend)
        ask = {"params": {"labels": "red"}, "content": picture("red")}
        with (
            ThreadPoolExecutor(2) as pool,
            httpx.Client(base_url=server.url, timeout=10) as other,
        ):
            first = pool.submit(server.client.post, "/classify", **ask)
            words.wait_until_entered()
            # Takes the only place in the queue of images.
            second = pool.submit(other.post, "/embed", content=picture("blue"))
            wait_for_pending(image)
            words.open()
            look.open()
            assert second.result(10).status_code == 200
            assert scores(first.result(10)) == {"red": 1.0}


def wait_for_pending(lane: Lane) -> None:
    end = time.monotonic() + 10
    while lane.pending != 1:
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def as_text(image: bytes) -> str:
    return base64.b64encode(image).decode()
