"""POST /rank: what is most like the one thing that is shown or said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine
from scipy.special import softmax

from tests.serving import Running, picture
from tests.towers import meaning


def test_texts_are_sorted_by_an_image(clip: Running) -> None:
    words = ["blue", "a photo of the red", "red and blue"]
    response = clip.client.post("/rank", params={"text": words}, content=picture("red"))
    assert response.status_code == 200
    answer = response.json()
    assert (answer["model"], answer["query"], answer["failed"]) == ("towers:1", "image", [])
    results = answer["results"]
    assert [r["text"] for r in results] == ["a photo of the red", "red and blue", "blue"]
    assert [r["index"] for r in results] == [1, 2, 0]
    likeness = [1 - cosine(meaning("red"), meaning(r["text"])) for r in results]
    np.testing.assert_allclose([r["score"] for r in results], likeness, atol=1e-5)
    shares = softmax(10.0 * np.array(likeness))
    np.testing.assert_allclose([r["probability"] for r in results], shares, atol=1e-5)
    assert "queue;dur=" in response.headers["server-timing"]


def test_images_are_sorted_by_a_text(clip: Running) -> None:
    colours = ["white", "blue", "cyan"]
    files = [("image", (c, picture(c))) for c in colours]
    response = clip.client.post("/rank", files=[*files, ("text", (None, "the blue"))])
    answer = response.json()
    assert answer["query"] == "text"
    assert [(r["kind"], colours[r["index"]]) for r in answer["results"]] == [
        ("image", "blue"),
        ("image", "cyan"),
        ("image", "white"),
    ]
    likeness = [1 - cosine(meaning("blue"), meaning(c)) for c in ("blue", "cyan", "white")]
    np.testing.assert_allclose([r["score"] for r in answer["results"]], likeness, atol=1e-5)


def test_of_equals_the_first_stays_first(clip: Running) -> None:
    params = {"text": ["a red", "red", "the red"]}
    answer = clip.client.post("/rank", params=params, content=picture("blue")).json()
    assert [r["index"] for r in answer["results"]] == [0, 1, 2]


def test_only_the_best_are_told_of_all_that_were_compared(clip: Running) -> None:
    params = {"text": ["blue", "red", "green"]}
    whole = clip.client.post("/rank", params=params, content=picture("red")).json()
    best = clip.client.post("/rank", params={**params, "top_k": 1}, content=picture("red")).json()
    assert best["results"] == whole["results"][:1]


def test_a_bad_image_is_told_apart(clip: Running) -> None:
    files = [("image", ("a", b"none")), ("image", ("b", picture("red")))]
    response = clip.client.post("/rank?text=red", files=files)
    answer = response.json()
    assert [r["index"] for r in answer["results"]] == [1]
    (failed,) = answer["failed"]
    assert failed["index"] == 0
    assert failed["error"]["title"] == "Not a readable image"


@pytest.mark.parametrize(
    ("params", "images"),
    [(["red", "blue"], [b"none"]), (["red"], [b"none", b"neither"])],
)
def test_where_nothing_can_be_compared_the_request_fails(
    params: list[str], images: list[bytes], clip: Running
) -> None:
    files = [("image", (str(i), data)) for i, data in enumerate(images)]
    response = clip.client.post("/rank", params={"text": params}, files=files)
    assert response.status_code == 400
    assert response.json()["title"] == "Not a readable image"


@pytest.mark.parametrize(("images", "texts"), [(2, 2), (1, 0), (0, 2), (2, 0)])
def test_it_needs_one_of_one_kind_and_some_of_the_other(
    images: int, texts: int, clip: Running
) -> None:
    files = [("image", (str(i), picture())) for i in range(images)]
    params = {"text": ["red", "blue"][:texts]}
    response = clip.client.post("/rank", params=params, files=files or None)
    assert response.status_code == 422
    assert f"{images} images and {texts} texts" in response.json()["detail"]


def test_a_text_that_is_cut_says_so(clip: Running) -> None:
    params = {"text": ["red", "blue" + " and the" * 9]}
    response = clip.client.post("/rank", params=params, content=picture("red"))
    assert [r["truncated"] for r in response.json()["results"]] == [False, True]
    assert response.headers["x-text-truncated"] == "true"
