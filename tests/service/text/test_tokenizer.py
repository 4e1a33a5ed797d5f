"""A bundle's own tokenizer, as the text graph needs it."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as Rules

from service.bundle import Bundle, BundleError, Manifest, read_bundle
from service.text import Tokenizer
from service.text.tokenizer import tokens_of
from tests.bundles import write_tiny_classifier
from tests.towers import WORDS, word_tokenizer, write_tiny_clip

RED = WORDS.index("red")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_clip(tmp_path, tokens=6)


def test_texts_become_as_many_tokens_as_the_graph_takes(bundle: Bundle) -> None:
    tokenizer = Tokenizer.of(bundle)
    ids = tokenizer.encode(["red", "", "Red red red red red red red"])
    assert ids.dtype == np.int64
    assert ids.tolist() == [
        [0, RED, 1, 1, 1, 1],
        [0, 1, 1, 1, 1, 1],
        [0, RED, RED, RED, RED, 1],
    ]
    assert tokenizer.encode([]).shape == (0, 6)


def test_a_text_that_is_cut_says_so(bundle: Bundle) -> None:
    tokenizer = Tokenizer.of(bundle)
    whole = tokenizer.read("a photo of red")
    assert (whole.count, whole.truncated) == (6, False)
    cut = tokenizer.read("a photo of red and blue")
    assert (cut.count, cut.truncated) == (6, True)
    assert cut.ids.tolist() == whole.ids.tolist()
    assert tokenizer.read("red").count == 3


def test_it_is_read_once_and_goes_with_its_bundle(bundle: Bundle) -> None:
    found = read_bundle(bundle.folder)
    tokenizer = Tokenizer.of(found)
    (found.folder / "tokenizer.json").unlink()
    assert Tokenizer.of(found) is tokenizer
    del found
    gc.collect()
    with pytest.raises(BundleError, match="no tokenizer"):
        Tokenizer.of(bundle)


def with_rules(bundle: Bundle, text: str) -> Bundle:
    (bundle.folder / "tokenizer.json").write_text(text)
    return bundle


def without(bundle: Bundle, what: str) -> str:
    rules = Rules.from_file(str(bundle.file("tokenizer.json")))
    getattr(rules, what)()
    return rules.to_str()


@pytest.mark.parametrize("what", ["no_padding", "no_truncation"])
def test_one_that_does_not_cut_or_pad_is_refused(what: str, bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="where the graph takes 6"):
        Tokenizer.of(with_rules(bundle, without(bundle, what)))


def test_one_of_another_length_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="gives 7 tokens where the graph takes 6"):
        Tokenizer.of(with_rules(bundle, word_tokenizer(7).to_str()))


@pytest.mark.parametrize("text", ["{}", "not JSON"])
def test_a_file_that_is_no_tokenizer_is_refused(text: str, bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"tokenizer\.json is no tokenizer"):
        Tokenizer.of(with_rules(bundle, text))


def test_a_manifest_says_how_many_tokens(bundle: Bundle, tmp_path: Path) -> None:
    assert tokens_of(bundle.manifest) == 6
    with pytest.raises(BundleError, match="needs a tokenizer"):
        tokens_of(write_tiny_classifier(tmp_path).manifest)
    manifest = bundle.manifest
    with pytest.raises(BundleError, match="there is image"):
        tokens_of(manifest.model_copy(update={"graphs": {"image": manifest.graphs["image"]}}))


@pytest.mark.parametrize("change", [{"dtype": "int32"}, {"shape": ("batch", "T")}, {"name": "ids"}])
def test_a_text_graph_takes_tokens_and_nothing_else(
    change: dict[str, object], bundle: Bundle
) -> None:
    manifest = changed(bundle.manifest, change)
    with pytest.raises(BundleError, match="must take tokens"):
        tokens_of(manifest)


def changed(manifest: Manifest, change: dict[str, object]) -> Manifest:
    graph = manifest.graphs["text"]
    inputs = (graph.inputs[0].model_copy(update=change),)
    graphs = {**manifest.graphs, "text": graph.model_copy(update={"inputs": inputs})}
    return manifest.model_copy(update={"graphs": graphs})
