"""The playground of /detect: boxes where things are, cut off by the slider without asking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from service.imaging import PALETTE
from tests.bundles import write_tiny_classifier, write_tiny_detector
from tests.service.tasks.test_detect import png, scene
from tests.service.web.browser import Visit, visit
from tests.serving import Running, running

pytestmark = pytest.mark.browser

SCENE = scene(("blue", (100, 50, 140, 100)), disc=("red", (20, 40, 80, 100)), size=(200, 150))
"""A blue rectangle of score 1 and a red disc of about 0.79."""


@pytest.fixture(scope="module")
def finders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_detector(repository, defaults={"score_threshold": 0.3, "iou_threshold": 0.4})
    write_tiny_detector(repository, name="direct", suppresses=False)
    write_tiny_classifier(repository)
    with running(repository, default_models={"detect": "finder"}) as started:
        yield started


@pytest.fixture
def visited(browser: Browser, finders: Running) -> Iterator[Visit]:
    with visit(browser, f"{finders.url}/#detect", viewport={"width": 1280, "height": 900}) as made:
        made.page.locator("#state[data-state=ready]").wait_for()
        yield made
        assert made.errors == []


@pytest.fixture
def page(visited: Visit) -> Page:
    return visited.page


def pick(page: Page, image: Image.Image = SCENE) -> None:
    page.locator("#file").set_input_files(
        {"name": "scene.png", "mimeType": "image/png", "buffer": png(image)}
    )
    page.locator("#answer[aria-busy=false] .headline").wait_for()


def slide(page: Page, value: float) -> None:
    page.get_by_role("slider", name="Score above").fill(str(value))


def test_a_box_lies_where_the_thing_is_on_the_screen(page: Page) -> None:
    pick(page)
    expect(page.locator(".headline")).to_have_text("2 found")
    shown = page.locator("#stage").bounding_box()
    assert shown is not None
    scale = min(shown["width"] / 200, shown["height"] / 150)
    left = shown["x"] + (shown["width"] - 200 * scale) / 2
    top = shown["y"] + (shown["height"] - 150 * scale) / 2
    lines = [line.bounding_box() for line in page.locator(".box .line").all()]
    blue = min((line for line in lines if line), key=lambda line: line["width"])
    pixel_of_input = 200 / 64 * scale
    assert blue["x"] == pytest.approx(left + 100 * scale, abs=1.5 * pixel_of_input)
    assert blue["y"] == pytest.approx(top + 50 * scale, abs=1.5 * pixel_of_input)
    assert blue["width"] == pytest.approx(40 * scale, abs=2.5 * pixel_of_input)
    assert blue["height"] == pytest.approx(50 * scale, abs=2.5 * pixel_of_input)


def test_the_slider_cuts_the_answer_without_asking_again(visited: Visit) -> None:
    page = visited.page
    pick(page)
    asked = [url for url in visited.requests if "/detect?" in url]
    assert len(asked) == 1
    assert "score_threshold=0.05" in asked[0]
    expect(page.locator(".box")).to_have_count(2)
    slide(page, 0.9)
    expect(page.locator(".box")).to_have_count(1)
    expect(page.locator(".found li")).to_have_text(["blue100.0 %"])
    expect(page.locator("#spoken")).to_have_text("blue.")
    slide(page, 0.5)
    expect(page.locator(".box")).to_have_count(2)
    assert [url for url in visited.requests if "/detect?" in url] == asked


def test_what_is_shown_is_what_the_command_would_answer(page: Page, finders: Running) -> None:
    pick(page)
    slide(page, 0.9)
    expect(page.locator("#command")).to_contain_text("/detect?score_threshold=0.9")
    shown = json.loads(page.locator("#json").inner_text())
    answered = finders.client.post("/detect?score_threshold=0.9", content=png(SCENE)).json()
    assert shown == answered


def test_the_command_has_the_threshold_even_if_nobody_moved_the_slider(page: Page) -> None:
    pick(page)
    expect(page.locator("#command")).to_contain_text("/detect?score_threshold=0.3")


def test_a_row_and_its_box_are_marked_together(page: Page) -> None:
    pick(page)
    page.locator(".found li", has_text="red").hover()
    expect(page.locator(".box.marked .tag text")).to_have_text("red")
    page.locator(".box", has_text="blue").locator(".line").hover()
    expect(page.locator(".found li.marked")).to_contain_text("blue")
    page.mouse.move(1, 1)
    expect(page.locator(".marked")).to_have_count(0)


def test_nothing_found_is_said(page: Page) -> None:
    pick(page, scene())
    expect(page.locator(".headline")).to_have_text("Nothing found")
    expect(page.locator(".box")).to_have_count(0)
    expect(page.locator("#spoken")).to_contain_text("Nothing found. Answered in")


def test_the_overlap_is_offered_where_the_model_suppresses(page: Page) -> None:
    overlap = page.get_by_role("spinbutton", name="Overlap up to")
    expect(overlap).to_have_value("0.4")
    pick(page)
    overlap.fill("0.6")  # the half of each box is kept, and asked for anew
    expect(page.locator(".headline")).to_have_text("4 found")
    expect(page.locator("#command")).to_contain_text("iou_threshold=0.6")
    page.get_by_role("combobox", name="Model").select_option("direct:1")
    expect(overlap).to_have_count(0)
    expect(page.locator(".headline")).to_have_text("2 found")


def test_each_task_has_its_own_samples(page: Page) -> None:
    samples = page.get_by_role("img", name="Sample:")
    expect(samples).to_have_count(4)
    page.get_by_role("link", name="Classify").click()
    expect(samples).to_have_count(8)
    page.get_by_role("link", name="Detect").click()
    page.get_by_role("button", name="Sample: cones on wood").click()
    page.locator("#answer[aria-busy=false] .headline").wait_for()


def test_a_name_tag_stays_inside_the_picture(page: Page) -> None:
    pick(page, scene(("red", (192, 0, 200, 8)), size=(200, 150)))
    tag, stage = page.locator(".tag rect").bounding_box(), page.locator("#stage").bounding_box()
    assert tag is not None and stage is not None
    assert tag["x"] + tag["width"] <= stage["x"] + stage["width"] + 1
    assert tag["y"] >= stage["y"] - 1


def test_the_page_draws_in_the_colours_of_the_server(page: Page) -> None:
    colours = page.evaluate(
        """async (count) => {
          const { classColour } = await import("./web/scripts/palette.js");
          return Array.from({ length: count }, (_, index) => classColour(index));
        }""",
        len(PALETTE),
    )
    far = [
        (colour, told)
        for colour, told in zip(PALETTE, colours, strict=True)
        if max(abs(a - b) for a, b in zip(colour, bytes.fromhex(told[1:]), strict=True)) > 1
    ]
    assert far == []
