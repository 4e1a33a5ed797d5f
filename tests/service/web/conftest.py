from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.bundles import write_tiny_classifier
from tests.service.web.browser import CHROMIUM, Visit, chromium, visit
from tests.serving import Running, running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: the page is NOT tested")
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def palettes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with two classifiers: `tiny` knows three colours, and answers by default."""
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(repository)
    write_tiny_classifier(repository, name="wide", labels=("yellow", "cyan", "magenta", "red"))
    with running(repository, default_models={"classify": "tiny"}) as started:
        yield started


@pytest.fixture(scope="module")
def opened(browser: Browser, palettes: Running) -> Iterator[Visit]:
    """One tab for all, since a new one takes its time."""
    with visit(browser, palettes.url) as made:
        yield made


@pytest.fixture
def visited(opened: Visit, palettes: Running) -> Visit:
    """The page as on a first visit."""
    opened.errors.clear()
    opened.requests.clear()
    opened.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    opened.page.set_viewport_size({"width": 1280, "height": 900})
    opened.page.goto(palettes.url)
    opened.page.locator("#state[data-state=ready]").wait_for()
    return opened


@pytest.fixture
def page(visited: Visit) -> Page:
    return visited.page
