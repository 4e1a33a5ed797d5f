"""The playground of /generate: a prompt, and the picture as it comes to be."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bundles import write_tiny_classifier
from tests.painters import PAINTER_DEFAULTS, write_tiny_painter
from tests.service.engine.gated import GatedBackend
from tests.service.protocols.test_generate import Broken, lane_of
from tests.service.web.browser import PATIENCE_MS, Visit, visit
from tests.service.web.test_access import LOW_CONTRAST
from tests.serving import Running, running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_painter(repository)
    write_tiny_painter(repository, name="slow", defaults={**PAINTER_DEFAULTS, "steps": 40})
    write_tiny_classifier(repository)
    with running(repository, default_models={"generate": "painter"}, workers=1) as started:
        yield started


@pytest.fixture(scope="module")
def opened(browser: Browser, studio: Running) -> Iterator[Visit]:
    """One tab for all, since a new one takes its time."""
    with visit(browser, f"{studio.url}/#generate") as made:
        yield made


@pytest.fixture
def visited(opened: Visit) -> Iterator[Visit]:
    """The page as on a first visit."""
    opened.errors.clear()
    opened.requests.clear()
    opened.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    opened.page.set_viewport_size({"width": 1280, "height": 900})
    opened.page.evaluate("location.hash = 'generate'")
    opened.page.reload()
    opened.page.locator("#state[data-state=ready]").wait_for()
    yield opened
    assert opened.errors == []


@pytest.fixture
def page(visited: Visit) -> Page:
    return visited.page


def say(page: Page, prompt: str, seed: int | None = None) -> None:
    page.get_by_role("textbox", name="Prompt").fill(prompt)
    if seed is not None:
        page.get_by_role("spinbutton", name="Seed").fill(str(seed))


def paint(page: Page, prompt: str = "a red ball", seed: int = 3) -> None:
    say(page, prompt, seed)
    page.get_by_role("button", name="Paint").click()
    expect(page.locator("#studio .facts-line")).to_have_text(f"32 × 32, seed {seed}")


def gallery(page: Page) -> list[str]:
    return [image.get_attribute("alt") or "" for image in page.locator(".gallery img").all()]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_MS / 1e3
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


@pytest.fixture
def gate(studio: Running) -> Iterator[GatedBackend]:
    lane = lane_of(studio, "painter:1/step")
    inner, lane.backend = lane.backend, (made := GatedBackend(lane.backend))
    yield made
    made.open()
    wait_until(lambda: lane.pending == 0)
    lane.backend = inner


def test_the_page_shows_what_the_server_paints(page: Page, studio: Running) -> None:
    paint(page, "a red ball", 3)
    expect(page.locator(".easel img")).to_have_attribute("alt", "a red ball")
    assert page.evaluate("document.querySelector('.easel img').naturalWidth") == 32
    said = json.loads(page.get_by_label("What paints it again").locator("pre").inner_text())
    answer = studio.client.post("/generate", json=said, headers={"Accept": "application/json"})
    assert answer.json()["parameters"] == said
    assert gallery(page) == ["a red ball, seed 3"]
    expect(page.locator("#studio .legend .run b")).to_contain_text("ms")


def test_without_a_seed_every_picture_has_its_own(page: Page) -> None:
    say(page, "blue")
    for count in (1, 2):
        page.keyboard.press("Enter")
        expect(page.locator(".gallery img")).to_have_count(count)
    first, second = gallery(page)
    assert first != second


def test_previews_are_shown_while_it_is_painted(page: Page, gate: GatedBackend) -> None:
    say(page, "a red ball", 3)
    page.get_by_role("button", name="Paint").click()
    for step in range(1, 4):
        gate.wait_until_entered()
        gate.let_pass()
        expect(page.locator("#studio .facts-line")).to_have_text(f"Step {step} of 6")
        assert page.locator("progress").evaluate("bar => [bar.value, bar.max]") == [step, 6]
        picture = page.locator(".easel img")
        expect(picture).to_have_attribute("alt", f"After {step} of 6 steps")
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 8
    gate.open()
    expect(page.locator("#studio .facts-line")).to_have_text("32 × 32, seed 3")
    expect(page.locator("progress")).to_be_hidden()


def test_cancelling_frees_the_place_and_brings_the_last_picture_back(
    page: Page, studio: Running, gate: GatedBackend
) -> None:
    lane = lane_of(studio, "painter:1/step")
    cancelled = {"lane": lane.name, "outcome": "cancelled"}
    before = studio.metric("panoptes_settled_total", **cancelled)
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()
    say(page, "blue", 5)
    page.get_by_role("button", name="Paint").click()
    gate.wait_until_entered()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#studio .facts-line")).to_have_text("Cancelled")
    expect(page.locator(".easel img")).to_be_hidden()

    def gone() -> bool:
        gate.let_pass()
        return studio.metric("panoptes_settled_total", **cancelled) == before + 1

    wait_until(gone)
    assert lane.pending == 0
    expect(page.get_by_role("button", name="Paint")).to_be_enabled()


def test_a_new_order_gives_up_the_one_before(
    page: Page, studio: Running, gate: GatedBackend
) -> None:
    say(page, "blue", 5)
    page.get_by_role("button", name="Paint").click()
    gate.wait_until_entered()
    say(page, "red", 6)
    page.get_by_role("button", name="Paint anew").click()
    gate.open()
    expect(page.locator("#studio .facts-line")).to_have_text("32 × 32, seed 6")
    assert gallery(page) == ["red, seed 6"]


def test_an_earlier_picture_comes_back_with_what_it_was_painted_with(page: Page) -> None:
    paint(page, "a red ball", 3)
    page.get_by_role("combobox", name="Sampler").select_option("euler")
    page.get_by_role("slider", name="Steps").fill("12")
    page.get_by_role("textbox", name="Keep away from").fill("green")
    paint(page, "blue", 4)
    assert gallery(page) == ["blue, seed 4", "a red ball, seed 3"]
    page.get_by_role("button", name="a red ball, seed 3").click()
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value("a red ball")
    expect(page.get_by_role("textbox", name="Keep away from")).to_have_value("")
    expect(page.get_by_role("combobox", name="Sampler")).to_have_value("ddim")
    expect(page.get_by_role("slider", name="Steps")).to_have_value("6")
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_value("3")
    expect(page.locator(".easel img")).to_have_attribute("alt", "a red ball")
    page.get_by_role("button", name="blue, seed 4").click()
    expect(page.get_by_role("slider", name="Steps")).to_have_value("12")


def test_the_die_rolls_a_seed(page: Page) -> None:
    seed = page.get_by_role("spinbutton", name="Seed")
    rolled = set()
    for _ in range(3):
        page.get_by_role("button", name="Roll a seed").click()
        rolled.add(seed.input_value())
    assert len(rolled) == 3 and all(0 <= int(each) < 2**32 for each in rolled)
    expect(page.locator("#studio .code").first).to_contain_text(f'"seed":{seed.input_value()}')


def test_the_command_paints_the_same(page: Page, studio: Running) -> None:
    page.get_by_role("slider", name="Guidance").fill("2.5")
    say(page, 'it\'s a "red" ball', 3)
    command = shlex.split(page.locator("#studio .code").first.inner_text())
    assert command[0] == "curl" and command[-2:] == [">", "picture.png"]
    body = json.loads(command[command.index("-d") + 1])
    assert body == {"prompt": 'it\'s a "red" ball', "guidance_scale": 2.5, "seed": 3}
    name, value = command[command.index("-H") + 1].split(": ")
    answer = httpx.post(command[-3], content=json.dumps(body), headers={name: value})
    assert answer.headers["content-type"] == "image/png"
    paint(page, body["prompt"], 3)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the PNG").click()
    assert saved.value.suggested_filename == "it-s-a-red-ball-3.png"
    assert saved.value.path().read_bytes() == answer.content


def test_another_model_has_its_own_usual_steps(page: Page) -> None:
    page.get_by_role("combobox", name="Model").select_option("slow:1")
    expect(page.get_by_role("slider", name="Steps")).to_have_value("40")
    expect(page.locator("#studio .code").first).to_contain_text('"model":"slow:1"')
    paint(page, "blue", 1)
    expect(page.locator("#studio .facts")).to_contain_text("slow:1")


def test_an_idea_is_painted_at_once(page: Page) -> None:
    page.get_by_role("button", name="three purple balls").click()
    expect(page.locator(".gallery img")).to_have_count(1)
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value("three purple balls")


def test_a_problem_in_the_middle_is_shown_and_can_be_tried_again(
    visited: Visit, studio: Running
) -> None:
    page = visited.page
    lane = lane_of(studio, "painter:1/step")
    inner, lane.backend = lane.backend, Broken()
    say(page, "red", 1)
    page.get_by_role("button", name="Paint").click()
    alert = page.locator("#studio").get_by_role("alert")
    expect(alert).to_contain_text("The model failed on this input")
    expect(alert.locator("code")).not_to_be_empty()
    lane.backend = inner
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator("#studio .facts-line")).to_have_text("32 × 32, seed 1")
    expect(alert).to_be_empty()
    visited.errors.clear()  # the page looked whether the server was well, and it was not


def test_a_prompt_without_words_is_not_sent(visited: Visit) -> None:
    page = visited.page
    say(page, "")
    page.get_by_role("button", name="Paint").click()
    assert not [url for url in visited.requests if url.endswith("/generate")]


def test_the_bench_comes_back_with_the_other_tasks(page: Page) -> None:
    expect(page.get_by_role("region", name="Image")).to_have_count(0)
    paint(page)
    page.get_by_role("link", name="Classify").click()
    expect(page.get_by_role("button", name="Choose an image")).to_be_visible()
    expect(page.locator("#studio")).to_be_hidden()
    page.get_by_role("link", name="Generate").click()
    assert gallery(page) == ["a red ball, seed 3"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_of_the_studio_stands_out(theme: str, page: Page) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    assert page.evaluate(LOW_CONTRAST) == []
    paint(page)
    assert page.evaluate(LOW_CONTRAST) == []


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_the_studio_fits_any_width(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    paint(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
