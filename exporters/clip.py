"""CLIP: one graph from images and one from texts to embeddings of unit length.

B batch, H W pixels, T tokens, D dimensions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor, nn

from exporters.bundle import TOKENIZER_FILE, BundleSpec, build_bundle
from exporters.card import IMAGE_REQUEST, Card, usage
from exporters.clip_data import UnseenCaptions, is_told, measure_clip
from exporters.export import (
    Exported,
    ExportOptions,
    GraphSource,
    Made,
    Output,
    check_options,
    describe,
    make_graph,
    scratch,
)
from exporters.figures import (
    Measured,
    measure_graphs,
    measured_quality,
    parity_quality,
    trained_quality,
)
from exporters.images import GOLDEN_IMAGES, Pixels, golden_images
from models.clip import ClipNetwork, ClipSpec, encode
from service.bundle import Fit, Quality, Tensors

TASK: Final = "embed"
IMAGE, TEXT = "image", "text"
OUTPUT: Final = "embedding"

#: Texts to prove a graph with where there are no others; the last is longer than any length.
GOLDEN_TEXTS: Final = (
    "a photo of a cat",
    "",
    "two red cubes beside a green ball",
    "naïve café, 東京: 42 % — don't!",
    "a",
    "a photo of a dog on a table, in front of a window",
    "blue",
    "word " * 400,
)


class ImageGraph(nn.Module):
    """The image's side of a network."""

    def __init__(self, network: ClipNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> [B, D]"""
        return self.network.embed_images(image)


class TextGraph(nn.Module):
    """The text's side of a network."""

    def __init__(self, network: ClipNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor) -> Tensor:
        """int64 [B, T] -> [B, D]"""
        return self.network.embed_texts(tokens)


@dataclass(frozen=True)
class ClipOptions(ExportOptions):
    """Golden inputs are `scenes` (uint8 [N, H, W, 3] of the input's size) and synthetic images."""

    scenes: Pixels | None = None
    evaluation: UnseenCaptions | None = None


def export_clip(
    network: ClipNetwork,
    spec: ClipSpec,
    tokenizer: Tokenizer,
    metadata: Mapping[str, Any],
    repository: Path,
    options: ClipOptions,
) -> Exported:
    """Write a bundle of both towers and the tokenizer, which gives exactly T ids.

    ParityError where an embedding of a float32 graph is further than 1e-4 from PyTorch's.
    """
    check_options(options, repository, what="a CLIP")
    sources = _sources(network, spec, tokenizer, options)
    with scratch() as folder:
        made = {
            role: make_graph(source, Path(folder, f"{role}.onnx"), options)
            for role, source in sources.items()
        }
        measured = _measure(made, spec, tokenizer, options)
    parity = {role: each.proven.parity for role, each in made.items()}
    quality = trained_quality(metadata, kept=is_told)
    for role, entries in parity.items():
        quality += [
            each.model_copy(update={"metric": f"{role}_{each.metric}"})
            for each in parity_quality(entries, OUTPUT)
        ]
    if options.evaluation is not None:
        for data, names in options.evaluation.figures.items():
            quality += measured_quality(_only(measured, names), data, twins=is_told)
    with tempfile.TemporaryDirectory(prefix="panoptes-export-") as place:
        file = Path(place, TOKENIZER_FILE)
        tokenizer.save(str(file))
        described = _describe(network, spec, metadata, options, quality, file)
        parts = {role: each.part for role, each in made.items()}
        written = build_bundle(repository, described, parts)
    return Exported(written, parity, measured)


def _only(measured: Measured, names: tuple[str, ...]) -> Measured:
    """Those of the figures that have these names."""
    figures, original = (
        {name: value for name, value in each.items() if name in names}
        for each in (measured.figures, measured.original)
    )
    return Measured(figures, original)


def _sources(
    network: ClipNetwork, spec: ClipSpec, tokenizer: Tokenizer, options: ClipOptions
) -> dict[str, GraphSource]:
    tokens: Tensors = {"tokens": encode(tokenizer, GOLDEN_TEXTS).numpy().astype(np.int64)}
    assert len(GOLDEN_TEXTS) >= GOLDEN_IMAGES
    return {
        IMAGE: GraphSource(
            ImageGraph(network).eval(),
            {"image": golden_images(*spec.input_size, options.scenes)},
            (Output(OUTPUT),),
        ),
        TEXT: GraphSource(TextGraph(network).eval(), tokens, (Output(OUTPUT),)),
    }


def _measure(
    made: Mapping[str, Made], spec: ClipSpec, tokenizer: Tokenizer, options: ClipOptions
) -> Measured:
    unseen = options.evaluation
    if unseen is None:
        return Measured()
    return measure_graphs(
        lambda graphs: measure_clip(graphs[IMAGE], graphs[TEXT], spec, tokenizer, unseen),
        shipped={role: each.graph for role, each in made.items()},
        original={role: each.proven.graph for role, each in made.items()},
        precision=options.precision,
    )


def _describe(
    network: ClipNetwork,
    spec: ClipSpec,
    metadata: Mapping[str, Any],
    options: ClipOptions,
    quality: Sequence[Quality],
    tokenizer: Path,
) -> BundleSpec:
    height, width = spec.input_size
    return describe(
        options,
        metadata,
        task=TASK,
        summary=f"Puts images and texts into one space (CLIP, {spec.image.backbone.name})",
        card=_card(spec, options),
        quality=quality,
        fit=Fit(mode=spec.fit, height=height, width=width),
        defaults={
            "logit_scale": round(float(network.logit_scale.detach()), 6),
            "template": spec.template,
        },
        tokenizer=tokenizer,
    )


def _card(spec: ClipSpec, options: ClipOptions) -> Card:
    height, width = spec.input_size
    name = options.name
    return Card(
        knows=(
            f"Images and texts become vectors of {spec.embed_dim} numbers and of length 1; the "
            "cosine of an image's and a text's says how well they agree. Times `logit_scale` and "
            "through a softmax over texts, cosines are probabilities that one of them is true: so "
            f"it classifies by names that it is told, each put into “{spec.template}”.\n\n"
            "`top1` and `top5` are zero-shot, over the names of the data; `text_to_image_1` is "
            "the share of captions whose own image is the nearest, among 500 that differ."
        ),
        limits=(
            f"It sees {width} × {height} pixels and reads the first {spec.text.length - 2} tokens "
            "of a text. Cosines are to be compared with one another: none of them is a "
            "probability alone, and among wrong names the least wrong wins. Words that its "
            "training data did not say (see below) mean little to it."
        ),
        usage=usage(
            f"{IMAGE_REQUEST} 'localhost:8000/embed?model={name}'",
            f"{IMAGE_REQUEST} 'localhost:8000/classify?model={name}&labels=cat,dog'",
        ),
    )
