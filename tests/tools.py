"""What tests need that pip does not install: tests/tools.sh fetches it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "build" / "tools"


def need(tool: str) -> Path:
    """Where something of `make test-tools` is; skips without it, and fails under CI."""
    if (path := TOOLS / tool).exists():
        return path
    if tool == "promtool" and (installed := shutil.which(tool)):
        return Path(installed)
    reason = f"{tool} is not in build/tools: `make test-tools` fetches it"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
