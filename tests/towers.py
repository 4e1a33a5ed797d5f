"""A tiny real model of images and texts: it sees the mean colour, and reads the names of colours.

B batch, T tokens, D numbers of an embedding, V tokens that there are, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from service.bundle import Bundle, Fit, Manifest, Tensors, TensorSpec
from tests.bundles import COLOURS, pictures
from tests.graphs import PROVENANCE, TO_COME, graph_of, onnx_of, write_made

BEGIN, END, UNKNOWN = "<begin>", "<end>", "<unknown>"
WORDS = (BEGIN, END, UNKNOWN, *COLOURS, "a", "photo", "of", "and", "the")
PLAIN = 0.5
"""What every embedding has beside its colour: without any it would be nothing else."""
CLIP_DEFAULTS: Mapping[str, float | str] = MappingProxyType(
    {"logit_scale": 10.0, "template": "a photo of a {}"}
)


def write_tiny_clip(
    repository: Path,
    *,
    name: str = "towers",
    version: int = 1,
    size_px: int = 16,
    tokens: int = 8,
    max_batch: int = 8,
    defaults: Mapping[str, float | str] = CLIP_DEFAULTS,
) -> Bundle:
    """Both towers give (red, green, blue, PLAIN) of length 1, each colour from -1 to 1.

    image: "image" uint8 [batch, size_px, size_px, 3] -> "embedding" float32 [batch, 4].
    text: "tokens" int64 [batch, T] -> "embedding" float32 [batch, 4], the sum over the names of
    colours in the text; a text without any means grey.
    """
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", size_px, size_px, 3))
    text = TensorSpec(name="tokens", dtype="int64", shape=("batch", tokens))
    answer = TensorSpec(name="embedding", dtype="float32", shape=("batch", 4))
    image_model = onnx_of(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            helper.make_node("Div", ["mean", "half"], ["twice"]),
            helper.make_node("Sub", ["twice", "one"], ["colour"]),
            helper.make_node("Gemm", ["colour", "widen", "plain"], ["wide"]),
            helper.make_node("LpNormalization", ["wide"], ["embedding"], axis=1, p=2),
        ],
        [image],
        [answer],
        axes=np.array([1, 2]),
        half=np.array(127.5, np.float32),
        one=np.array(1, np.float32),
        widen=np.eye(3, 4, dtype=np.float32),
        plain=np.array([0, 0, 0, PLAIN], np.float32),
    )
    text_model = onnx_of(
        [
            helper.make_node("Gather", ["meanings", "tokens"], ["words"], axis=0),  # [B, T, 4]
            helper.make_node("ReduceSum", ["words", "axis_1"], ["sum"], keepdims=0),
            helper.make_node("Add", ["sum", "plain"], ["wide"]),
            helper.make_node("LpNormalization", ["wide"], ["embedding"], axis=1, p=2),
        ],
        [text],
        [answer],
        meanings=_meanings(),
        axis_1=np.array([1]),
        plain=np.array([0, 0, 0, PLAIN], np.float32),
    )
    images = pictures(size_px, np.array([COLOURS["red"], COLOURS["cyan"]], np.float32) / 255)
    seen = np.pad(images.mean(axis=(1, 2)) / 127.5 - 1, ((0, 0), (0, 1)), constant_values=PLAIN)
    tokenizer = word_tokenizer(tokens)
    ids = np.array([tokenizer.encode(t).ids for t in ("red", "a photo of the blue", "")], np.int64)
    plain = np.array([0, 0, 0, PLAIN])
    read = _meanings()[ids].sum(axis=1) + plain
    golden: Mapping[str, tuple[Tensors, Tensors]] = {
        "image": ({"image": images}, {"embedding": _of_length_1(seen)}),
        "text": ({"tokens": ids}, {"embedding": _of_length_1(read)}),
    }
    return write_made(
        repository,
        Manifest(
            name=name,
            version=version,
            task="embed",
            summary="Sees the mean colour and reads the names of colours",
            fit=Fit(mode="stretch", height=size_px, width=size_px),
            graphs={
                "image": graph_of("image.onnx", [image], [answer], max_batch),
                "text": graph_of("text.onnx", [text], [answer], max_batch),
            },
            tokenizer="tokenizer.json",
            files=dict.fromkeys(
                ("image.onnx", "text.onnx", "golden.npz", "tokenizer.json"), TO_COME
            ),
            defaults=dict(defaults),
            provenance=PROVENANCE,
            licence="Apache-2.0",
        ),
        {"image": image_model, "text": text_model},
        golden,
        texts={"tokenizer.json": tokenizer.to_str()},
    )


def word_tokenizer(tokens: int, words: Sequence[str] = WORDS) -> Tokenizer:
    """One token a word, begun and ended, cut and padded with ends to so many."""
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN)
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    begin, end = words.index(BEGIN), words.index(END)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, begin), (END, end)]
    )
    tokenizer.enable_truncation(tokens)
    tokenizer.enable_padding(length=tokens, pad_id=end, pad_token=END)
    return tokenizer


def meaning(text: str) -> npt.NDArray[np.float64]:
    """What the text tower makes of a text that it need not cut, from its words alone: [4]."""
    colours = [COLOURS[word] for word in text.lower().split() if word in COLOURS]
    summed = np.array([[c / 127.5 - 1 for c in colour] for colour in colours]).reshape(-1, 3)
    wide = np.append(summed.sum(axis=0), PLAIN)
    return wide / np.linalg.norm(wide)


def _meanings() -> npt.NDArray[np.float32]:
    """[V, 4]"""
    table = np.zeros((len(WORDS), 4), np.float32)
    for word, colour in COLOURS.items():
        table[WORDS.index(word), :3] = np.array(colour, np.float32) / 127.5 - 1
    return table


def _of_length_1(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
