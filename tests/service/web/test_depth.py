"""The playground of /depth: colours over the picture, the depth under the pointer, points."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from service.imaging import COLOUR_MAP
from tests.bundles import write_tiny_depth
from tests.service.tasks.test_depth import ramp, sent
from tests.service.web.browser import Visit, visit
from tests.serving import Running, running

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 240, 120
DATA_URL = re.compile("^data:image/png;base64,")


@pytest.fixture(scope="module")
def rangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_depth(repository)
    write_tiny_depth(repository, name="somehow", defaults={"unit": "relative"})
    with running(repository, default_models={"depth": "ranger"}) as started:
        yield started


@pytest.fixture
def visited(browser: Browser, rangers: Running) -> Iterator[Visit]:
    with visit(browser, f"{rangers.url}/#depth", viewport={"width": 1280, "height": 900}) as made:
        made.page.locator("#state[data-state=ready]").wait_for()
        yield made
        assert made.errors == []


@pytest.fixture
def page(visited: Visit) -> Page:
    """Shown a picture that grows darker, and so nearer, to the left."""
    file = {"name": "ramp.png", "mimeType": "image/png", "buffer": sent(ramp(WIDTH, HEIGHT))}
    visited.page.locator("#file").set_input_files(file)
    visited.page.locator("#answer[aria-busy=false] .headline").wait_for()
    return visited.page


def point(page: Page, across: float) -> None:
    """At that share of the picture's width, half way down."""
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    scale = min(stage["width"] / WIDTH, stage["height"] / HEIGHT)
    left = stage["x"] + (stage["width"] - WIDTH * scale) / 2
    page.mouse.move(left + across * WIDTH * scale, stage["y"] + stage["height"] / 2)


def test_the_depth_under_the_pointer_is_told(page: Page) -> None:
    expect(page.locator(".headline")).to_contain_text("metres")
    expect(page.locator(".depth-colours")).to_have_attribute("href", DATA_URL)
    for across in (0.25, 0.75):
        point(page, across)
        probe = page.locator(".depth-probe b")
        expect(probe).to_contain_text(" m")
        assert float(probe.inner_text().removesuffix(" m")) == pytest.approx(1 + across, abs=0.03)
    page.mouse.move(1, 1)
    expect(page.locator(".depth-probe")).to_have_text("Point at the picture")


def test_the_colours_are_those_of_the_server(page: Page) -> None:
    colours = page.locator(".depth-colours")
    expect(colours).to_have_attribute("href", DATA_URL)
    _, _, encoded = (colours.get_attribute("href") or "").partition(",")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
    assert shown.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(shown[60, 0], COLOUR_MAP[255])
    np.testing.assert_array_equal(shown[60, -1], COLOUR_MAP[0])
    known = {tuple(colour) for colour in COLOUR_MAP.tolist()}
    assert {tuple(colour) for colour in shown[60].tolist()} <= known


def test_the_slider_lets_the_picture_through(page: Page) -> None:
    page.get_by_role("slider", name="Colours").fill("0.2")
    expect(page.locator(".depth-colours")).to_have_css("opacity", "0.2")


def test_the_points_turn_by_keyboard_and_by_mouse(page: Page) -> None:
    cloud = page.locator("canvas.cloud")
    expect(cloud).to_have_attribute("data-points", str(WIDTH * HEIGHT))
    expect(cloud).to_have_attribute("data-yaw", "0.35")
    before = cloud.screenshot()
    colours = Image.open(io.BytesIO(before)).convert("RGB").getcolors(1 << 20)
    assert len(colours or []) > 50  # greys of the ramp
    cloud.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    expect(cloud).to_have_attribute("data-yaw", "0.51")
    expect(cloud).to_have_attribute("data-pitch", "0.23")
    assert cloud.screenshot() != before
    box = cloud.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.up()
    expect(cloud).not_to_have_attribute("data-yaw", "0.51")
    cloud.focus()
    page.keyboard.press("Home")
    expect(cloud).to_have_attribute("data-yaw", "0.35")


def test_a_second_look_is_a_tick_away(page: Page) -> None:
    expect(page.locator("#command")).not_to_contain_text("flip")
    with page.expect_request("**/depth?flip=true"):
        page.get_by_role("checkbox", name="Look twice").check()
    expect(page.locator("#command")).to_contain_text("/depth?flip=true")
    page.get_by_role("checkbox", name="Look twice").uncheck()
    expect(page.locator("#command")).not_to_contain_text("flip")


def test_where_no_camera_is_known_it_is_said(page: Page) -> None:
    page.get_by_role("combobox", name="Model").select_option("somehow:1")
    expect(page.locator(".headline")).to_contain_text("relative")
    expect(page.locator(".cloud-help")).to_contain_text("No camera is known")
