"""The tasks that this server knows. A new one is a file here and a line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.bundle import Bundle, BundleError, Manifest
from service.generation import TASK as GENERATE
from service.generation import check_generator
from service.tasks.classify import Classify
from service.tasks.depth import DepthTask
from service.tasks.detect import Detect
from service.tasks.embed import TASK as EMBED
from service.tasks.embed import check_embedder
from service.tasks.segment import SegmentTask
from service.tasks.task import ImageTask
from service.text import Tokenizer

IMAGE_TASKS: tuple[ImageTask[Any, Any], ...] = (Classify(), Detect(), SegmentTask(), DepthTask())

_CHECKS: dict[str, Callable[[Manifest], None]] = {
    **{task.name: task.check for task in IMAGE_TASKS},
    EMBED: check_embedder,
    GENERATE: check_generator,
}


def check_manifest(manifest: Manifest) -> None:
    """BundleError unless some task can be done with this bundle."""
    if manifest.task not in _CHECKS:
        raise BundleError(
            f"the task {manifest.task!r} is not known here; known: {', '.join(_CHECKS)}"
        )
    _CHECKS[manifest.task](manifest)


def check_bundle(bundle: Bundle) -> None:
    """The same, of all that the server reads besides the graphs."""
    check_manifest(bundle.manifest)
    if bundle.manifest.tokenizer is not None:
        Tokenizer.of(bundle)
