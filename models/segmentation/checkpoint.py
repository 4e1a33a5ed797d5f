"""Segmenters to and from checkpoint folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.segmentation.network import Segmenter
from models.segmentation.spec import SegmenterSpec
from models.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from models.training.plain import from_plain, to_plain

KIND = "segmenter"


def save_segmenter(
    folder: Path, spec: SegmenterSpec, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write what inference needs."""
    write_checkpoint(folder, weights, {**describe_segmenter(spec), **metadata})


def load_segmenter(checkpoint_dir: str | Path) -> tuple[Segmenter, SegmenterSpec, dict[str, Any]]:
    """The network in evaluation mode, its spec, and the rest of `spec.json`.

    The metadata holds `recipe`, `metrics` (name -> number), `step`, and `provenance` (command,
    commit, data, seed, created, versions).
    """
    weights, document = read_checkpoint(Path(checkpoint_dir))
    if document.get("kind") != KIND:
        raise CheckpointError(f"{checkpoint_dir} holds a {document.get('kind')!r}, not a {KIND}")
    plain = {**document["spec"], "backbone": {**document["spec"]["backbone"], "pretrained": False}}
    spec = from_plain(SegmenterSpec, plain, "spec")
    network = Segmenter(spec)
    network.load_state_dict(weights)
    metadata = {k: v for k, v in document.items() if k not in ("kind", "spec")}
    return network.eval().requires_grad_(False), spec, metadata


def describe_segmenter(spec: SegmenterSpec) -> dict[str, Any]:
    """What `spec.json` says of the network."""
    return {"kind": KIND, "spec": to_plain(spec)}
