"""Detectors to and from checkpoint folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.detection.detector import Detector
from models.detection.families import build_detector, find_family
from models.detection.spec import DetectorSpec
from models.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from models.training.plain import from_plain, to_plain

KIND = "detector"


def save_detector(
    folder: Path, spec: DetectorSpec, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write what inference needs."""
    write_checkpoint(folder, weights, {**describe_detector(spec), **metadata})


def load_detector(
    checkpoint_dir: str | Path,
) -> tuple[Detector[Any], DetectorSpec, dict[str, Any]]:
    """The detector in evaluation mode, its spec, and the rest of `spec.json`.

    The metadata holds `recipe`, `metrics` (name -> number), `step`, and `provenance` (command,
    commit, data, seed, created, versions).
    """
    weights, document = read_checkpoint(Path(checkpoint_dir))
    if document.get("kind") != KIND:
        raise CheckpointError(f"{checkpoint_dir} holds a {document.get('kind')!r}, not a {KIND}")
    try:
        family = find_family(str(document.get("family")))
    except ValueError as error:
        raise CheckpointError(f"{checkpoint_dir}: {error}") from error
    spec = from_plain(family.spec, _without_pretraining(document["spec"]), "spec")
    detector = build_detector(spec)
    detector.load_state_dict(weights)
    metadata = {k: v for k, v in document.items() if k not in ("kind", "family", "spec")}
    return detector.eval().requires_grad_(False), spec, metadata


def describe_detector(spec: DetectorSpec) -> dict[str, Any]:
    """What `spec.json` says of the network."""
    return {"kind": KIND, "family": spec.family, "spec": to_plain(spec)}


def _without_pretraining(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The checkpoint has the weights: nothing is to be fetched."""
    return {**spec, "backbone": {**spec["backbone"], "pretrained": False}}
