"""Lists as they come in a query or a form, where each value is a text."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator


def _split(value: object) -> object:
    """One text is a list with commas; several are taken as they are."""
    if isinstance(value, str):
        return [name for part in value.split(",") if (name := part.strip())]
    return value


def _one_of(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Separated by commas, or the option repeated."""

Texts = Annotated[tuple[str, ...], BeforeValidator(_one_of)]
"""One, or the option repeated: commas are the text's own."""
