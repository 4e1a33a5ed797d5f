"""The playground of /segment: regions over the picture, named and lit up as they are pointed at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from service.imaging import PALETTE, shade
from tests.segment_bundle import write_tiny_segmenter
from tests.service.tasks.segmented import RIGHT_RED, SIZE, TABLE, png, scene
from tests.service.web.browser import Visit, visit
from tests.serving import Running, running

pytestmark = pytest.mark.browser

IN_RED, IN_HOLE, IN_BLUE, BESIDE = (80, 100), (276, 102), (300, 230), (190, 20)


@pytest.fixture(scope="module")
def cutters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_segmenter(repository)
    with running(repository) as started:
        yield started


@pytest.fixture
def visited(browser: Browser, cutters: Running) -> Iterator[Visit]:
    with visit(browser, f"{cutters.url}/#segment", viewport={"width": 1280, "height": 900}) as made:
        made.page.locator("#state[data-state=ready]").wait_for()
        yield made
        assert made.errors == []


@pytest.fixture
def page(visited: Visit) -> Page:
    """Shown a table with two red things, one with a hole, and a green one on blue ground."""
    pick(visited.page, TABLE)
    return visited.page


def pick(page: Page, image: Image.Image) -> None:
    page.locator("#file").set_input_files(
        {"name": "table.png", "mimeType": "image/png", "buffer": png(image)}
    )
    page.locator("#answer[aria-busy=false] .headline").wait_for()


def point(page: Page, at: tuple[int, int], size: tuple[int, int] = SIZE) -> None:
    """At that pixel of the picture."""
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    scale = min(stage["width"] / size[0], stage["height"] / size[1])
    left = stage["x"] + (stage["width"] - size[0] * scale) / 2
    top = stage["y"] + (stage["height"] - size[1] * scale) / 2
    page.mouse.move(left + at[0] * scale, top + at[1] * scale)


def marked(page: Page) -> Locator:
    return page.locator(".region.marked .tag text")


def test_pointing_names_a_segment_and_lights_it_up(page: Page) -> None:
    expect(page.locator(".headline")).to_have_text("4 segments")
    point(page, IN_RED)
    expect(marked(page)).to_have_text(re.compile("red"))
    expect(page.locator(".found li.marked")).to_contain_text("red")
    others = page.locator(".region:not(.marked)")
    expect(others).to_have_count(3)
    for other in others.all():
        expect(other).to_have_css("opacity", "0.2")
        expect(other.locator(".tag")).to_be_hidden()
    point(page, IN_BLUE)
    expect(marked(page)).to_have_text(re.compile("blue"))
    for nowhere in (IN_HOLE, BESIDE):
        point(page, nowhere)
        expect(page.locator(".marked")).to_have_count(0)


def test_a_row_lights_up_what_it_tells_of(page: Page) -> None:
    page.locator(".found li", has_text="green").hover()
    expect(marked(page)).to_have_text(re.compile("green"))
    row = page.locator(".found li", has_text="blue")
    row.focus()
    expect(page.locator(".region.marked", has_text="blue")).to_have_count(1)


def test_an_outline_is_that_of_the_mask(page: Page, cutters: Running) -> None:
    """Each path of the page, filled by the browser, is the mask that pycocotools reads."""
    answer = cutters.client.post("/segment?format=npy", content=png(TABLE)).content
    ids = np.frombuffer(answer, np.uint8)[-SIZE[0] * SIZE[1] :].reshape(SIZE[::-1])
    paths = page.evaluate(
        """() => [...document.querySelectorAll(".region")].map((region) =>
             [Number(region.dataset.id), region.querySelector("path").getAttribute("d")])"""
    )
    assert sorted(at for at, _ in paths) == sorted({*np.unique(ids).tolist()} - {0})
    for at, path in paths:
        filled = page.evaluate(
            """([d, width, height]) => {
                 const pen = new OffscreenCanvas(width, height).getContext("2d");
                 pen.fill(new Path2D(d), "evenodd");
                 const { data } = pen.getImageData(0, 0, width, height);
                 return data.filter((_, at) => at % 4 === 3).map((a) => +(a > 127)).join("");
               }""",
            [path, *SIZE],
        )
        mask = np.frombuffer(filled.encode(), np.uint8).reshape(SIZE[::-1]) == ord("1")
        np.testing.assert_array_equal(mask, ids == at)


def test_the_mode_is_asked_for(visited: Visit) -> None:
    page = visited.page
    pick(page, TABLE)
    expect(page.locator("#command")).not_to_contain_text("mode")
    mode = page.get_by_role("combobox", name="Regions")
    with page.expect_request("**/segment?mode=instance"):
        mode.select_option("Things alone")
    expect(page.locator(".headline")).to_have_text("3 segments")
    expect(page.locator("#command")).to_contain_text("/segment?mode=instance")
    mode.select_option("By label")
    expect(page.locator(".segment-tools")).to_contain_text("Share of the picture")
    expect(page.locator(".region", has_text="red")).to_have_count(1)
    expect(page.locator("#spoken")).to_contain_text("red, green, blue")


def test_the_row_of_the_largest_figure_comes_first(page: Page) -> None:
    page.get_by_role("combobox", name="Regions").select_option("By label")
    expect(page.locator(".segment-tools")).to_contain_text("Share of the picture")
    rows = page.locator(".found li").all_inner_texts()
    shares = [float(re.findall(r"([\d.]+)\s*%", row)[0]) for row in rows]
    assert shares == sorted(shares, reverse=True) and len(set(shares)) > 1


def test_the_score_is_asked_for(page: Page) -> None:
    page.get_by_role("spinbutton", name="Score above").fill("0.9")
    expect(page.locator("#command")).to_contain_text("/segment?score_threshold=0.9")
    expect(page.locator(".headline")).to_have_text("2 segments")


def test_the_slider_lets_the_picture_through(page: Page) -> None:
    path = page.locator(".region path").first
    page.get_by_role("slider", name="Colours").fill("0.2")
    expect(path).to_have_css("fill-opacity", "0.2")
    page.get_by_role("combobox", name="Regions").select_option("Things alone")
    expect(page.locator(".headline")).to_have_text("3 segments")
    expect(path).to_have_css("fill-opacity", "0.2")


def test_a_name_waits_to_be_pointed_at_where_it_has_no_room(page: Page) -> None:
    left, top, _, _ = RIGHT_RED
    small = (left, top, left + 24, top + 100)
    pick(page, scene(("#ff0000", small), ("#0000ff", (0, 192, 384, 256))))
    tag = page.locator(".region", has_text="red").locator(".tag")
    expect(tag).to_be_hidden()
    expect(page.locator(".region", has_text="blue").locator(".tag")).to_be_visible()
    point(page, (left + 12, top + 50))
    expect(tag).to_be_visible()


def test_a_large_picture_is_thinned_out(page: Page) -> None:
    size = (3840, 2560)
    pick(page, TABLE.resize(size, Image.Resampling.NEAREST))
    expect(page.locator(".region")).to_have_count(4)
    for at, name in ((IN_RED, "red"), (IN_BLUE, "blue")):
        point(page, (at[0] * 10, at[1] * 10), size)
        expect(marked(page)).to_have_text(re.compile(name))
    point(page, (IN_HOLE[0] * 10, IN_HOLE[1] * 10), size)
    expect(page.locator(".marked")).to_have_count(0)


def test_nothing_found_is_said(page: Page) -> None:
    pick(page, scene())
    expect(page.locator(".headline")).to_have_text("Nothing found")
    expect(page.locator(".region")).to_have_count(0)


def test_the_shades_are_those_of_the_server(page: Page) -> None:
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in PALETTE[:40]]
    shades = page.evaluate(
        """async (colours) => {
             const { shade } = await import("./web/scripts/palette.js");
             return colours.map((colour) => [0, 1, 2, 3, 4, 5].map((turn) => shade(colour, turn)));
           }""",
        colours,
    )
    for colour, told in zip(PALETTE[:40], shades, strict=True):
        for turn, shown in enumerate(told):
            ours = np.array(shade(colour, turn))
            assert abs(ours - [*bytes.fromhex(shown[1:])]).max() <= 1
