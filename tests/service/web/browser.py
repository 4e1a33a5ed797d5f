"""A headless Chromium, and a page that remembers what went wrong in it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SWITCHES = (
    "--no-sandbox",  # the tests may run as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 10_000


@dataclass
class Visit:
    """One page in a profile of its own."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@contextlib.contextmanager
def visit(browser: Browser, url: str, **profile: Any) -> Iterator[Visit]:
    context = browser.new_context(**profile)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    visited = Visit(page)
    page.on("console", lambda m: visited.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: visited.errors.append(str(error)))
    page.on("request", lambda request: visited.requests.append(request.url))
    page.goto(url)
    yield visited
    context.close()
