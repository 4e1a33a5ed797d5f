"""What a run needs to go on after a kill, in one safetensors file that is whole or absent.

There is no random state in it: the trainer seeds every step from (seed, step, process).
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.training.checkpoint import CheckpointError

STATE_FILE = "state.safetensors"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Write nested dicts and lists of tensors and JSON values."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    structure = _pack(state, "", tensors)
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{STATE_FILE}.fresh"
    save_file(tensors, fresh, metadata={"structure": json.dumps(structure, allow_nan=False)})
    os.replace(fresh, folder / STATE_FILE)


def load_state(folder: Path) -> dict[str, Any]:
    """What `save_state` wrote, its tensors on the CPU."""
    from safetensors import safe_open

    path = folder / STATE_FILE
    if not path.is_file():
        raise CheckpointError(f"nothing to resume: {path} does not exist")
    with safe_open(path, framework="pt") as file:
        structure = json.loads(file.metadata()["structure"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    state: dict[str, Any] = _unpack(structure, tensors)
    return state


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state and give its moments the memory format of their parameters."""
    optimizer.load_state_dict(state)
    for parameter, slots in optimizer.state.items():
        for name, value in slots.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.ndim == 4:
                slots[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[path] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": path}
    if isinstance(value, dict):  # as pairs: an optimiser's keys are integers
        return {"dict": [[k, _pack(v, f"{path}/{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [_pack(v, f"{path}/{i}", tensors) for i, v in enumerate(value)]}
    return value


def _unpack(structure: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(structure, dict):
        return structure
    ((kind, content),) = structure.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "dict":
            return {k: _unpack(v, tensors) for k, v in content}
        case _:
            return [_unpack(v, tensors) for v in content]
