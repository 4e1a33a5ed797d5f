"""The tasks that this server knows. A new one is a file here and a line below."""

from __future__ import annotations

from typing import Any

from service.bundle import BundleError, Manifest
from service.tasks.classify import Classify
from service.tasks.depth import DepthTask
from service.tasks.detect import Detect
from service.tasks.task import ImageTask

IMAGE_TASKS: tuple[ImageTask[Any, Any], ...] = (Classify(), Detect(), DepthTask())

_BY_NAME = {task.name: task for task in IMAGE_TASKS}


def check_manifest(manifest: Manifest) -> None:
    """BundleError unless some task can be done with this bundle."""
    if manifest.task not in _BY_NAME:
        raise BundleError(
            f"the task {manifest.task!r} is not known here; known: {', '.join(_BY_NAME)}"
        )
    _BY_NAME[manifest.task].check(manifest)
