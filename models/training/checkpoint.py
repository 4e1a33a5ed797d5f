"""A checkpoint: a folder with `weights.safetensors` and `spec.json`, written all or not at all."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

WEIGHTS_FILE = "weights.safetensors"
DOCUMENT_FILE = "spec.json"


class CheckpointError(ValueError):
    """A folder that is no checkpoint, or one of another kind."""


def write_checkpoint(
    folder: Path, weights: Mapping[str, Tensor], document: Mapping[str, Any]
) -> None:
    """Replace `folder` by a checkpoint of these weights and this JSON document.

    The new folder is complete before it takes the name. A process killed between the two renames
    leaves the old one as `.<name>.previous`, from which the next write or read recovers.
    """
    from safetensors.torch import save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh, previous = _beside(folder, "fresh"), _beside(folder, "previous")
    recover_checkpoint(folder)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, fresh / WEIGHTS_FILE)
    (fresh / WEIGHTS_FILE).chmod(0o644)  # safetensors keeps it to its owner
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    (fresh / DOCUMENT_FILE).write_text(text + "\n", encoding="utf-8")
    if folder.exists():
        os.rename(folder, previous)
    os.rename(fresh, folder)
    shutil.rmtree(previous, ignore_errors=True)


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights, on the CPU, and the document."""
    from safetensors.torch import load_file

    recover_checkpoint(folder)
    if not (folder / DOCUMENT_FILE).is_file() or not (folder / WEIGHTS_FILE).is_file():
        raise CheckpointError(
            f"{folder} is no checkpoint: it lacks {WEIGHTS_FILE} or {DOCUMENT_FILE}"
        )
    document = json.loads((folder / DOCUMENT_FILE).read_text(encoding="utf-8"))
    return load_file(folder / WEIGHTS_FILE), document


def recover_checkpoint(folder: Path) -> None:
    """Take back the checkpoint that an interrupted write had put aside."""
    previous = _beside(folder, "previous")
    if previous.exists():
        if folder.exists():
            shutil.rmtree(previous)
        else:
            os.rename(previous, folder)


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(f".{folder.name}.{suffix}")
