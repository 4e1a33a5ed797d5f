"""The page of a server that asks for keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from service.access import KeySpec
from service.access.keys import hash_key
from tests.bundles import write_tiny_classifier
from tests.service.web.acts import headline
from tests.service.web.browser import visit
from tests.serving import running

pytestmark = pytest.mark.browser


def test_the_page_asks_for_a_key_and_goes_on_with_it(browser: Browser, tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    keys = {"visitor": KeySpec(sha256=hash_key("see"))}
    with running(tmp_path, api_keys=keys) as server, visit(browser, server.url) as visited:
        page = visited.page
        question = page.get_by_role("dialog", name="This server asks for a key")
        expect(question).to_be_visible()
        question.get_by_label("Key").fill("guess")
        question.get_by_role("button", name="Use it").click()
        again = page.get_by_role("dialog", name="This key is not known")
        again.get_by_label("Key").fill("see")
        page.keyboard.press("Enter")
        expect(again).to_be_hidden()
        page.get_by_role("button", name="Sample: red ball").click()
        expect(headline(page)).to_contain_text("red")
        assert page.evaluate("localStorage.length") == 0
        page.reload()  # the tab still has it
        page.get_by_role("button", name="Sample: red ball").click()
        expect(headline(page)).to_contain_text("red")
        expect(page.get_by_role("dialog")).to_have_count(0)
