"""The page for everyone: by keyboard, by ear, in either theme, on any width."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.service.web.acts import BROKEN, headline, pick

pytestmark = pytest.mark.browser


def test_the_keyboard_is_enough(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the playground")).to_be_focused()
    page.keyboard.press("Enter")
    for reached in (
        page.get_by_role("combobox", name="Model"),
        page.get_by_label("Labels shown"),
        page.get_by_role("button", name="Choose an image"),
        page.get_by_role("button", name="Sample: red ball"),
    ):
        page.keyboard.press("Tab")
        expect(reached).to_be_focused()
    page.keyboard.press("Enter")
    expect(headline(page)).to_contain_text("red")


def test_every_part_has_a_name_for_those_who_listen(page: Page) -> None:
    for role, name in (
        ("navigation", "Tasks"),
        ("form", "Model and options"),
        ("region", "Image"),
        ("region", "Answer"),
        ("region", "Timing"),
        ("region", "The same from a terminal"),
        ("region", "Models on this server"),
        ("button", "Copy the command"),
        ("button", "Save as PNG"),
        ("button", "Switch to the dark theme"),
    ):
        expect(page.get_by_role(role, name=name, exact=True)).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Classify")
    expect(page.get_by_role("link", name="Classify")).to_have_attribute("aria-current", "page")


def test_the_theme_is_remembered(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Switch to the dark theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Switch to the light theme").click()
    assert page.evaluate(ground) == light
    assert page.evaluate("localStorage.length") == 0  # the system's theme again


LOW_CONTRAST = """() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255);
  };
  const luminance = (colour) => rgb(colour)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!text || !element.checkVisibility() || element.closest("noscript")) continue;
    const style = getComputedStyle(element);
    const [low, high] = [luminance(style.color), luminance(ground(element))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) {
      found.push(`${element.className || element.localName} ${ratio.toFixed(2)}`);
    }
  }
  return found;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(theme: str, page: Page) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1, 3 to 1 for large text."""
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    assert page.evaluate(LOW_CONTRAST) == []
    pick(page, "red")
    expect(headline(page)).to_be_visible()
    assert page.evaluate(LOW_CONTRAST) == []
    page.locator("#file").set_input_files(BROKEN)
    expect(page.get_by_role("alert")).to_contain_text("Not a readable image")
    assert page.evaluate(LOW_CONTRAST) == []


SHIFT = """() => new Promise((done) => {
  new PerformanceObserver((seen) => done(seen.getEntries().reduce((sum, e) => sum + e.value, 0)))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(0), 100);
})"""


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_jumps_while_the_page_fills(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.reload()
    page.locator("#state[data-state=ready]").wait_for()
    expect(page.locator(".model")).to_have_count(2)
    assert page.evaluate(SHIFT) < 0.02
    assert page.evaluate("document.documentElement.scrollWidth") == width
