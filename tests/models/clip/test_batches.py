from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from models.classification.augment import NO_AUGMENT
from models.clip.batches import CaptionBatches, meanings
from models.clip.contrasts import ContrastSpec
from models.clip.recipe import WordingSpec
from models.clip.task import group_by_length
from models.clip.tokenizing import encode, train_tokenizer
from models.data.captioned import ArrayCaptions, CaptionedImages
from models.training.task import Share
from tests.models.clip.tiny import COLOURS, square_captions


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    words = "a photo of the square on left right red green blue ball cube to"
    return train_tokenizer([words] * 3, length=16)


def batches(
    images: CaptionedImages, tokenizer: Tokenizer, wording: WordingSpec, size: int = 8
) -> CaptionBatches:
    return CaptionBatches(
        images,
        tokenizer,
        size=(32, 32),
        batch_size=size,
        augment=NO_AUGMENT,
        wording=wording,
        seed=3,
    )


def said(tokenizer: Tokenizer, tokens: torch.Tensor) -> list[str]:
    return [text.strip() for text in tokenizer.decode_batch(tokens.tolist())]


def test_a_mirrored_image_has_its_sides_exchanged(tokenizer: Tokenizer) -> None:
    images = square_captions(8, 0)
    wording = WordingSpec(mirrored=0.5, sides=(("left", "right"),))
    batch = batches(images, tokenizer, wording).batch(0, Share())
    found = set()
    for pixels, text in zip(batch["image"], said(tokenizer, batch["tokens"]), strict=True):
        colour, side = text.split()[1], text.split()[-1]
        found.add(side)
        half = pixels[:, :16] if side == "left" else pixels[:, 16:]
        assert bool((half == torch.tensor(COLOURS[colour], dtype=torch.uint8)).all(2).any())
    assert found == {"left", "right"}


def test_a_prefix_stands_before_an_only_text_and_changes_no_meaning(tokenizer: Tokenizer) -> None:
    pixels = np.zeros((4, 32, 32, 3), np.uint8)
    images = ArrayCaptions(pixels, ["a ball", "a cube", ("a ball", "the ball"), "a cube"], "")
    wording = WordingSpec(prefixes=("a photo of ",), prefixed=1.0)
    batch = batches(images, tokenizer, wording, size=4).batch(0, Share())
    texts = said(tokenizer, batch["tokens"])
    prefixed = sorted(text for text in texts if text.startswith("a photo of "))
    assert prefixed == ["a photo of a ball", "a photo of a cube", "a photo of a cube"]
    assert set(texts) - set(prefixed) <= {"a ball", "the ball"}
    assert sorted(batch["meanings"].tolist()) == sorted(
        meanings(["a ball", "a cube", "a ball", "a cube"]).tolist()
    )


def test_false_texts_differ_by_the_same_exchange_as_what_they_mean(tokenizer: Tokenizer) -> None:
    wording = WordingSpec(
        prefixes=("a photo of ",), prefixed=0.5, contrasts=ContrastSpec((("left", "right"),))
    )
    batch = batches(square_captions(8, 0), tokenizer, wording).batch(0, Share())
    true, false = said(tokenizer, batch["tokens"]), said(tokenizer, batch["false_tokens"])
    turned = {"left": "right", "right": "left"}
    expected = [[*text.split()[:-1], turned[text.split()[-1]]] for text in true]
    assert [text.split() for text in false] == expected
    bare = [text.removeprefix("a photo of ") for text in false]
    assert batch["false_meanings"].tolist() == meanings(bare).tolist()


def test_a_step_says_the_same_again_and_shares_make_up_the_whole(tokenizer: Tokenizer) -> None:
    wording = WordingSpec(mirrored=0.5, sides=(("left", "right"),))
    data = batches(square_captions(12, 0), tokenizer, replace(wording))
    for name, value in data.batch(2, Share()).items():
        assert torch.equal(value, data.batch(2, Share())[name])
    parts = [data.batch(2, Share(index, 2)) for index in range(2)]
    assert sum(len(part["image"]) for part in parts) == 8


def test_meanings_are_the_same_on_every_machine() -> None:
    assert meanings(["a red ball"]).tolist() == [-6139722701566060474]


def test_texts_are_said_once_and_cut_after_their_ends(tokenizer: Tokenizer) -> None:
    texts = ["a red ball", "red", "a red ball", "a photo of the blue cube to the left", "blue"]
    tokens = encode(tokenizer, texts)
    groups, order = group_by_length(tokens, eos_id=1)
    assert sum(len(group) for group in groups) == 4
    assert [group.shape[1] for group in groups] == sorted(group.shape[1] for group in groups)
    rows = [row for group in groups for row in group]
    for text, place in zip(tokens, order.tolist(), strict=True):
        row = rows[place]
        assert torch.equal(text[: len(row)], row)
        assert bool((text[len(row) :] == 1).all())
