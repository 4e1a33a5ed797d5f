"""The page as a person meets it: a real server, a real browser."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bundles import write_tiny_classifier
from tests.service.engine.gated import GatedBackend
from tests.service.web.acts import BROKEN, headline, pick
from tests.service.web.browser import PATIENCE_MS, Visit, visit
from tests.serving import Running, picture, running

pytestmark = pytest.mark.browser

BRING = """([kind, data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const how = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(
    kind === "paste"
      ? new ClipboardEvent("paste", { ...how, clipboardData: transfer })
      : new DragEvent("drop", { ...how, dataTransfer: transfer }),
  );
}"""


def test_the_page_loads_from_this_server_alone_and_without_errors(
    visited: Visit, palettes: Running
) -> None:
    page = visited.page
    expect(page).to_have_title("Panoptes")
    expect(page.get_by_role("img", name="Sample:")).to_have_count(8)
    page.get_by_role("button", name="Sample: red ball").click()
    expect(headline(page)).to_contain_text("red")
    assert visited.errors == []
    assert page.context.cookies() == []
    assert {url for url in visited.requests if not url.startswith((palettes.url, "blob:"))} == set()


def test_a_picked_file_is_answered_and_drawn(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose an image").click()
    chooser.value.set_files(
        {"name": "sunset.png", "mimeType": "image/png", "buffer": picture("red")}
    )
    expect(headline(page)).to_contain_text("red")
    expect(page.locator(".scores li")).to_have_count(3)
    expect(page.locator("#picture-facts")).to_contain_text("sunset.png 64 × 48")
    expect(page.get_by_alt_text("sunset.png")).to_be_visible()
    expect(page.locator("#spoken")).to_contain_text(re.compile(r"^red, \d+\.\d %\. Answered in"))


def test_the_answer_comes_with_its_json_timings_and_origin(page: Page) -> None:
    with page.expect_response("**/classify") as response:
        pick(page, "green")
    expect(headline(page)).to_contain_text("green")
    shown = json.loads(page.locator("#json").inner_text())
    assert shown == response.value.json()
    assert shown["images"][0]["predictions"][0]["label"] == "green"
    for phase in ("queue", "decode", "run", "render", "elsewhere"):
        expect(page.locator(f".legend .{phase}")).to_have_text(re.compile(r"\d ms$"))
    expect(page.locator("#round-trip")).to_have_text(re.compile(r"^[\d.,]+ ms round trip$"))
    headers = response.value.headers
    for fact in ("tiny:1", headers["x-request-id"], headers["x-model-digest"][:12]):
        expect(page.locator("#facts")).to_contain_text(fact)


def test_the_command_line_asks_the_same(page: Page, palettes: Running, tmp_path: Path) -> None:
    name = "my dog's photo.png"
    pick(page, "blue", name)
    expect(headline(page)).to_contain_text("blue")
    command = page.locator("#command").inner_text()
    assert f"{palettes.url}/classify" in command
    (tmp_path / name).write_bytes(picture("blue"))
    assert label_by(command, tmp_path) == "blue"


def test_the_command_line_for_a_sample_needs_no_file(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Sample: red ball").click()
    expect(headline(page)).to_contain_text("red")
    assert label_by(page.locator("#command").inner_text(), tmp_path) == "red"


def label_by(command: str, folder: Path) -> str:
    """What the command answers, run in a shell as a person would."""
    ended = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, timeout=20, check=True
    )
    return json.loads(ended.stdout)["images"][0]["predictions"][0]["label"]


def test_another_model_is_asked_at_once_and_named_in_the_command(page: Page) -> None:
    pick(page, "yellow")
    expect(headline(page)).not_to_contain_text(
        "yellow"
    )  # a colour that the default has no name for
    page.get_by_role("combobox", name="Model").select_option("wide:1")
    expect(headline(page)).to_contain_text("yellow")
    expect(page.locator("#command")).to_contain_text("model=wide%3A1")
    assert shlex.split(page.locator("#command").inner_text())[-1].endswith("?model=wide%3A1")


def test_fewer_labels_are_shown_when_fewer_are_asked_for(page: Page) -> None:
    pick(page, "red")
    expect(page.locator(".scores li")).to_have_count(3)
    page.get_by_label("Labels shown").fill("1")
    expect(page.locator(".scores li")).to_have_count(1)
    expect(page.locator("#command")).to_contain_text("top_k=1")


def test_a_broken_file_is_explained(page: Page) -> None:
    pick(page, "red")
    expect(headline(page)).to_be_visible()
    page.locator("#file").set_input_files(BROKEN)
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("Not a readable image")
    expect(problem.locator("code")).to_have_text(re.compile(r"^[0-9a-f]{16}$"))
    expect(headline(page)).to_have_count(0)
    pick(page, "blue")
    expect(headline(page)).to_contain_text("blue")
    expect(problem).to_be_empty()


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_an_image_may_be_brought_by(way: str, page: Page) -> None:
    data = base64.b64encode(picture("green")).decode()
    page.evaluate(BRING, [way, data, "brought.png", "image/png"])
    expect(headline(page)).to_contain_text("green")
    expect(page.locator("#picture-facts")).to_contain_text("brought.png")


def test_the_drawn_answer_can_be_saved(page: Page) -> None:
    pick(page, "red", "flag.png")
    expect(headline(page)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename == "flag-classify.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_the_json_is_copied(visited: Visit) -> None:
    page = visited.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    pick(page, "red")
    expect(headline(page)).to_be_visible()
    page.get_by_role("button", name="Copy the JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["model"] == "tiny:1"


def test_the_models_are_listed_with_what_they_cost(page: Page) -> None:
    models = page.locator(".model")
    expect(models).to_have_count(2)
    expect(models.first).to_contain_text("tiny:1classifydefault")
    expect(models.first.locator(".costs li").first).to_contain_text("× 1")


def test_an_unreachable_server_is_said_and_tried_again(visited: Visit) -> None:
    page = visited.page
    page.context.set_offline(True)
    pick(page, "red")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    expect(page.locator("#state")).to_have_text("no answer")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(headline(page)).to_contain_text("red")
    expect(page.locator("#state")).to_have_text("ready")


def test_a_picture_waits_for_the_first_model(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, admin=True) as server, visit(browser, server.url) as visited:
        page = visited.page
        expect(page.locator("#notice")).to_contain_text("no model is loaded")
        pick(page, "blue")
        write_tiny_classifier(tmp_path)
        assert server.client.post("/models/rescan").status_code == 200
        expect(headline(page)).to_contain_text("blue")
        expect(page.locator("#notice")).to_be_hidden()


def test_a_bundle_that_is_not_served_is_listed_with_the_reason(
    browser: Browser, tmp_path: Path
) -> None:
    write_tiny_classifier(tmp_path)
    broken = write_tiny_classifier(tmp_path, name="broken")
    (broken.folder / "classify.onnx").write_bytes(b"something else")
    with running(tmp_path) as server, visit(browser, server.url) as visited:
        row = visited.page.locator(".model").filter(has_text="broken:1")
        expect(row).to_contain_text("failed")
        expect(row.locator(".reason")).to_contain_text("classify.onnx")


def test_a_new_picture_cancels_the_last_ones_question(browser: Browser, tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with running(tmp_path, workers=1) as server, visit(browser, server.url) as visited:
        page = visited.page
        page.locator("#state[data-state=ready]").wait_for()
        lane = server.serving.device.scheduler.lanes[0]
        lane.backend = gate = GatedBackend(lane.backend)
        pick(page, "green")
        gate.wait_until_entered()
        pick(page, "red")
        wait_until(lambda: lane.queued == 1)
        pick(page, "blue")
        cancelled = {"lane": lane.name, "outcome": "cancelled"}
        wait_until(lambda: server.metric("panoptes_settled_total", **cancelled) == 1)
        gate.open()
        expect(headline(page)).to_contain_text("blue")


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_MS / 1e3
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)
