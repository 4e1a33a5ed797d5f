"""The forms in which an answer can be written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """`name` is what `format` calls it, `media_type` what `Accept` does. Each is itself alone."""

    name: str
    media_type: str
    holds_many: bool = False
    """Whether one document answers for several images."""


JSON = Form("json", "application/json", holds_many=True)
PNG = Form("png", "image/png")
NPY = Form("npy", "application/x-npy")
