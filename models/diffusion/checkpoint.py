"""Autoencoders and painters to and from checkpoint folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from models.clip.tokenizing import tokenizer_document, tokenizer_from
from models.diffusion.autoencoder import Autoencoder
from models.diffusion.painter import Painter
from models.diffusion.spec import AutoencoderSpec, PainterSpec
from models.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from models.training.plain import from_plain, to_plain

AUTOENCODER_KIND = "autoencoder"
PAINTER_KIND = "painter"


def describe_autoencoder(spec: AutoencoderSpec) -> dict[str, Any]:
    """What `spec.json` says of the network."""
    return {"kind": AUTOENCODER_KIND, "spec": to_plain(spec)}


def load_autoencoder(
    checkpoint_dir: str | Path,
) -> tuple[Autoencoder, AutoencoderSpec, dict[str, Any]]:
    """The network in evaluation mode, its spec, and the rest of `spec.json`."""
    weights, document = read_checkpoint(Path(checkpoint_dir).expanduser())
    if document.get("kind") != AUTOENCODER_KIND:
        raise CheckpointError(
            f"{checkpoint_dir} holds a {document.get('kind')!r}, not an {AUTOENCODER_KIND}"
        )
    spec = from_plain(AutoencoderSpec, document["spec"], "spec")
    network = Autoencoder(spec)
    network.load_state_dict(weights)
    metadata = {k: v for k, v in document.items() if k not in ("kind", "spec")}
    return network.eval().requires_grad_(False), spec, metadata


def describe_painter(spec: PainterSpec, tokenizer: Tokenizer) -> dict[str, Any]:
    """What `spec.json` says of the networks, and the tokenizer that belongs to them."""
    return {
        "kind": PAINTER_KIND,
        "spec": to_plain(spec),
        "tokenizer": tokenizer_document(tokenizer),
    }


def save_painter(
    folder: Path,
    spec: PainterSpec,
    tokenizer: Tokenizer,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
) -> None:
    """Write what painting, and training on, need."""
    write_checkpoint(folder, weights, {**describe_painter(spec, tokenizer), **metadata})


def load_painter(
    checkpoint_dir: str | Path,
) -> tuple[Painter, PainterSpec, Tokenizer, dict[str, Any]]:
    """The painter in evaluation mode, its spec, its tokenizer, and the rest of `spec.json`.

    The metadata holds `recipe`, `metrics` (name -> number), `step`, and `provenance` (command,
    commit, data, seed, created, versions).
    """
    weights, document = read_checkpoint(Path(checkpoint_dir).expanduser())
    if document.get("kind") != PAINTER_KIND:
        raise CheckpointError(
            f"{checkpoint_dir} holds a {document.get('kind')!r}, not a {PAINTER_KIND}"
        )
    spec = from_plain(PainterSpec, document["spec"], "spec")
    painter = Painter(spec)
    painter.load_state_dict(weights)
    taken = ("kind", "spec", "tokenizer")
    metadata = {k: v for k, v in document.items() if k not in taken}
    tokenizer = tokenizer_from(document["tokenizer"])
    return painter.eval().requires_grad_(False), spec, tokenizer, metadata
