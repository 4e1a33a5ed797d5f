from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.clip import encode, load_clip
from models.clip.contrasts import ContrastSpec
from models.clip.recipe import TokenizerSpec
from models.clip.spec import ImageSpec
from models.clip.task import ClipTask
from models.data.labelled import ArrayImages
from models.training.checkpoint import CheckpointError
from models.training.task import Place
from models.training.trainer import Trainer
from tests.models.clip.tiny import COLOURS, TINY_CNN, square_captions, tiny_recipe

HERE = Place(torch.device("cpu"))


def plain_squares() -> ArrayImages:
    """One colour all over, to be named without ever having been a label."""
    pixels = np.stack([np.full((32, 32, 3), COLOURS[name], np.uint8) for name in COLOURS])
    return ArrayImages(pixels, range(len(COLOURS)), tuple(COLOURS), "squares")


def test_a_tiny_clip_learns_what_is_where(tmp_path: Path) -> None:
    image = ImageSpec(backbone=TINY_CNN, pooling="encoder", stride=16, dim=32, heads=2, layers=1)
    recipe = tiny_recipe(image=image, steps=160)
    recipe = replace(recipe, wording=replace(recipe.wording, contrasts=ContrastSpec()))
    task = ClipTask(recipe, square_captions(128, 0), square_captions(60, 1))
    before = task.evaluate(task.network.eval(), HERE)
    Trainer(task, recipe.training, tmp_path, document={}).run()
    network, spec, tokenizer, metadata = load_clip(tmp_path / "best")
    figures = metadata["metrics"]
    assert figures["text_to_image_1"] == 1.0 and before["text_to_image_1"] < 0.5
    assert figures["score"] == pytest.approx(
        (figures["text_to_image_1"] + figures["image_to_text_1"]) / 2
    )
    seen = square_captions(12, 5)
    texts = [f"a {colour} square on the {side}" for colour in COLOURS for side in ("left", "right")]
    pixels = seen.read(torch.arange(12), spec.input_size)
    cosines = network.embed_images(pixels) @ network.embed_texts(encode(tokenizer, texts)).T
    assert [texts[i] for i in cosines.argmax(1)] == [seen.texts(i)[0] for i in range(12)]


def test_names_are_measured_where_the_data_has_any() -> None:
    recipe = tiny_recipe()
    task = ClipTask(recipe, square_captions(8, 0), square_captions(6, 1), plain_squares())
    figures = task.evaluate(task.network.eval(), HERE)
    assert figures["top5"] == 1.0  # of three names
    recall = (figures["text_to_image_1"] + figures["image_to_text_1"]) / 2
    assert figures["score"] == pytest.approx((recall + figures["top1"]) / 2)


def test_the_tokenizer_is_the_recipes(tmp_path: Path) -> None:
    shipped = replace(tiny_recipe(), tokenizer=TokenizerSpec(shipped="tabletop"))
    task = ClipTask(shipped, square_captions(4, 0), square_captions(4, 1))
    assert task.network.spec.text.vocabulary == task.tokenizer.get_vocab_size() > 300
    file = tmp_path / "tokenizer.json"
    task.tokenizer.save(str(file))
    own = replace(tiny_recipe(), tokenizer=TokenizerSpec(file=str(file)))
    again = ClipTask(own, square_captions(4, 0), square_captions(4, 1))
    assert again.tokenizer.to_str() == task.tokenizer.to_str()
    assert task.tokenizer.truncation["max_length"] == 16
    learnt = ClipTask(tiny_recipe(), square_captions(64, 0), square_captions(4, 1))
    assert learnt.tokenizer.encode("green square").tokens[1:3] == ["Ġgreen", "Ġsquare"]


def test_a_run_starts_from_a_checkpoint_of_the_same_make(tmp_path: Path) -> None:
    recipe = tiny_recipe(steps=1)
    train, validation = square_captions(16, 0), square_captions(4, 1)
    task = ClipTask(recipe, train, validation)
    Trainer(task, recipe.training, tmp_path, document={}).run()
    again = ClipTask(replace(recipe, start_from=str(tmp_path / "last")), train, validation)
    for name, value in task.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value)
    other = tiny_recipe(image=ImageSpec(backbone=TINY_CNN, pooling="mean"))
    with pytest.raises(CheckpointError, match="another make"):
        ClipTask(replace(other, start_from=str(tmp_path / "last")), train, validation)
