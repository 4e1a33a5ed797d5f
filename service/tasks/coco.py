"""COCO's results: what was found in several images as one list, which pycocotools loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from service.tasks.form import Form

COCO: Final = Form("coco", "application/vnd.coco.results+json", holds_many=True)

FIRST_CATEGORY: Final = 1
"""The `category_id` of the first label: COCO's own ids begin at 1."""


def join_results(parts: Sequence[Iterable[Mapping[str, Any]]]) -> bytes:
    """Each image's results, with the image's place in the request."""
    return orjson.dumps(
        [{"image_id": at, **result} for at, part in enumerate(parts) for result in part]
    )
