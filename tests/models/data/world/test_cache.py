"""Worlds on disk: whole shards or none, resumed and grown without being made again."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.data.world import (
    CLOSE_UP,
    OBJECT_NAMES,
    TABLETOP,
    TRUTHS,
    WorldSpec,
    default_root,
    open_world,
)

SMALL = WorldSpec(CLOSE_UP, 20, size_px=16, supersample=1, shard_scenes=8)


def shards_of(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_close_up_world_holds_images_and_labels(tmp_path: Path) -> None:
    world = open_world(SMALL, tmp_path)
    image, label = world.array("image"), world.array("label")
    assert len(world) == len(image) == len(label) == 20
    assert image.shape == (20, 16, 16, 3) and image.dtype == np.uint8
    assert label.dtype == np.int64 and set(np.asarray(label)) <= set(range(len(OBJECT_NAMES)))


def test_a_missing_shard_alone_is_made_again(tmp_path: Path) -> None:
    world = open_world(SMALL, tmp_path)
    before = np.asarray(world.array("image"))
    first, middle, last = shards_of(world.folder)
    written = [shard.stat().st_mtime_ns for shard in (first, last)]
    shutil.rmtree(middle)
    again = open_world(SMALL, tmp_path)
    assert np.array_equal(np.asarray(again.array("image")), before)
    assert [shard.stat().st_mtime_ns for shard in (first, last)] == written


def test_what_a_killed_process_left_is_not_read(tmp_path: Path) -> None:
    world = open_world(SMALL, tmp_path)
    before = np.asarray(world.array("image"))
    shutil.rmtree(shards_of(world.folder)[0])
    half = world.folder / ".shard-left-behind"
    half.mkdir()
    (half / "image.npy").write_bytes(b"half a file")
    assert np.array_equal(np.asarray(open_world(SMALL, tmp_path).array("image")), before)


def test_a_larger_world_of_the_kind_keeps_the_whole_shards(tmp_path: Path) -> None:
    world = open_world(SMALL, tmp_path)
    written = shards_of(world.folder)[0].stat().st_mtime_ns
    larger = open_world(
        WorldSpec(CLOSE_UP, 30, size_px=16, supersample=1, shard_scenes=8), tmp_path
    )
    assert larger.folder == world.folder
    assert shards_of(world.folder)[0].stat().st_mtime_ns == written
    image = np.asarray(larger.array("image"))
    assert len(image) == 30 and np.array_equal(image[:20], np.asarray(world.array("image")))


def test_workers_make_the_same_world(tmp_path: Path) -> None:
    alone = open_world(SMALL, tmp_path / "one")
    shared = open_world(SMALL, tmp_path / "two", workers=2)
    difference = np.asarray(alone.array("image")).astype(int) - np.asarray(shared.array("image"))
    assert np.abs(difference).max() <= 1


def test_every_truth_can_be_kept(tmp_path: Path) -> None:
    world = open_world(
        WorldSpec(TABLETOP, 5, size_px=32, supersample=1, truths=TRUTHS, shard_scenes=3), tmp_path
    )
    shapes = {name: world.array(name).shape for name in world.names if name != "captions"}
    assert shapes == {
        "image": (5, 32, 32, 3),
        "right": (5, 32, 32, 3),
        "depth": (5, 32, 32),
        "instances": (5, 32, 32),
        "classes": (5, 32, 32),
        "camera": (5, 4),
        "boxes": (5, 6, 4),
        "box_count": (5,),
        "box_instance": (5, 6),
        "box_shape": (5, 6),
        "box_colour": (5, 6),
        "box_material": (5, 6),
    }
    captions = world.column("captions")
    assert len(captions) == 5 and all(isinstance(caption, str) for caption in captions)


def test_a_column_that_is_not_kept_is_named_in_the_error(tmp_path: Path) -> None:
    world = open_world(SMALL, tmp_path)
    with pytest.raises(KeyError, match=r"no 'depth'.*image, label"):
        world.column("depth")


def test_whatever_changes_a_pixel_changes_the_folder() -> None:
    kinds = [
        SMALL,
        WorldSpec(CLOSE_UP, 20, size_px=16, supersample=2, shard_scenes=8),
        WorldSpec(CLOSE_UP, 20, size_px=17, supersample=1, shard_scenes=8),
        WorldSpec(CLOSE_UP, 20, size_px=16, supersample=1, shard_scenes=8, split="val"),
        WorldSpec(CLOSE_UP, 20, size_px=16, supersample=1, shard_scenes=8, seed=1),
        WorldSpec(TABLETOP, 20, size_px=16, supersample=1, shard_scenes=8),
    ]
    assert len({spec.folder_name for spec in kinds}) == len(kinds)


def test_the_order_of_truths_does_not_matter() -> None:
    one, other = (
        WorldSpec(TABLETOP, 1, truths=t) for t in (("depth", "boxes"), ("boxes", "depth"))
    )
    assert one.folder_name == other.folder_name


@pytest.mark.parametrize(
    "bad", [{"split": "dev"}, {"truths": ("smell",)}, {"count": 0}, {"seed": -1}]
)
def test_an_impossible_world_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        WorldSpec(**{"scene": CLOSE_UP, "count": 1, **bad})  # type: ignore[arg-type]


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOPTES_CACHE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("PANOPTES_CACHE")
    assert default_root() == Path.home() / ".cache" / "panoptes" / "world"
