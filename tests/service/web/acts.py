"""What a person does on the page, and where they look."""

from __future__ import annotations

from playwright.sync_api import FilePayload, Locator, Page

from tests.serving import picture

BROKEN: FilePayload = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}


def pick(page: Page, colour: str, name: str = "") -> None:
    file = {"name": name or f"{colour}.png", "mimeType": "image/png", "buffer": picture(colour)}
    page.locator("#file").set_input_files(file)


def headline(page: Page) -> Locator:
    return page.locator(".headline")
