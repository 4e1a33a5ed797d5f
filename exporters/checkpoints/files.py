"""Weights files, read without ever running what is in them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from exporters.errors import CheckpointError

Weights = dict[str, Tensor]

#: Under which key training scripts store the weights beside other things.
NESTED: Final = ("state_dict", "model_state_dict", "model")

_HUB_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+")
_TORCHVISION_NAME: Final = re.compile(r"\w+_Weights\.\w+")


def read_weights(source: str) -> Weights:
    """The tensors of a file, of a folder that holds one, or of a published name.

    A file is `.safetensors`, or one of `torch.save` that holds nothing but tensors. A name, which
    only counts where no such file lies, is `owner/model` on the Hugging Face hub or a member of
    torchvision's weights, such as `RetinaNet_ResNet50_FPN_Weights.COCO_V1`: it is fetched.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _read_file(_file_in(path))
    if path.is_file():
        return _read_file(path)
    if _TORCHVISION_NAME.fullmatch(source):
        return _fetch_torchvision(source)
    if _HUB_NAME.fullmatch(source) and not path.suffix:
        return _read_file(_fetch_hub(source))
    raise CheckpointError(f"{source} is no file, no folder and no published name")


def fetch_beside(source: str, names: Sequence[str]) -> Path:
    """A folder with those of the named files that lie beside the weights of `source`.

    That is the folder of a file, the folder itself, or what the hub has of them.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.is_file() or path.suffix or not _HUB_NAME.fullmatch(source):
        return path.parent
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(source, allow_patterns=list(names)))


def _file_in(folder: Path) -> Path:
    for pattern in ("model.safetensors", "*.safetensors", "pytorch_model.bin", "*.pth", "*.pt"):
        found = sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found)
            raise CheckpointError(f"{folder} holds several files of weights, name one: {names}")
    raise CheckpointError(f"{folder} holds no weights")


def _read_file(path: Path) -> Weights:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            weights: Weights = load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{path} is no safetensors file: {error}") from error
        return weights
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read as tensors alone: {str(error).splitlines()[0]}"
        ) from error
    return _unwrap(found, path)


def _unwrap(found: object, path: Path) -> Weights:
    if isinstance(found, Mapping):
        for key in NESTED:
            if isinstance(found.get(key), Mapping):
                found = found[key]
                break
    if not isinstance(found, Mapping) or not found:
        raise CheckpointError(f"{path} holds a {type(found).__name__}, not named tensors")
    strangers = [str(k) for k, v in found.items() if not isinstance(v, Tensor)]
    if strangers:
        raise CheckpointError(f"{path} holds other things than tensors: {strangers[:4]}")
    return {str(name): tensor for name, tensor in found.items()}


def _fetch_torchvision(name: str) -> Weights:
    from torchvision.models import get_weight

    try:
        published = get_weight(name)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"torchvision publishes no {name}") from error
    weights: Weights = published.get_state_dict(progress=True, check_hash=True)
    return weights


def _fetch_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    for file in ("model.safetensors", "pytorch_model.bin"):
        try:
            return Path(hf_hub_download(name, file))
        except LocalEntryNotFoundError as error:
            raise CheckpointError(f"the hub cannot be reached for {name}: {error}") from error
        except EntryNotFoundError:
            continue
        except HfHubHTTPError as error:
            raise CheckpointError(f"the hub does not give {name}: {error}") from error
    raise CheckpointError(f"{name} on the hub holds neither model.safetensors nor a .bin")
