"""A CLIP on its way into a bundle: two graphs, a tokenizer, and what they find."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from typer.testing import CliRunner

from exporters.clip import ClipOptions, export_clip
from exporters.clip_data import UnseenCaptions, measure_clip
from exporters.commands import export, importing
from exporters.images import synthetic_images
from exporters.session import CpuSession
from models.backbones.spec import BackboneSpec
from models.clip import ClipNetwork, ClipSpec, ImageSpec, TextSpec, encode, load_clip
from models.clip.tokenizing import special_ids, train_tokenizer
from models.data.captioned import ArrayCaptions, distinct
from models.data.labelled import ArrayImages
from service.bundle import Bundle, read_bundle
from tests.exporters.checkpoints.test_clips import hf_model

SIZE, LENGTH = 32, 12


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a photo of a red ball", "two green cubes"] * 3, length=LENGTH)


def small(tokenizer: Tokenizer, **image: Any) -> ClipNetwork:
    bos_id, eos_id = special_ids(tokenizer)
    text = TextSpec(
        vocabulary=tokenizer.get_vocab_size(),
        length=LENGTH,
        dim=32,
        layers=1,
        heads=2,
        bos_id=bos_id,
        eos_id=eos_id,
    )
    backbone = BackboneSpec("resnet10t", {"channels": (4, 8, 8, 16), "stem_width": 8})
    chosen = ImageSpec(backbone=backbone, **{"heads": 2, "dim": 16, **image})
    torch.manual_seed(0)
    network = ClipNetwork(
        ClipSpec(image=chosen, text=text, embed_dim=16, input_size=(SIZE, SIZE), fit="stretch")
    )
    network.train()
    for _ in range(3):  # settles the norms
        network.embed_images(torch.from_numpy(synthetic_images(SIZE, SIZE, 8)))
    return network.eval().requires_grad_(False)


def answers(bundle: Bundle, role: str, **inputs: np.ndarray) -> np.ndarray:
    graph = bundle.manifest.graphs[role]
    return CpuSession(bundle.file(graph.file)).run(inputs)["embedding"]


@pytest.mark.parametrize(("precision", "pooling"), [("fp32", "attention"), ("fp16", "encoder")])
def test_a_bundle_embeds_as_pytorch_does(
    precision: Any, pooling: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    network = small(tokenizer, pooling=pooling)
    options = ClipOptions("both", precision=precision)
    exported = export_clip(network, network.spec, tokenizer, {}, tmp_path, options)
    bundle = read_bundle(exported.written.bundle.folder)
    manifest = bundle.manifest
    assert manifest.task == "embed" and set(manifest.graphs) == {"image", "text"}
    assert manifest.defaults == {
        "logit_scale": pytest.approx(1 / 0.07, abs=1e-5),
        "template": "a photo of a {}",
    }
    assert [(t.name, t.dtype, t.shape) for t in manifest.graphs["text"].inputs] == [
        ("tokens", "int64", ("batch", LENGTH))
    ]
    for graph in manifest.graphs.values():
        assert [(t.name, t.dtype, t.shape) for t in graph.outputs] == [
            ("embedding", "float32", ("batch", 16))
        ]
        assert {entry.batch for entry in graph.parity} == {1, 2, 3, 8}
    assert manifest.tokenizer is not None
    served = Tokenizer.from_file(str(bundle.file(manifest.tokenizer)))
    texts = ["a red ball on two cubes", "", "word " * 90, "é東京"]
    ids = np.array([row.ids for row in served.encode_batch(texts)])
    assert ids.tolist() == encode(tokenizer, texts).tolist() and ids.shape == (4, LENGTH)
    images = synthetic_images(SIZE, SIZE, 5, seed=4)
    allowed = 1e-4 if precision == "fp32" else 5e-3
    for found, expected in (
        (answers(bundle, "image", image=images), network.embed_images(torch.from_numpy(images))),
        (answers(bundle, "text", tokens=ids), network.embed_texts(torch.from_numpy(ids))),
    ):
        np.testing.assert_allclose(found, expected.numpy(), atol=allowed)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_graphs_are_measured_as_the_network_would_be(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """The figures of the graphs against cosines of the network, ranked by hand."""
    network = small(tokenizer, pooling="mean")
    pixels = synthetic_images(SIZE, SIZE, 12, seed=6)
    said = [f"{'red' if i % 2 else 'green'} {'ball ' * i}cube" for i in range(12)]
    images = ArrayCaptions(pixels, said, "twelve")
    labels = [i % 3 for i in range(12)]
    named = ArrayImages(pixels, labels, ("ball", "cube", "photo"), "named")
    unseen = UnseenCaptions(images, distinct(images, 10), named)
    options = ClipOptions("both", evaluation=unseen)
    exported = export_clip(network, network.spec, tokenizer, {}, tmp_path, options)
    seen = network.embed_images(torch.from_numpy(pixels))
    texts = network.embed_texts(encode(tokenizer, said[:10]))
    cosines = texts @ seen[:10].T
    forth = float((cosines.argmax(1) == torch.arange(10)).float().mean())
    back = float((cosines.argmax(0) == torch.arange(10)).float().mean())
    names = network.embed_texts(encode(tokenizer, [f"a photo of a {n}" for n in named.names]))
    top1 = float(((seen @ names.T).argmax(1) == torch.tensor(labels)).float().mean())
    figures = exported.measured.figures
    assert figures["text_to_image_1"] == pytest.approx(forth)
    assert figures["image_to_text_1"] == pytest.approx(back)
    assert figures["top1"] == pytest.approx(top1) and figures["top5"] == 1
    told = {q.metric: q.value for q in exported.written.bundle.manifest.quality}
    assert told["top1"] == pytest.approx(top1)
    assert told["image_fp32_embedding_max_abs_difference"] < 1e-4
    without = replace(unseen, named=None)
    bundle = exported.written.bundle
    files = [bundle.file(bundle.manifest.graphs[role].file) for role in ("image", "text")]
    assert "top1" not in measure_clip(*files, network.spec, tokenizer, without)


def test_a_published_checkpoint_becomes_a_bundle(tokenizer: Tokenizer, tmp_path: Path) -> None:
    theirs = hf_model("quick_gelu", tokenizer.get_vocab_size())
    folder = tmp_path / "published"
    folder.mkdir()
    theirs.config.save_pretrained(folder)
    save_file(dict(theirs.state_dict()), folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))
    arguments = ["clip", str(folder), "--layout", "hf-clip", "--name", "borrowed"]
    kept = ["--repository", str(tmp_path / "bundles"), "--checkpoint", str(tmp_path / "kept")]
    done = CliRunner().invoke(importing.app, [*arguments, *kept])
    assert done.exit_code == 0, done.output
    bundle = read_bundle(tmp_path / "bundles" / "borrowed" / "1")
    assert bundle.manifest.fit is not None and bundle.manifest.fit.mode == "crop"
    assert bundle.manifest.provenance.source == "published, hf-clip"
    ids = np.array([row.ids for row in tokenizer.encode_batch(["two cubes", "a red ball"])])
    with torch.no_grad():
        expected = theirs.get_text_features(torch.from_numpy(ids))
    if not isinstance(expected, torch.Tensor):
        expected = expected.pooler_output
    expected = torch.nn.functional.normalize(expected, dim=1)
    padded = np.full((2, 16), 1)
    padded[:, :LENGTH] = ids
    np.testing.assert_allclose(answers(bundle, "text", tokens=padded), expected, atol=1e-4)
    network, spec, _, metadata = load_clip(tmp_path / "kept")
    assert metadata["provenance"]["source"] == "published, hf-clip"
    assert spec == network.spec and spec.text.activation == "quick_gelu"

    bare = tmp_path / "bare.safetensors"
    bare.write_bytes((folder / "model.safetensors").read_bytes())
    arguments[1] = str(bare)
    refused = CliRunner().invoke(importing.app, [*arguments, "--repository", str(tmp_path / "b")])
    assert refused.exit_code == 2 and "tokenizer" in refused.output


def test_a_checkpoint_that_is_none_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(export.app, ["clip", str(tmp_path), "--name", "none"])
    assert done.exit_code == 2 and "no checkpoint" in done.output
