"""/classify by words that come with the request: the image beside each label's vector.

L labels, P templates, D numbers of a vector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.bundle import Manifest
from service.engine.job import Sample
from service.errors import InvalidOptionError
from service.tasks.classify import Classification, Classify, ClassifyOptions, rank
from service.tasks.embed import (
    DEFAULT_TEMPLATE,
    OUTPUT,
    SLOT,
    Vector,
    logit_scale_of,
    softmax,
)
from service.tasks.task import Seen


class ZeroShot(Classify):
    """One request's labels: an image gets the softmax of its scaled cosines to all of them."""

    def __init__(self, labels: Sequence[str], vectors: NDArray[np.generic]) -> None:
        self._labels = labels
        self._vectors = vectors.astype(np.float32, copy=False)  # [L, D], each of length 1

    def read(
        self, manifest: Manifest, outputs: Sample, options: ClassifyOptions, seen: Seen
    ) -> Classification:
        cosines = self._vectors @ outputs[OUTPUT].astype(np.float32, copy=False)  # [L]
        scores = softmax(logit_scale_of(manifest) * cosines)
        return rank(self._labels.__getitem__, scores, options.top_k or len(scores), seen)


def check_words(options: ClassifyOptions) -> None:
    """InvalidOptionError unless the labels and templates of the request go together."""
    templates = _own_templates(options)
    if options.labels is None:
        if templates:
            raise InvalidOptionError("template: there are no labels to put into it")
        return
    if not options.labels:
        raise InvalidOptionError("labels: there is none")
    if twice := [name for name, times in Counter(options.labels).items() if times > 1]:
        raise InvalidOptionError(f"labels: {twice[0]!r} is there more than once")
    for template in templates:
        if SLOT not in template:
            raise InvalidOptionError(f"template: {template!r} has no {SLOT} for the label")


def templates_of(manifest: Manifest, options: ClassifyOptions) -> tuple[str, ...]:
    """The caller's, else the model's own."""
    own = str(manifest.defaults.get("template", DEFAULT_TEMPLATE))
    return _own_templates(options) or (own,)


def prompts_of(labels: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Every template of the first label, then of the second …: L · P texts."""
    return [template.replace(SLOT, label) for label in labels for template in templates]


def join_templates(vectors: NDArray[np.generic], templates: int) -> Vector:
    """[L · P, D] in the order of the prompts to [L, D]: each label's mean, its length 1 again
    (Radford et al. 2021, 3.1.4)."""
    each = vectors.astype(np.float32).reshape(-1, templates, vectors.shape[-1])  # [L, P, D]
    mean = each.mean(axis=1)  # [L, D]
    length = np.linalg.norm(mean, axis=-1, keepdims=True)
    joined: Vector = mean / np.maximum(length, np.finfo(np.float32).tiny)
    return joined


def _own_templates(options: ClassifyOptions) -> tuple[str, ...]:
    return (*(options.template or ()), *(options.templates or ()))
