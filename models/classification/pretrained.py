"""Weights to start from: a file, a checkpoint of ours, or what timm publishes."""

from pathlib import Path

import torch
from torch import Tensor

from models.classification.network import Classifier
from models.training.checkpoint import CheckpointError, read_checkpoint


def load_pretrained(classifier: Classifier, source: str) -> list[str]:
    """Load all weights but those of a head with other labels; the names that were left alone.

    `source` is `timm`, a checkpoint folder, a `.safetensors` file, or a file of `torch.save` that
    holds nothing but tensors. A file may name parameters as the bare backbone does.
    """
    weights = _read(classifier, source)
    own = classifier.state_dict()
    if not any(name.startswith("backbone.") for name in weights):
        weights = {f"backbone.{name}": tensor for name, tensor in weights.items()}
    head = set(classifier.stages()[-1])
    left = [name for name in own if _is_left(name, own, weights, head)]
    unknown = sorted(set(weights) - set(own))
    misfits = [n for n in left if n not in head and not n.startswith("backbone.aux")]
    if misfits or len(unknown) == len(weights):
        raise CheckpointError(
            f"{source} does not fit {classifier.spec.backbone}: it lacks {misfits[:4]}"
            f"{' and others' if len(misfits) > 4 else ''}, and has {unknown[:4]} besides"
        )
    classifier.load_state_dict(
        {n: w for n, w in weights.items() if n in own and n not in left}, strict=False
    )
    return left


def _is_left(name: str, own: dict[str, Tensor], weights: dict[str, Tensor], head: set[str]) -> bool:
    return name not in weights or weights[name].shape != own[name].shape


def _read(classifier: Classifier, source: str) -> dict[str, Tensor]:
    if source == "timm":
        return _published(classifier)
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


def _published(classifier: Classifier) -> dict[str, Tensor]:
    import timm

    spec = classifier.spec
    network = timm.create_model(spec.backbone, pretrained=True, **dict(spec.kwargs))
    weights: dict[str, Tensor] = network.state_dict()
    return weights
