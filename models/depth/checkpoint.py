"""Depth networks to and from checkpoint folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.depth.network import DepthNetwork
from models.depth.spec import DepthSpec
from models.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from models.training.plain import from_plain, to_plain

KIND = "depth"


def save_depth(
    folder: Path, spec: DepthSpec, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write what inference needs."""
    write_checkpoint(folder, weights, {**describe_depth(spec), **metadata})


def load_depth(checkpoint_dir: str | Path) -> tuple[DepthNetwork, DepthSpec, dict[str, Any]]:
    """The network in evaluation mode, its spec, and the rest of `spec.json`.

    The metadata holds `recipe`, `metrics` (name -> number), `step`, and `provenance` (command,
    commit, data, seed, created, versions).
    """
    weights, document = read_checkpoint(Path(checkpoint_dir))
    if document.get("kind") != KIND:
        raise CheckpointError(
            f"{checkpoint_dir} holds a {document.get('kind')!r}, not a {KIND} network"
        )
    spec = from_plain(DepthSpec, _without_pretraining(document["spec"]), "spec")
    network = DepthNetwork(spec)
    network.load_state_dict(weights)
    metadata = {k: v for k, v in document.items() if k not in ("kind", "spec")}
    return network.eval().requires_grad_(False), spec, metadata


def describe_depth(spec: DepthSpec) -> dict[str, Any]:
    """What `spec.json` says of the network."""
    return {"kind": KIND, "spec": to_plain(spec)}


def _without_pretraining(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The checkpoint has the weights: nothing is to be fetched."""
    return {**spec, "backbone": {**spec["backbone"], "pretrained": False}}
