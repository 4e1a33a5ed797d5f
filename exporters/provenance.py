"""Where a bundle comes from: the command that was typed, the commit, the date."""

from __future__ import annotations

import datetime as dt
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.bundle import Provenance


def typed_command() -> str:
    """This process's command line; see `without_folders`."""
    return without_folders(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))


def without_folders(command: str) -> str:
    """Absolute paths cut down to their last part: the folders of one machine tell nobody else."""
    words = []
    for word in shlex.split(command):
        option, equals, value = word.partition("=")
        if equals and value.startswith("/"):
            word = f"{option}={Path(value).name}"
        elif word.startswith("/"):
            word = Path(word).name
        words.append(word)
    return shlex.join(words)


def git_commit() -> str:
    """The commit of the source tree; empty where there is none."""
    try:
        return subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def describe_export(metadata: Mapping[str, Any], *, source: str | None = None) -> Provenance:
    """The commands that make the bundle, first to last, and what a checkpoint says of itself.

    The commit is the training's if known; `source` replaces the checkpoint's.
    """
    origin = metadata.get("provenance", {})
    commands = [without_folders(origin.get("command", "")), typed_command()]
    return Provenance(
        command=" && ".join(command for command in commands if command),
        created=dt.datetime.now(dt.UTC).replace(microsecond=0),
        commit=origin.get("commit") or git_commit(),
        data=origin.get("data", ""),
        seed=origin.get("seed"),
        source=origin.get("source", "") if source is None else source,
    )
