import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.data.captioned_folder import CaptionFolder, CaptionShards, open_captioned

RED, BLUE = (200, 10, 10), (10, 10, 200)


def png(colour: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 16), colour).save(stream, "PNG")
    return stream.getvalue()


def write_shard(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def test_a_folder_pairs_images_with_the_texts_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "deeper"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(png(RED))
    (folder / "a.txt").write_text("a red thing\n\n  something red \n")
    (folder / "b.png").write_bytes(png(BLUE))
    (folder / "b.txt").write_text("a blue thing")
    (folder / "alone.png").write_bytes(png(BLUE))
    images = open_captioned(tmp_path, "train")
    assert isinstance(images, CaptionFolder) and len(images) == 2
    assert images.texts(0) == ("a red thing", "something red")
    pixels = images.read(torch.tensor([1, 0]), (8, 8))
    assert pixels.shape == (2, 8, 8, 3)
    assert pixels[:, 4, 4].tolist() == [list(BLUE), list(RED)]


def test_one_listing_may_say_all_texts(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "b.png").write_bytes(png(BLUE))
    (folder / "a.png").write_bytes(png(RED))
    lines = ({"file_name": "pictures/b.png", "text": "blue"}, {"text": "red", "file_name": "a.png"})
    listing = "\n\n".join(json.dumps(line) for line in lines)
    (folder / "metadata.jsonl").write_text(listing)
    images = open_captioned(tmp_path, "train")
    assert [images.texts(i) for i in range(len(images))] == [("blue",), ("red",)]
    assert images.read(torch.tensor([0, 1]), (4, 4))[:, 2, 2].tolist() == [list(BLUE), list(RED)]

    (folder / "metadata.jsonl").write_text(listing + '\n{"text": "of what?"}')
    with pytest.raises(ValueError, match=r"metadata\.jsonl:4 has no file_name"):
        open_captioned(tmp_path, "train")


def test_shards_are_read_at_any_place(tmp_path: Path) -> None:
    write_shard(
        tmp_path / "train" / "000.tar",
        {
            "0.png": png(RED),
            "0.txt": b"red",
            "1.json": json.dumps({"caption": "blue"}).encode(),
            "1.png": png(BLUE),
        },
    )
    write_shard(tmp_path / "train" / "001.tar", {"2.png": png(RED), "3.txt": b"no image"})
    write_shard(tmp_path / "train" / "002.tar", {"x/4.png": png(BLUE), "x/4.txt": b"last"})
    images = open_captioned(tmp_path, "train")
    assert isinstance(images, CaptionShards)
    assert [images.texts(i) for i in range(len(images))] == [("red",), ("blue",), ("last",)]
    assert images.read(torch.tensor([2, 0]), (4, 4))[:, 2, 2].tolist() == [list(BLUE), list(RED)]
    assert images.description.endswith("train, 3 images in 3 files")


def test_a_whole_folder_without_pairs_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder 'train'"):
        open_captioned(tmp_path, "train")
    (tmp_path / "train").mkdir()
    with pytest.raises(ValueError, match="no image"):
        open_captioned(tmp_path, "train")
    write_shard(tmp_path / "train" / "0.tar", {"0.png": png(RED)})
    with pytest.raises(ValueError, match="no shard"):
        open_captioned(tmp_path, "train")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"0.png": png(RED), "0.txt": b" \n"}, "0.txt says nothing"),
        ({"0.png": png(RED), "0.json": b'{"label": 3}'}, "has none of caption"),
        ({"0.png": png(RED), "0.json": b"{"}, "no JSON"),
    ],
)
def test_a_text_that_is_none_is_told(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    write_shard(tmp_path / "train" / "0.tar", files)
    with pytest.raises(ValueError, match=said):
        open_captioned(tmp_path, "train")


def test_a_broken_shard_or_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "0.tar").write_bytes(np.arange(2000, dtype=np.uint8).tobytes())
    with pytest.raises(ValueError, match="no shard that can be read"):
        open_captioned(tmp_path, "train")
    write_shard(tmp_path / "train" / "0.tar", {"0.png": b"no picture", "0.txt": b"red"})
    with pytest.raises(ValueError, match="no image"):
        open_captioned(tmp_path, "train").read(torch.tensor([0]), (4, 4))
