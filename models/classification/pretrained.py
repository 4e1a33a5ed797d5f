"""Weights to start from: a file, a checkpoint of ours, or what timm publishes."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.classification.checkpoint import is_auxiliary
from models.classification.network import Classifier
from models.classification.spec import ClassifierSpec
from models.training.checkpoint import CheckpointError, read_checkpoint


def load_pretrained(classifier: Classifier, source: str) -> list[str]:
    """Load all weights but those of a head with other labels; the names that were left alone.

    `source` is `timm`, a checkpoint folder, a `.safetensors` file, or a file of `torch.save` that
    holds nothing but tensors. A file may name parameters as the bare backbone does.
    """
    weights = _read(classifier.spec, source)
    if not any(name.startswith("backbone.") for name in weights):
        weights = {f"backbone.{name}": tensor for name, tensor in weights.items()}
    own = classifier.state_dict()
    fitting = {n: w for n, w in weights.items() if n in own and w.shape == own[n].shape}
    left = [name for name in own if name not in fitting]
    head = set(classifier.stages()[-1])
    missing = [name for name in left if name not in head and not is_auxiliary(name)]
    if missing or not fitting:
        shown = ", ".join(missing[:4]) + (" and others" if len(missing) > 4 else "")
        raise CheckpointError(
            f"{source} does not fit {classifier.spec.backbone}: no weights for {shown}"
        )
    classifier.load_state_dict(fitting, strict=False)
    return left


def _read(spec: ClassifierSpec, source: str) -> dict[str, Tensor]:
    if source == "timm":
        return _published(spec)
    path = Path(source).expanduser()
    if path.is_dir():
        return read_checkpoint(path)[0]
    if not path.is_file():
        raise CheckpointError(f"no pretrained weights at {path}")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    found = torch.load(path, map_location="cpu", weights_only=True)
    weights: dict[str, Tensor] = found.get("state_dict", found)
    return weights


def _published(spec: ClassifierSpec) -> dict[str, Tensor]:
    import timm

    if not timm.is_model_pretrained(spec.backbone):
        raise CheckpointError(f"timm publishes no weights of {spec.backbone}")
    network: Any = timm.create_model(spec.backbone, pretrained=True, **dict(spec.kwargs))
    taught = tuple(network.pretrained_cfg["mean"]), tuple(network.pretrained_cfg["std"])
    if taught != (spec.mean, spec.std):
        raise CheckpointError(
            f"timm's {spec.backbone} was taught with mean {taught[0]} and std {taught[1]}; "
            "say the same in the recipe's network"
        )
    weights: dict[str, Tensor] = network.state_dict()
    return weights
