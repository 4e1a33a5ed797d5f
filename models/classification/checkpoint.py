"""Classifiers to and from checkpoint folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.classification.network import Classifier
from models.classification.spec import ClassifierSpec
from models.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from models.training.plain import from_plain, to_plain

KIND = "classifier"


def save_classifier(
    folder: Path,
    spec: ClassifierSpec,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
) -> None:
    """Write what inference needs: the auxiliary heads stay behind."""
    kept = {name: w for name, w in weights.items() if not is_auxiliary(name)}
    write_checkpoint(folder, kept, {"kind": KIND, "spec": to_plain(spec), **metadata})


def load_classifier(
    checkpoint_dir: str | Path,
) -> tuple[Classifier, ClassifierSpec, dict[str, Any]]:
    """The classifier in evaluation mode, its spec, and the rest of `spec.json`.

    The metadata holds `recipe`, `metrics` (name -> number), `step`, and `provenance` (command,
    commit, data, seed, created, versions).
    """
    weights, document = read_checkpoint(Path(checkpoint_dir))
    if document.get("kind") != KIND:
        raise CheckpointError(f"{checkpoint_dir} holds a {document.get('kind')!r}, not a {KIND}")
    spec = from_plain(ClassifierSpec, document["spec"], "spec")
    classifier = Classifier(spec)
    classifier.load_state_dict(weights)
    metadata = {key: value for key, value in document.items() if key not in ("kind", "spec")}
    return classifier.eval().requires_grad_(False), spec, metadata


def is_auxiliary(parameter: str) -> bool:
    """Whether a parameter belongs to a head that only training reads."""
    return parameter.startswith(("backbone.aux1.", "backbone.aux2."))
