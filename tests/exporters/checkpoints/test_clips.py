"""Published layouts, built by their own libraries with random weights, against ours."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import open_clip
import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from exporters.checkpoints.clip_tokenizer import OPENAI_FILE, read_tokenizer
from exporters.checkpoints.clips import convert_clip, read_config, text_length
from exporters.errors import CheckpointError
from models.clip import ClipNetwork, encode
from models.clip.tokenizing import train_tokenizer

LENGTH = 16
SIZE = 32
DRIFT = 1e-4
TEXTS = ["a photo of a red ball", "", "two cubes, one green", "x " * 90]
OPENAI = Path(open_clip.__file__).with_name(OPENAI_FILE)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a photo of a red ball", "two green cubes"] * 3, length=LENGTH)


def settle(model: nn.Module) -> None:
    """Weights far from zero, so that an activation or a norm that differs shows."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if name.endswith("logit_scale"):
            parameter.data.fill_(3.0)
        elif parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.data.normal_(0, 1.5 * fan_in**-0.5, generator=generator)
        else:
            parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=generator))


def hf_model(act: str, vocabulary: int, *, heads: int = 2, dim: int = 32) -> CLIPModel:
    tower = {
        "hidden_size": dim,
        "intermediate_size": 3 * dim,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "hidden_act": act,
    }
    text = {**tower, "vocab_size": vocabulary, "max_position_embeddings": LENGTH}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = CLIPConfig(
        text_config={**text, **ends},
        vision_config={**tower, "image_size": SIZE, "patch_size": 8},
        projection_dim=24,
    )
    model = CLIPModel(config).eval()
    settle(model)
    return model


def pictures() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (3, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8)


def assert_same(ours: ClipNetwork, tokens: Tensor, image: Tensor, text: Tensor) -> None:
    torch.testing.assert_close(ours.embed_images(pictures()), image, rtol=0, atol=DRIFT)
    torch.testing.assert_close(ours.embed_texts(tokens), text, rtol=0, atol=DRIFT)
    assert float(text[0] @ text[2]) < 0.99  # or else all would agree with all


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
@torch.no_grad()
def test_hugging_faces_clip_gives_the_same_embeddings(
    act: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    theirs = hf_model(act, tokenizer.get_vocab_size())
    theirs.config.save_pretrained(tmp_path)
    ours, spec = convert_clip(
        dict(theirs.state_dict()), tokenizer, layout="hf-clip", config=read_config(tmp_path)
    )
    assert spec.text.activation == act and spec.input_size == (SIZE, SIZE)
    assert spec.text.heads == 2 and spec.text.length == LENGTH
    tokens = encode(tokenizer, TEXTS)
    found = theirs(input_ids=tokens, pixel_values=ours.normalise(pictures()))
    assert_same(ours, tokens, found.image_embeds, found.text_embeds)
    logits = ours.logit_scale * ours.embed_images(pictures()) @ ours.embed_texts(tokens).T
    torch.testing.assert_close(logits, found.logits_per_image, rtol=0, atol=30 * DRIFT)


@pytest.mark.parametrize("quick", [True, False])
@torch.no_grad()
def test_open_clips_state_dict_gives_the_same_embeddings(quick: bool, tmp_path: Path) -> None:
    tokenizer = read_tokenizer(OPENAI, LENGTH)
    image = {"image_size": SIZE, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    text = {
        "context_length": LENGTH,
        "vocab_size": tokenizer.get_vocab_size(),
        "width": 32,
        "heads": 4,
        "layers": 2,
    }
    config = {"embed_dim": 24, "vision_cfg": image, "text_cfg": text, "quick_gelu": quick}
    theirs = open_clip.model.CLIP(
        24,
        open_clip.CLIPVisionCfg(**image),
        open_clip.CLIPTextCfg(**text),
        quick_gelu=quick,
    ).eval()
    settle(theirs)
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    weights = dict(theirs.state_dict())
    assert text_length(weights) == LENGTH
    ours, spec = convert_clip(weights, tokenizer, layout="open-clip", config=read_config(tmp_path))
    assert spec.text.activation == ("quick_gelu" if quick else "gelu")
    assert (spec.text.heads, spec.image.backbone.kwargs["num_heads"]) == (4, 2)
    tokens = open_clip.SimpleTokenizer(context_length=LENGTH)(TEXTS)
    assert_same(
        ours,
        encode(tokenizer, TEXTS),
        theirs.encode_image(ours.normalise(pictures()), normalize=True),
        theirs.encode_text(tokens, normalize=True),
    )


@pytest.mark.parametrize(
    ("name", "size", "patch", "width", "length"),
    [
        ("ViT-B-32", 224, 32, 768, 77),
        ("ViT-B-16", 224, 16, 768, 77),
        ("ViT-L-14", 224, 14, 1024, 77),
    ],
)
def test_the_published_sizes_are_read_off_the_tensors(
    name: str, size: int, patch: int, width: int, length: int
) -> None:
    """On the meta device: shapes without numbers."""
    from exporters.checkpoints.clip_shapes import ClipHints
    from exporters.checkpoints.open_clip import read_open_clip

    config = open_clip.get_model_config(name)
    with torch.device("meta"):
        theirs = open_clip.model.CLIP(
            config["embed_dim"],
            open_clip.CLIPVisionCfg(**config["vision_cfg"]),
            open_clip.CLIPTextCfg(**config["text_cfg"]),
        )
        spec, ours = read_open_clip(dict(theirs.state_dict()), ClipHints("gelu", 49406, 49407))
        network = ClipNetwork(spec)
    assert spec.input_size == (size, size) and spec.text.length == length
    kwargs = spec.image.backbone.kwargs
    assert (kwargs["patch_size"], kwargs["embed_dim"]) == (patch, width)
    assert (kwargs["num_heads"], spec.text.heads) == (width // 64, spec.text.dim // 64)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes == {key: tuple(value.shape) for key, value in ours.items()}
    counted = sum(parameter.numel() for parameter in theirs.parameters())
    assert sum(parameter.numel() for parameter in network.parameters()) == counted


def test_openais_file_of_merges_reads_as_open_clip_reads_it() -> None:
    ours = read_tokenizer(OPENAI, 77)
    theirs = open_clip.SimpleTokenizer()
    texts = [*TEXTS[:3], "A PHOTO of  naïve café-goers, 1999!", "東京 & don't you're 3.14"]
    expected = theirs(texts)
    for row, wanted in zip(encode(ours, texts).tolist(), expected.tolist(), strict=True):
        end = wanted.index(theirs.eot_token_id) + 1
        assert row[:end] == wanted[:end] and set(row[end:]) <= {theirs.eot_token_id}


def test_vocabulary_and_merges_in_a_folder_read_like_the_whole(tmp_path: Path) -> None:
    with gzip.open(OPENAI, "rt", encoding="utf-8") as file:
        merges = "\n".join(file.read().split("\n")[:1500])
    with gzip.open(tmp_path / OPENAI_FILE, "wt", encoding="utf-8") as file:
        file.write(merges)
    whole = read_tokenizer(tmp_path, 24)
    expected = encode(whole, TEXTS).tolist()
    vocab = dict(sorted(whole.get_vocab().items(), key=lambda item: item[1]))
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_text(merges)
    (tmp_path / OPENAI_FILE).unlink()
    assert encode(read_tokenizer(tmp_path, 24), TEXTS).tolist() == expected
    whole.save(str(tmp_path / "tokenizer.json"))
    assert encode(read_tokenizer(tmp_path, 24), TEXTS).tolist() == expected
    assert encode(read_tokenizer(tmp_path / "tokenizer.json", 8), TEXTS).shape == (4, 8)


def test_what_nobody_says_is_asked_for(tokenizer: Tokenizer, tmp_path: Path) -> None:
    weights = dict(hf_model("gelu", tokenizer.get_vocab_size()).state_dict())
    with pytest.raises(CheckpointError, match="which activation"):
        convert_clip(weights, tokenizer, layout="hf-clip")
    with pytest.raises(CheckpointError, match="heads of 64"):
        convert_clip(weights, tokenizer, layout="hf-clip", activation="gelu")
    with pytest.raises(CheckpointError, match="no tokenizer"):
        read_tokenizer(tmp_path, LENGTH)


def test_what_does_not_belong_together_is_refused(tokenizer: Tokenizer) -> None:
    weights = dict(hf_model("gelu", 40).state_dict())
    config = {
        "text_config": {"num_attention_heads": 2},
        "vision_config": {"num_attention_heads": 2},
    }
    told = {"layout": "hf-clip", "activation": "gelu", "config": config}
    with pytest.raises(CheckpointError, match="it is another's"):
        convert_clip(weights, tokenizer, **told)
    with pytest.raises(CheckpointError, match="another layout"):
        convert_clip(weights, tokenizer, **{**told, "layout": "open-clip"})
    del weights["text_model.encoder.layers.0.self_attn.k_proj.weight"]
    with pytest.raises(CheckpointError, match=r"k\.weight"):
        convert_clip(weights, tokenizer, **told)
