"""POST /v1/images/generations through OpenAI's own client, as it is installed."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from PIL import Image

from tests.painters import PAINTER_DEFAULTS, write_tiny_painter
from tests.serving import Running, running

RED = {"prompt": "a red ball", "extra_body": {"seed": 3}}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_painter(repository, defaults={**PAINTER_DEFAULTS, "steps": 8})
    with running(repository, max_steps=20, max_generated_images=4) as started:
        yield started


@pytest.fixture(scope="module")
def client(studio: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="none", base_url=f"{studio.url}/v1", max_retries=0) as made:
        yield made


def opened(b64_json: str | None) -> Image.Image:
    assert b64_json is not None
    image = Image.open(io.BytesIO(base64.b64decode(b64_json)))
    image.load()
    return image


def steps_of(image: Image.Image) -> int:
    return int(json.loads(image.text["Parameters"])["steps"])


def test_the_client_gets_the_picture_that_our_own_route_paints(
    client: openai.OpenAI, studio: Running
) -> None:
    answer = client.images.generate(**RED, size="32x32", response_format="b64_json")
    assert answer.data is not None
    (item,) = answer.data
    own = studio.client.post("/generate", json={"prompt": "a red ball", "seed": 3})
    assert base64.b64decode(item.b64_json or "") == own.content
    assert (answer.size, answer.output_format, answer.background) == ("32x32", "png", "opaque")
    assert answer.created > 1.7e9
    assert answer.usage is not None
    # a, red, ball; begun and ended
    assert (answer.usage.input_tokens, answer.usage.total_tokens) == (5, 5)


def test_several_pictures_have_their_seeds(client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt="blue", n=3, size="auto", model="painter:1")
    assert answer.data is not None
    assert [getattr(item, "index", None) for item in answer.data] == [0, 1, 2]
    assert len({getattr(item, "seed", None) for item in answer.data}) == 1
    pictures = [np.asarray(opened(item.b64_json)) for item in answer.data]
    assert not np.array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_other_formats_are_written(form: str, client: openai.OpenAI) -> None:
    small, large = (
        client.images.generate(**RED, output_format=form, output_compression=quality).data
        for quality in (10, 100)
    )
    assert small is not None and large is not None
    images = [opened(data[0].b64_json) for data in (small, large)]
    assert [image.format for image in images] == [form.upper()] * 2
    assert len(small[0].b64_json or "") < len(large[0].b64_json or "")
    exact = client.images.generate(**RED).data
    assert exact is not None
    apart = np.abs(np.asarray(images[1], int) - np.asarray(opened(exact[0].b64_json), int))
    assert apart.mean() < 12


@pytest.mark.parametrize(("quality", "steps"), [("low", 4), ("auto", 8), ("high", 16)])
def test_quality_is_a_matter_of_steps(quality: str, steps: int, client: openai.OpenAI) -> None:
    data = client.images.generate(**RED, quality=quality).data
    assert data is not None
    assert steps_of(opened(data[0].b64_json)) == steps


def test_steps_that_are_named_count_more_than_quality(client: openai.OpenAI) -> None:
    more = {"seed": 3, "steps": 5, "negative_prompt": "blue", "sampler": "euler"}
    data = client.images.generate(prompt="red", quality="high", extra_body=more).data
    assert data is not None
    said = json.loads(opened(data[0].b64_json).text["Parameters"])
    assert {name: said[name] for name in more} == more


# -- streams


@pytest.mark.parametrize("partials", [0, 1, 3])
def test_a_stream_has_partial_images_and_the_picture(partials: int, client: openai.OpenAI) -> None:
    stream = client.images.generate(**RED, stream=True, partial_images=partials)
    *early, last = list(stream)
    assert [event.type for event in early] == ["image_generation.partial_image"] * partials
    assert [getattr(event, "partial_image_index", None) for event in early] == list(range(partials))
    assert all(opened(event.b64_json).size == (32, 32) for event in early)
    assert last.type == "image_generation.completed"
    assert (last.size, last.quality, last.usage.total_tokens) == ("32x32", "auto", 5)
    data = client.images.generate(**RED).data
    assert data is not None and last.b64_json == data[0].b64_json


def test_partial_images_come_to_look_like_the_picture(client: openai.OpenAI) -> None:
    events = list(client.images.generate(**RED, stream=True, partial_images=3))
    pictures = [np.asarray(opened(event.b64_json)).astype(int) for event in events]
    apart = [np.abs(picture - pictures[-1]).mean() for picture in pictures]
    assert apart == sorted(apart, reverse=True) and apart[-1] == 0


# -- refusals


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"response_format": "url"}, "response_format"),
        ({"background": "transparent"}, "background"),
        ({"style": "vivid"}, "style"),
        ({"size": "1024x1024"}, "size"),
        ({"n": 5}, "n"),
        ({"quality": "ultra"}, "quality"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 50}, "output_compression"),
        ({"partial_images": 2}, "partial_images"),
        ({"stream": True, "n": 2}, "n"),
        ({"prompt": ""}, "prompt"),
        ({"extra_body": {"steps": 21}}, "steps"),
        ({"extra_body": {"colour": "red"}}, "colour"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    change: dict[str, Any], param: str, client: openai.OpenAI
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(**(RED | change))
    assert refused.value.param == param
    assert param in refused.value.message
    assert refused.value.type == "invalid_request_error"


def test_a_model_that_is_not_here_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.images.generate(prompt="red", model="gpt-image-2")
    assert refused.value.code == "model_not_found"


def test_what_changes_nothing_is_accepted(client: openai.OpenAI) -> None:
    more = {"user": "me", "moderation": "low", "background": "auto", "quality": "medium"}
    plain, polite = (client.images.generate(**RED, **options).data for options in ({}, more))
    assert plain is not None and polite is not None
    assert plain[0].b64_json == polite[0].b64_json


def test_the_server_can_be_loaded_as_aiperf_does(studio: Running) -> None:
    """Its requests of `--endpoint-type image_generation`, plain and with --streaming."""
    body = {"prompt": "red", "model": "painter", "response_format": "b64_json", "n": 1}
    plain = studio.client.post("/v1/images/generations", json=body).json()
    assert plain["data"][0]["b64_json"] and plain["usage"] and plain["size"] == "32x32"
    streamed = studio.client.post("/v1/images/generations", json=body | {"stream": True})
    assert streamed.headers["content-type"] == "text/event-stream"
    data = [line for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert json.loads(data[-1].removeprefix("data: "))["b64_json"]
