"""The playground of words: bars for what one types, and samples sorted by a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from service.app import WEB
from tests.bundles import write_tiny_classifier
from tests.service.web.acts import headline, pick
from tests.service.web.browser import Visit, visit
from tests.serving import Running, picture, running
from tests.towers import write_tiny_clip

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_clip(repository)
    write_tiny_clip(repository, name="sharp", defaults={"logit_scale": 60.0, "template": "the {}"})
    write_tiny_classifier(repository)
    with running(repository, default_models={"embed": "towers"}) as started:
        yield started


@pytest.fixture(scope="module")
def opened(browser: Browser, readers: Running) -> Iterator[Visit]:
    """One tab for all, since a new one takes its time."""
    with visit(browser, readers.url, viewport={"width": 1280, "height": 900}) as made:
        yield made


@pytest.fixture
def visited(opened: Visit, readers: Running) -> Iterator[Visit]:
    """The page as on a first visit."""
    opened.page.goto("about:blank")
    opened.errors.clear()
    opened.requests.clear()
    opened.page.goto(f"{readers.url}/#embed")
    opened.page.locator("#state[data-state=ready]").wait_for()
    yield opened
    assert opened.errors == []


@pytest.fixture
def page(visited: Visit) -> Page:
    return visited.page


def words(page: Page) -> Locator:
    return page.get_by_label("Words to choose from")


def asked(visited: Visit, path: str) -> list[dict[str, list[str]]]:
    """The options of every request to this path."""
    urls = [urlsplit(url) for url in visited.requests]
    return [parse_qs(url.query) for url in urls if url.path == path]


def pause(page: Page) -> None:
    """For longer than the page waits for a person to go on."""
    page.wait_for_timeout(400)


def names(page: Page) -> list[str]:
    return [image.get_attribute("alt") or "" for image in page.locator(".samples img").all()]


def test_an_image_is_named_by_the_words_that_are_there(page: Page) -> None:
    words(page).fill("blue, red, green")
    pick(page, "red")
    expect(headline(page)).to_contain_text("red")
    expect(page.locator(".scores .name")).to_have_text(["red", "blue", "green"])
    expect(page.locator("#task-path")).to_have_text("POST /classify")
    expect(page.locator("#spoken")).to_contain_text(re.compile(r"^red, \d+\.\d %\. Answered in"))


def test_the_bars_follow_what_one_types(visited: Visit) -> None:
    page = visited.page
    words(page).fill("blue")
    pick(page, "red")
    expect(page.locator(".scores li")).to_have_count(1)
    before = len(asked(visited, "/classify"))
    words(page).press_sequentially(", white, red", delay=5)
    expect(page.locator(".scores li")).to_have_count(3)
    expect(headline(page)).to_contain_text("red")
    new = asked(visited, "/classify")[before:]
    assert new[-1]["labels"] == ["blue,white,red"]
    assert len(new) < len(", white, red"), "not at every letter"


def test_what_is_shown_is_what_the_command_would_answer(page: Page, readers: Running) -> None:
    words(page).fill("cyan, red ,, cyan")
    pick(page, "red")
    expect(page.locator(".scores li")).to_have_count(2)
    expect(page.locator("#command")).to_contain_text("/classify?labels=cyan%2Cred")
    shown = json.loads(page.locator("#json").inner_text())
    told = readers.client.post("/classify?labels=cyan,red", content=picture("red")).json()
    assert shown == told


def test_without_words_nothing_is_asked(visited: Visit) -> None:
    page = visited.page
    words(page).fill("red")
    pick(page, "red")
    expect(headline(page)).to_contain_text("red")
    pause(page)
    before = asked(visited, "/classify")
    words(page).fill(" , ")
    pause(page)
    assert asked(visited, "/classify") == before
    expect(headline(page)).to_contain_text("red")


def test_the_text_that_is_read_can_be_changed(visited: Visit) -> None:
    page = visited.page
    words(page).fill("red, grey")
    pick(page, "red")
    expect(headline(page)).to_contain_text("red")
    template = page.get_by_label("Read as")
    expect(template).to_have_attribute("placeholder", "a photo of a {}")
    expect(page.locator(".scores .score").first).to_have_text(re.compile(r"^99"))
    template.fill("red and {}")  # which makes either of them red
    expect(page.locator("#command")).to_contain_text("template=red+and+%7B%7D")
    expect(page.locator(".scores .score").first).not_to_have_text(re.compile(r"^99"))
    pause(page)
    before = asked(visited, "/classify")
    template.fill("without a place for the word")
    pause(page)
    assert asked(visited, "/classify") == before
    assert template.evaluate("field => !field.validity.valid")


def test_words_stay_when_the_model_or_the_task_changes(page: Page) -> None:
    words(page).fill("white, red")
    pick(page, "red")
    page.get_by_role("combobox", name="Model").select_option("sharp:1")
    expect(words(page)).to_have_value("white, red")
    expect(page.get_by_label("Read as")).to_have_attribute("placeholder", "the {}")
    expect(page.locator("#command")).to_contain_text("model=sharp%3A1")
    page.get_by_role("link", name="Classify").click()
    expect(words(page)).to_have_count(0)
    expect(page.get_by_label("Find a sample")).to_be_hidden()
    page.get_by_role("link", name="Words").click()
    expect(words(page)).to_have_value("white, red")
    expect(headline(page)).to_contain_text("red")


def test_samples_are_sorted_by_a_sentence(visited: Visit, readers: Running) -> None:
    page = visited.page
    first = names(page)
    page.get_by_label("Find a sample").fill("the yellow and red")
    expect(page.locator(".samples .share")).to_have_count(len(first))
    files = sorted((WEB / "samples").glob("*.jpg"))
    told = readers.client.post(
        "/rank",
        params={"text": "the yellow and red"},
        files=[("image", (file.name, file.read_bytes())) for file in files],
    ).json()["results"]
    sources = [image.get_attribute("src") or "" for image in page.locator(".samples img").all()]
    shown = [source.rpartition("/")[2] for source in sources]
    assert shown == [files[result["index"]].name for result in told]
    shares = page.locator(".samples .share").all_inner_texts()
    assert shares[0] == f"{told[0]['probability'] * 100:.1f} %"
    expect(page.locator("#search-said")).to_contain_text(f"Likest: {names(page)[0][8:]}")
    page.get_by_label("Find a sample").fill("")
    expect(page.locator(".samples .share")).to_have_count(0)
    assert names(page) == first


def test_the_samples_are_looked_at_once(visited: Visit) -> None:
    page = visited.page
    sentences = ("blue", "green", "white")
    for sentence in sentences:
        page.get_by_label("Find a sample").fill(sentence)
        with page.expect_response(re.compile("/embed")):
            page.get_by_label("Find a sample").press("Enter")
        expect(page.locator("#search-said")).to_contain_text("Likest")
    assert len(asked(visited, "/embed")) == 1 + len(sentences)


def test_a_sample_that_was_found_is_named(page: Page) -> None:
    words(page).fill("red, blue")
    page.get_by_label("Find a sample").fill("red")
    expect(page.locator(".samples .share")).not_to_have_count(0)
    page.locator(".samples button").first.click()
    expect(page.locator(".scores li")).to_have_count(2)


def test_a_search_that_fails_says_why(visited: Visit) -> None:
    page = visited.page
    page.context.set_offline(True)
    page.get_by_label("Find a sample").fill("red")
    expect(page.locator("#search-said")).to_have_text(re.compile("out of reach"))
    page.context.set_offline(False)
    page.get_by_label("Find a sample").fill("red again")
    expect(page.locator("#search-said")).to_contain_text("Likest")
    visited.errors.clear()  # the browser's own words about the network
