"""Which bundles can embed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax

from service.bundle import Bundle, BundleError, Manifest
from service.tasks import check_bundle, check_manifest
from service.tasks.embed import dimensions_of, softmax
from tests.towers import CLIP_DEFAULTS, word_tokenizer, write_tiny_clip


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_clip(tmp_path)


def with_graph(manifest: Manifest, role: str, **changes: object) -> Manifest:
    graph = manifest.graphs[role].model_copy(update=changes)
    return manifest.model_copy(update={"graphs": {**manifest.graphs, role: graph}})


def test_two_towers_pass(bundle: Bundle) -> None:
    check_bundle(bundle)
    assert dimensions_of(bundle.manifest) == 4


def test_both_towers_must_be_there(bundle: Bundle) -> None:
    for role in ("image", "text"):
        left = {r: g for r, g in bundle.manifest.graphs.items() if r != role}
        with pytest.raises(BundleError, match=f"needs a graph '{role}'"):
            check_manifest(bundle.manifest.model_copy(update={"graphs": left}))


def test_both_must_give_vectors_of_one_size(bundle: Bundle) -> None:
    (output,) = bundle.manifest.graphs["image"].outputs
    other = (output.model_copy(update={"shape": ("batch", 8)}),)
    with pytest.raises(BundleError, match=r"'image' must give embedding \['batch', 4\]"):
        check_manifest(with_graph(bundle.manifest, "image", outputs=other))


@pytest.mark.parametrize(
    "change", [{"shape": ("batch", "D")}, {"shape": ("batch", 2, 4)}, {"name": "hidden"}]
)
def test_the_size_of_a_vector_must_be_known(change: dict[str, object], bundle: Bundle) -> None:
    (output,) = bundle.manifest.graphs["text"].outputs
    with pytest.raises(BundleError, match="'text' must give embedding"):
        check_manifest(
            with_graph(bundle.manifest, "text", outputs=(output.model_copy(update=change),))
        )


@pytest.mark.parametrize("scale", [None, 0, -1.0, True, "large"])
def test_the_scale_of_the_logits_must_be_said(scale: object, bundle: Bundle) -> None:
    defaults = {k: v for k, v in {**CLIP_DEFAULTS, "logit_scale": scale}.items() if v is not None}
    with pytest.raises(BundleError, match="logit_scale"):
        check_manifest(bundle.manifest.model_copy(update={"defaults": defaults}))


def test_a_template_needs_a_place_for_the_label(bundle: Bundle) -> None:
    manifest = bundle.manifest
    plain = {"logit_scale": 10.0}
    check_manifest(manifest.model_copy(update={"defaults": plain}))
    with pytest.raises(BundleError, match="template"):
        wrong = {**plain, "template": "a photo"}
        check_manifest(manifest.model_copy(update={"defaults": wrong}))


def test_a_tokenizer_that_does_not_fit_is_found_before_it_serves(tmp_path: Path) -> None:
    bundle = write_tiny_clip(tmp_path, name="misfit")  # of its own: a digest is read once
    check_manifest(bundle.manifest)
    bundle.file("tokenizer.json").write_text(word_tokenizer(5).to_str())
    with pytest.raises(BundleError, match="gives 5 tokens where the graph takes 8"):
        check_bundle(bundle)


def test_softmax_is_that_of_scipy() -> None:
    logits = np.random.default_rng(0).normal(scale=300, size=(5, 9)).astype(np.float32)
    np.testing.assert_allclose(softmax(logits), scipy_softmax(logits.astype(float), -1))
