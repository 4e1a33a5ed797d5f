"""POST /generate over real HTTP: every form of the answer, refusals, and leaving in the middle."""

from __future__ import annotations

import base64
import concurrent.futures
import email.parser
import email.policy
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.bundles import write_tiny_classifier
from tests.painters import PAINTER_DEFAULTS, write_tiny_painter
from tests.service.engine.gated import GatedBackend
from tests.service.engine.scripted import measured
from tests.serving import Running, picture, running

PROMPT = {"prompt": "a red ball", "seed": 3}
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_painter(repository)
    write_tiny_painter(repository, name="large", cells=12)
    write_tiny_classifier(repository)
    settings = {"max_generated_images": 3, "max_text_chars": 200, "max_steps": 50}
    with running(repository, default_models={"generate": "painter"}, **settings) as started:
        yield started


def asked(server: Running, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    answer = server.client.post("/generate", json=body or PROMPT, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def opened(file: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(file))
    image.load()
    return image


def same(one: bytes, other: bytes) -> bool:
    return np.array_equal(np.asarray(opened(one)), np.asarray(opened(other)))


def events_of(lines: Iterator[str]) -> list[tuple[str, Any]]:
    found, name = [], ""
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            found.append((name, json.loads(value)))
    return found


def streamed(server: Running, body: dict[str, Any]) -> list[tuple[str, Any]]:
    with server.client.stream("POST", "/generate", json=body, headers=STREAM) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        return events_of(answer.iter_lines())


# -- the forms


def test_a_prompt_is_answered_with_a_png_that_says_how_it_came_to_be(studio: Running) -> None:
    answer = asked(studio)
    assert answer.headers["content-type"] == "image/png"
    image = opened(answer.content)
    assert (image.size, image.mode) == ((32, 32), "RGB")
    assert image.text["Software"] == "Panoptes"
    assert image.text["Description"] == "a red ball"
    assert image.text["Model-Digest"] == answer.headers["x-model-digest"]
    assert json.loads(image.text["Parameters"]) == {
        "prompt": "a red ball",
        "steps": 6,
        "sampler": "ddim",
        "guidance_scale": 1.5,
        "eta": 0.0,
        "seed": 3,
        "index": 0,
        "size": "32x32",
        "model": "painter:1",
    }


def test_what_a_png_says_paints_it_again(studio: Running) -> None:
    body = {
        "prompt": "ein blauer Ball – 青い, blue",
        "negative_prompt": "red",
        "sampler": "ddim",
        "eta": 0.5,
        "steps": 9,
        "n": 2,
    }
    images = asked(studio, body, Accept="application/json").json()["images"]
    for file in (base64.b64decode(each["image"]) for each in images):
        again = studio.client.post("/generate", content=opened(file).text["Parameters"])
        assert again.content == file


def test_without_a_seed_one_is_drawn_and_told(studio: Running) -> None:
    first, second = (asked(studio, {"prompt": "blue"}) for _ in range(2))
    seed = int(first.headers["x-seed"])
    assert seed != int(second.headers["x-seed"])
    assert asked(studio, {"prompt": "blue", "seed": seed}).content == first.content


def test_json_has_the_pictures_and_what_was_left_open(studio: Running) -> None:
    answer = asked(studio, PROMPT | {"n": 2}, Accept="application/json").json()
    assert answer["model"] == "painter:1"
    assert [(i["seed"], i["index"]) for i in answer["images"]] == [(3, 0), (3, 1)]
    assert [(i["width"], i["height"]) for i in answer["images"]] == [(32, 32)] * 2
    files = [base64.b64decode(each["image"]) for each in answer["images"]]
    assert same(files[0], asked(studio).content) and not same(*files)
    assert answer["parameters"]["steps"] == 6 and answer["parameters"]["n"] == 2
    assert answer["prompt_truncated"] is False


def test_a_prompt_that_is_cut_off_is_said_to_be(studio: Running) -> None:
    body = {"prompt": "red and green and blue and white", "format": "json"}
    assert asked(studio, body).json()["prompt_truncated"] is True


def test_several_pictures_come_as_multipart(studio: Running) -> None:
    answer = asked(studio, PROMPT | {"n": 3})
    kind = answer.headers["content-type"]
    assert kind.startswith("multipart/mixed; boundary=")
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.content)
    parts = list(message.iter_parts())
    assert [part.get_filename() for part in parts] == ["3-0.png", "3-1.png", "3-2.png"]
    files = [part.get_payload(decode=True) for part in parts]
    assert all(part.get_content_type() == "image/png" for part in parts)
    assert same(files[0], asked(studio).content) and not same(files[0], files[1])


@pytest.mark.parametrize(
    ("accept", "count", "kind"),
    [
        ("image/*", 1, "image/png"),
        ("application/json, image/png;q=0.5", 1, "application/json"),
        ("multipart/mixed", 1, "multipart/mixed"),
        ("application/json", 2, "application/json"),
        ("*/*", 2, "multipart/mixed"),
    ],
)
def test_accept_chooses_the_form(accept: str, count: int, kind: str, studio: Running) -> None:
    answer = asked(studio, PROMPT | {"n": count}, Accept=accept)
    assert answer.headers["content-type"].partition(";")[0] == kind


def test_curl_may_forget_to_say_that_it_sends_json(studio: Running) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = studio.client.post("/generate?format=json", content=json.dumps(PROMPT), headers=form)
    assert answer.status_code == 200
    assert answer.json()["parameters"]["seed"] == 3


# -- events


def test_a_stream_tells_how_the_picture_comes_to_be(studio: Running) -> None:
    (first, queued), *rest = streamed(studio, PROMPT | {"steps": 7, "preview_every": 3})
    assert first == "queued"
    assert (queued["seed"], queued["steps"], queued["model"]) == (3, 7, "painter:1")
    assert queued["predicted_ms"] > 0 and queued["request_id"]
    assert [name for name, _ in rest] == ["preview", "preview", "done"]
    for step, (_, preview) in zip((3, 6), rest[:-1], strict=True):
        assert (preview["index"], preview["step"], preview["steps"]) == (0, step, 7)
        image = opened(base64.b64decode(preview["image"]))
        assert image.size == (preview["width"], preview["height"]) == (8, 8)
    done = rest[-1][1]
    assert "run-step;dur=" in done["server_timing"]
    (painted,) = done["images"]
    assert same(base64.b64decode(painted["image"]), asked(studio, PROMPT | {"steps": 7}).content)


def test_a_stream_of_several_pictures_tells_them_apart(studio: Running) -> None:
    events = streamed(studio, PROMPT | {"n": 2, "steps": 4, "preview_every": 2})
    previews = [(e["index"], e["step"]) for name, e in events if name == "preview"]
    assert sorted(previews) == [(0, 2), (1, 2)]
    assert [image["index"] for image in events[-1][1]["images"]] == [0, 1]


def test_what_is_refused_before_the_stream_begins_has_a_status(studio: Running) -> None:
    refused = studio.client.post("/generate", json={"prompt": ""}, headers=STREAM)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"


# -- what is told beside


def test_headers_and_metrics_tell_where_the_time_went(studio: Running) -> None:
    before = steps_run(studio)
    answer = asked(studio, PROMPT | {"steps": 5}, **{"X-Request-Id": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-model"] == "painter:1"
    timing = answer.headers["server-timing"]
    for part in ("queue", "decode", "run", "render", "run-text", "run-step", "run-decode"):
        assert f"{part};dur=" in timing
    assert 'batch;desc="' in timing
    assert steps_run(studio) - before == 5
    assert studio.metric("panoptes_request_seconds_count", route="/generate", status="200") > 0


def steps_run(server: Running) -> float:
    return server.metric("panoptes_batch_size_sum", lane="painter:1/step")


def test_readiness_runs_every_graph(studio: Running) -> None:
    assert studio.client.get("/readyz").status_code == 200


# -- refusals


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "red " * 51}, "prompt"),
        ({"negative_prompt": "red " * 51}, "negative_prompt"),
        ({"n": 0}, "n"),
        ({"n": 4}, "n"),
        ({"steps": 0}, "steps"),
        ({"steps": 51}, "steps"),
        ({"sampler": "magic"}, "sampler"),
        ({"guidance_scale": -1}, "guidance_scale"),
        ({"guidance_scale": 51}, "guidance_scale"),
        ({"eta": 0.5, "sampler": "euler"}, "eta"),
        ({"eta": 2}, "eta"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**53}, "seed"),
        ({"size": "64x64"}, "size"),
        ({"colour": "red"}, "colour"),
        ({"model": "no such"}, "model"),
    ],
)
def test_a_problem_names_the_field(change: dict[str, Any], field: str, studio: Running) -> None:
    refused = studio.client.post("/generate", json=PROMPT | change)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["status"] == 422 and problem["instance"]
    assert field in problem["detail"]


def test_another_model_paints_another_size(studio: Running) -> None:
    assert opened(asked(studio, PROMPT | {"model": "large", "size": "48x48"}).content).size == (
        48,
        48,
    )
    missing = studio.client.post("/generate", json=PROMPT | {"model": "nobody"})
    assert missing.status_code == 404


def test_a_png_holds_one_picture(studio: Running) -> None:
    for options in ({"n": 2, "format": "png"}, {"format": "tiff"}):
        assert studio.client.post("/generate", json=PROMPT | options).status_code == 406


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"prompt": ', "application/json", 400),
        (b'["a red ball"]', "application/json", 400),
        (b"a red ball", "text/plain", 415),
        (b'{"prompt": "' + b"a" * (1 << 20) + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_is_none_is_refused(
    content: bytes, kind: str, status: int, studio: Running
) -> None:
    headers = {"Content-Type": kind}
    refused = studio.client.post("/generate", content=content, headers=headers)
    assert refused.status_code == status
    assert refused.json()["status"] == status


def test_the_image_tasks_have_no_use_for_a_painter(studio: Running) -> None:
    assert studio.client.post("/classify?model=painter", content=picture()).status_code == 404


# -- on a device that is busy


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[tuple[Running, dict[str, GatedBackend]]]:
    """One worker, with gates before the steps and before a classifier, which share a log."""
    write_tiny_painter(tmp_path, defaults=PAINTER_DEFAULTS)
    write_tiny_classifier(tmp_path)
    log: list[tuple[str, int]] = []
    gates = {}
    with running(tmp_path, workers=1) as server:
        for lane in server.serving.device.scheduler.lanes:
            if (role := lane.name.split("/")[1]) in ("step", "classify"):
                lane.backend = gates[role] = GatedBackend(lane.backend, role, log)
        yield server, gates
        for gate in gates.values():
            gate.open()


def lane_of(server: Running, role: str) -> Any:
    (lane,) = [e for e in server.serving.device.scheduler.lanes if e.name.endswith(role)]
    return lane


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def step_until_cancelled(server: Running, gate: GatedBackend) -> None:
    """How soon the server hears of it is the network's; long before all 50 steps it must."""
    cancelled = {"lane": "painter:1/step", "outcome": "cancelled"}
    end = time.monotonic() + 20
    while not server.metric("panoptes_settled_total", **cancelled):
        assert time.monotonic() < end, "it went on"
        gate.let_pass()
        time.sleep(0.01)
    assert len(gate.log) < 25


def test_a_client_that_hangs_up_frees_its_place_at_the_next_step(gated: Any) -> None:
    server, gates = gated
    lane = lane_of(server, "step")
    body = PROMPT | {"steps": 50}
    with server.client.stream("POST", "/generate", json=body, headers=STREAM) as answer:
        assert answer.status_code == 200
        gates["step"].wait_until_entered()
    step_until_cancelled(server, gates["step"])
    assert lane.pending == 0


def test_one_without_a_stream_that_hangs_up_frees_its_place_too(gated: Any) -> None:
    server, gates = gated
    lane = lane_of(server, "step")
    with pytest.raises(httpx.ReadTimeout):
        server.client.post("/generate", json=PROMPT | {"steps": 50}, timeout=0.3)
    gates["step"].wait_until_entered()
    step_until_cancelled(server, gates["step"])
    assert lane.pending == 0


def test_a_deadline_that_the_steps_cannot_meet_is_refused_at_once(gated: Any) -> None:
    server, gates = gated
    lane_of(server, "step").cost = measured(lambda batch: 1.0, 1, 8)
    headers = {"X-Deadline-Ms": "5000"}
    for more in ({}, STREAM):
        refused = server.client.post("/generate", json=PROMPT, headers=headers | more)
        assert refused.status_code == 429
        assert refused.json()["title"] == "Too busy"
        assert int(refused.headers["retry-after"]) == 3  # 6 s and a quarter, less 5
    assert not gates["step"].log
    reason = {"lane": "painter:1/text", "reason": "deadline"}
    assert server.metric("panoptes_refused_total", **reason) == 4  # of two texts each


def test_pictures_have_more_time_than_other_answers_if_nothing_is_said(gated: Any) -> None:
    server, gates = gated
    lane_of(server, "step").cost = measured(lambda batch: 10.0, 1, 8)
    hurried = {"X-Deadline-Ms": str(server.serving.settings.deadline_ms)}
    assert server.client.post("/generate", json=PROMPT, headers=hurried).status_code == 429
    with server.client.stream("POST", "/generate", json=PROMPT, headers=STREAM) as answer:
        assert answer.status_code == 200
        gates["step"].open()
        (_, queued), *_, (last, _) = events_of(answer.iter_lines())
    assert queued["predicted_ms"] == pytest.approx(60_000, rel=0.01) and last == "done"


def test_a_millisecond_task_runs_between_two_steps(gated: Any) -> None:
    server, gates = gated
    with concurrent.futures.ThreadPoolExecutor() as pool:
        painting = pool.submit(
            httpx.post, f"{server.url}/generate", json=PROMPT | {"steps": 4}, timeout=30
        )
        gates["step"].wait_until_entered()
        seeing = pool.submit(httpx.post, f"{server.url}/classify", content=picture(), timeout=30)
        wait_until(lambda: lane_of(server, "classify").queued == 1)
        for gate in gates.values():
            gate.open()
        assert seeing.result().status_code == painting.result().status_code == 200
    assert gates["step"].log == [
        ("step", 1),
        ("classify", 1),
        ("step", 1),
        ("step", 1),
        ("step", 1),
    ]


def test_a_millisecond_task_does_not_wait_for_all_that_paint(gated: Any) -> None:
    server, gates = gated
    lane_of(server, "step").batch_cap = 1
    with concurrent.futures.ThreadPoolExecutor() as pool:
        painting = [
            pool.submit(
                httpx.post, f"{server.url}/generate", json={"prompt": "red", "steps": 3}, timeout=30
            )
            for _ in range(4)
        ]
        gates["step"].wait_until_entered()
        wait_until(lambda: lane_of(server, "step").pending == 4)
        seeing = pool.submit(httpx.post, f"{server.url}/classify", content=picture(), timeout=30)
        wait_until(lambda: lane_of(server, "classify").queued == 1)
        for gate in gates.values():
            gate.open()
        assert seeing.result().status_code == 200
        assert all(each.result().status_code == 200 for each in painting)
    assert gates["step"].log[:2] == [("step", 1), ("classify", 1)]


def test_an_error_in_the_middle_ends_the_stream(gated: Any) -> None:
    server, gates = gated
    with server.client.stream("POST", "/generate", json=PROMPT, headers=STREAM) as answer:
        gates["step"].wait_until_entered()
        lane_of(server, "step").backend = Broken()
        gates["step"].let_pass()
        events = events_of(answer.iter_lines())
    assert [name for name, _ in events][-1] == "error"
    problem = events[-1][1]
    assert (problem["status"], problem["title"]) == (500, "The model failed on this input")
    assert problem["instance"] == answer.headers["x-request-id"]


class Broken:
    """A graph that fails on whatever comes."""

    def run(self, inputs: Any, *, alone: bool = False) -> Any:
        raise RuntimeError("broken")

    def rebuild(self) -> None: ...
    def close(self) -> None: ...
