from pathlib import Path

import pytest
import torch

from models.clip.data import open_captions, open_names, open_training
from models.clip.recipe import DataSpec, WorldCloseUps, WorldData, WorldScenes
from models.data.captioned_world import with_article
from models.data.world import OBJECT_NAMES, VOCABULARY


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSpec:
    return DataSpec(
        world=WorldData(
            scenes=WorldScenes(train=3, val=2, test=2, objects=2, size_px=32),
            close_ups=WorldCloseUps(
                train=2, val=2, test=2, size_px=32, templates=("a photo of a {}",)
            ),
            root=str(tmp_path_factory.mktemp("world")),
        )
    )


def test_scenes_have_captions_and_close_ups_their_names(data: DataSpec) -> None:
    images = open_training(data)
    assert len(images) == 5 and "captions of scenes" in images.description
    for index in range(3):
        (caption,) = images.texts(index)
        assert set(caption.replace(",", " ,").split()) <= set(VOCABULARY)
    names = open_names(data, "train")
    assert names is not None
    for index in range(2):
        name = OBJECT_NAMES[int(names.labels[index])]
        assert images.texts(3 + index) == (with_article(name), f"a photo of a {name}")
    pixels = images.read(torch.tensor([4, 0]), (48, 48))
    assert pixels.shape == (2, 48, 48, 3) and int(pixels.float().std()) > 0


def test_splits_share_no_scene(data: DataSpec) -> None:
    train, test = open_captions(data, "train"), open_captions(data, "test")
    first = [images.read(torch.tensor([0]), (32, 32)) for images in (train, test)]
    assert not torch.equal(*first)


def test_articles_follow_the_sound() -> None:
    assert with_article("orange ball") == "an orange ball"
    assert with_article("red ball") == "a red ball"


def test_without_close_ups_there_are_no_names(tmp_path: Path) -> None:
    scenes = WorldScenes(train=2, val=1, test=1, objects=1, size_px=32)
    data = DataSpec(world=WorldData(scenes=scenes, close_ups=None, root=str(tmp_path)))
    assert open_names(data, "val") is None
    assert len(open_training(data)) == 2
    with pytest.raises(ValueError, match="exactly one"):
        DataSpec()
