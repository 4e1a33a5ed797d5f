"""Words of the request as the labels of an image, beside what torch makes of the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from service.bundle import Fit
from service.errors import InvalidOptionError
from service.imaging import ImageInfo, place
from service.tasks.classify import ClassifyOptions
from service.tasks.task import Seen
from service.tasks.zero_shot import (
    ZeroShot,
    check_words,
    join_templates,
    prompts_of,
    templates_of,
)
from tests.towers import write_tiny_clip

LABELS, TEMPLATES = ("cat", "dog", "{}"), ("a photo of a {}", "{}", "the {} and {}")


def unit_rows(seed: int, *shape: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_every_label_is_put_into_every_template() -> None:
    assert prompts_of(LABELS, TEMPLATES) == [
        *("a photo of a cat", "cat", "the cat and cat"),
        *("a photo of a dog", "dog", "the dog and dog"),
        *("a photo of a {}", "{}", "the {} and {}"),
    ]


@pytest.mark.parametrize("templates", [1, 3])
def test_a_label_is_the_mean_of_its_templates_at_length_1(templates: int) -> None:
    vectors = unit_rows(0, 5 * templates, 16)
    mean = torch.from_numpy(vectors).unflatten(0, (5, templates)).mean(1)
    wanted = functional.normalize(mean, dim=-1).numpy()
    np.testing.assert_allclose(join_templates(vectors, templates), wanted, atol=1e-6)


def test_templates_that_cancel_out_leave_no_nan() -> None:
    opposite = np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    assert join_templates(opposite, 2).tolist() == [[0.0, 0.0]]


def test_scores_are_the_softmax_of_scaled_cosines(tmp_path: Path) -> None:
    manifest = write_tiny_clip(tmp_path, defaults={"logit_scale": 37.5}).manifest
    labels, image = unit_rows(1, 6, 16), unit_rows(2, 16)
    names = [f"label {i}" for i in range(6)]
    seen = Seen(ImageInfo(20, 10, "png"), place(Fit(mode="stretch", height=8, width=8), 20, 10))
    options = ClassifyOptions(labels=tuple(names))
    answer = ZeroShot(names, labels).read(manifest, {"embedding": image}, options, seen)
    cosines = functional.cosine_similarity(torch.from_numpy(labels), torch.from_numpy(image), dim=1)
    wanted = (37.5 * cosines).softmax(0)
    order = wanted.argsort(descending=True).tolist()
    assert [p.index for p in answer.predictions] == order, "all of them, without top_k"
    assert [p.label for p in answer.predictions] == [names[i] for i in order]
    found = [p.score for p in answer.predictions]
    np.testing.assert_allclose(found, wanted[order].numpy(), atol=1e-5)
    assert (answer.width, answer.height) == (20, 10)


def test_whose_template_is_read(tmp_path: Path) -> None:
    own = write_tiny_clip(tmp_path, defaults={"logit_scale": 1.0, "template": "{}, painted"})
    plain = write_tiny_clip(tmp_path, version=2, defaults={"logit_scale": 1.0})
    said = ClassifyOptions(labels=("a",), template=("the {}",), templates=("{}", "one {}"))
    assert templates_of(own.manifest, said) == ("the {}", "{}", "one {}")
    assert templates_of(own.manifest, ClassifyOptions(labels=("a",))) == ("{}, painted",)
    assert templates_of(plain.manifest, ClassifyOptions(labels=("a",))) == ("a photo of a {}",)


def test_words_that_do_not_go_together_are_refused() -> None:
    check_words(ClassifyOptions())
    check_words(ClassifyOptions(labels=("a", "b"), template=("the {}",)))
    with pytest.raises(InvalidOptionError, match="no labels"):
        check_words(ClassifyOptions(template=("the {}",)))
