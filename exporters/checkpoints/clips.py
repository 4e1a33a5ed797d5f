"""Published CLIPs as ours. A further layout is a file beside this one and a row here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from exporters.checkpoints import hf_clip, open_clip
from exporters.checkpoints.clip_shapes import ClipHints
from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import check_fit
from exporters.errors import CheckpointError
from models.clip import ClipNetwork, ClipSpec
from models.clip.spec import Activation
from models.clip.tokenizing import special_ids

Reader = Callable[[Weights, ClipHints], tuple[ClipSpec, Weights]]

LAYOUTS: Final[Mapping[str, Reader]] = {
    hf_clip.LAYOUT: hf_clip.read_hf_clip,
    open_clip.LAYOUT: open_clip.read_open_clip,
}

#: What may lie beside the weights and say what no tensor tells.
CONFIGS: Final = ("config.json", "open_clip_config.json")


def convert_clip(
    weights: Weights,
    tokenizer: Tokenizer,
    *,
    layout: str,
    activation: Activation | None = None,
    config: Mapping[str, Any] | None = None,
) -> tuple[ClipNetwork, ClipSpec]:
    """The network in evaluation mode, with the weights of `layout`.

    `config` is what lies beside the weights as JSON; `activation` is asked for where it says
    nothing of it. CheckpointError where the weights are not of that layout.
    """
    if layout not in LAYOUTS:
        raise CheckpointError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    spec, ours = LAYOUTS[layout](weights, _hints(tokenizer, activation, config or {}))
    if tokenizer.get_vocab_size() > spec.text.vocabulary:
        raise CheckpointError(
            f"the tokenizer has {tokenizer.get_vocab_size()} ids, and the network knows "
            f"{spec.text.vocabulary}: it is another's"
        )
    network = ClipNetwork(spec)
    check_fit(network.state_dict(), ours, layout=layout)
    network.load_state_dict(ours)
    return network.eval().requires_grad_(False), spec


def text_length(weights: Weights) -> int:
    """How many tokens the text tower reads, by the names of any layout."""
    for name in ("text_model.embeddings.position_embedding.weight", "positional_embedding"):
        if name in weights:
            return weights[name].shape[0]
    raise CheckpointError("the file holds no positions of a text: it is no CLIP")


def read_config(folder: Path) -> dict[str, Any]:
    """What the configuration in a folder says; nothing where there is none."""
    for name in CONFIGS:
        file = folder / name
        if file.is_file():
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise CheckpointError(f"{file} is no JSON: {error}") from error
            if isinstance(found, dict):
                return found
    return {}


def _hints(
    tokenizer: Tokenizer, activation: Activation | None, config: Mapping[str, Any]
) -> ClipHints:
    bos_id, eos_id = special_ids(tokenizer)
    towers = config.get("model_cfg", config)  # open_clip nests it
    text, image = (
        towers.get(f"{name}_config") or towers.get(f"{name}_cfg") or {}
        for name in ("text", "vision")
    )
    said = activation or _activation(towers, text)
    if said is None:
        raise CheckpointError(
            "nothing says which activation the weights were trained with: quick_gelu for OpenAI's, "
            "gelu for most of open_clip's"
        )
    return ClipHints(
        activation=said,
        bos_id=bos_id,
        eos_id=eos_id,
        text_heads=text.get("num_attention_heads") or text.get("heads"),
        image_heads=image.get("num_attention_heads") or _open_clip_heads(image),
    )


def _activation(towers: Mapping[str, Any], text: Mapping[str, Any]) -> Activation | None:
    if "hidden_act" in text:
        return "quick_gelu" if text["hidden_act"] == "quick_gelu" else "gelu"
    if "text_cfg" in towers:
        return "quick_gelu" if towers.get("quick_gelu") else "gelu"
    if towers.get("model_type") == "clip":
        return "quick_gelu"  # what CLIPConfig leaves out is as OpenAI has it
    return None


def _open_clip_heads(image: Mapping[str, Any]) -> int | None:
    width, head_width = image.get("width"), image.get("head_width")
    return int(width) // int(head_width) if width and head_width else None
