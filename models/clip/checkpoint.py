"""CLIPs to and from checkpoint folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from models.clip.network import ClipNetwork
from models.clip.spec import ClipSpec
from models.clip.tokenizing import tokenizer_document, tokenizer_from
from models.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from models.training.plain import from_plain, to_plain

KIND = "clip"


def save_clip(
    folder: Path,
    spec: ClipSpec,
    tokenizer: Tokenizer,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
) -> None:
    """Write what inference needs."""
    write_checkpoint(folder, weights, {**describe_clip(spec, tokenizer), **metadata})


def load_clip(
    checkpoint_dir: str | Path,
) -> tuple[ClipNetwork, ClipSpec, Tokenizer, dict[str, Any]]:
    """The network in evaluation mode, its spec, its tokenizer, and the rest of `spec.json`.

    The metadata holds `recipe`, `metrics` (name -> number), `step`, and `provenance` (command,
    commit, data, seed, created, versions).
    """
    weights, document = read_checkpoint(Path(checkpoint_dir))
    if document.get("kind") != KIND:
        raise CheckpointError(f"{checkpoint_dir} holds a {document.get('kind')!r}, not a {KIND}")
    spec = from_plain(ClipSpec, _without_pretraining(document["spec"]), "spec")
    network = ClipNetwork(spec)
    network.load_state_dict(weights)
    tokenizer = tokenizer_from(document["tokenizer"])
    known = ("kind", "spec", "tokenizer")
    metadata = {k: v for k, v in document.items() if k not in known}
    return network.eval().requires_grad_(False), spec, tokenizer, metadata


def describe_clip(spec: ClipSpec, tokenizer: Tokenizer) -> dict[str, Any]:
    """What `spec.json` says of the network and of how it reads."""
    return {"kind": KIND, "spec": to_plain(spec), "tokenizer": tokenizer_document(tokenizer)}


def _without_pretraining(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The checkpoint has the weights: nothing is to be fetched."""
    image = spec["image"]
    return {**spec, "image": {**image, "backbone": {**image["backbone"], "pretrained": False}}}
