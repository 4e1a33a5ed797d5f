from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as V

from models.data.folder import FolderImages


def picture(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards: where a pixel came from can be read off."""
    x = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    y = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([x, y, np.zeros_like(x)], 2).astype(np.uint8))


def save(root: Path, name: str, image: Image.Image, **options: object) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def read(root: Path, windows: list[float] | None = None) -> torch.Tensor:
    images = FolderImages(root, "train")
    given = None if windows is None else torch.tensor([windows])
    return images.read(torch.tensor([0]), (32, 32), given)[0]


def test_classes_are_the_folders_in_order(tmp_path: Path) -> None:
    for name in ("train/dog/1.jpg", "train/cat/2.PNG", "train/cat/deeper/1.jpeg"):
        save(tmp_path, name, picture(8, 8))
    (tmp_path / "train/cat/notes.txt").write_text("no image")
    images = FolderImages(tmp_path, "train")
    assert images.names == ("cat", "dog") and images.labels.tolist() == [0, 0, 1]
    assert [path.name for path in images.files] == ["2.PNG", "1.jpeg", "1.jpg"]


def test_the_centre_is_cut_as_torchvision_does(tmp_path: Path) -> None:
    image = picture(96, 64)
    save(tmp_path, "train/a/1.png", image)
    expected = V.center_crop(V.resize(V.pil_to_tensor(image), [32], antialias=True), [32, 32])
    difference = read(tmp_path).int() - expected.permute(1, 2, 0).int()
    assert difference.abs().max() <= 2


def test_a_large_jpeg_decoded_small_looks_the_same(tmp_path: Path) -> None:
    save(tmp_path, "train/a/1.jpg", picture(640, 480), quality=95)
    image = V.pil_to_tensor(picture(640, 480))
    expected = V.center_crop(V.resize(image, [32], antialias=True), [32, 32]).permute(1, 2, 0)
    assert (read(tmp_path).int() - expected.int()).abs().float().mean() < 3


def test_a_window_is_relative_to_the_centre_square(tmp_path: Path) -> None:
    save(tmp_path, "train/a/1.png", picture(128, 64))
    right = read(tmp_path, [0.5, 0.0, 1.0, 1.0]).float()
    assert 120 < right[:, 0, 0].mean() < 135  # the middle of the picture
    assert 180 < right[:, -1, 0].mean() < 195  # three quarters, where the square ends


def test_a_window_beyond_the_file_is_kept_inside(tmp_path: Path) -> None:
    save(tmp_path, "train/a/1.png", picture(64, 64))
    assert torch.equal(read(tmp_path, [-0.2, -0.2, 1.2, 1.2]), read(tmp_path))


def test_exif_turns_the_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    save(tmp_path, "train/a/1.jpg", picture(64, 64), exif=exif, quality=95)
    turned = read(tmp_path).float()
    assert turned[0, 0, 0] > 200 and turned[-1, -1, 0] < 55


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    save(tmp_path, "train/a/1.png", picture(40, 40).convert(mode))
    assert read(tmp_path).shape == (32, 32, 3)


def test_given_names_number_the_classes(tmp_path: Path) -> None:
    save(tmp_path, "val/dog/1.jpg", picture(8, 8))
    images = FolderImages(tmp_path, "val", ("cat", "dog"))
    assert images.names == ("cat", "dog") and images.labels.tolist() == [1]
    with pytest.raises(ValueError, match=r"not in training: \['dog'\]"):
        FolderImages(tmp_path, "val", ("cat",))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no folder 'train'"):
        FolderImages(tmp_path, "train")
    (tmp_path / "train" / "a").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds no images"):
        FolderImages(tmp_path, "train")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    save(tmp_path, "train/a/1.jpg", picture(8, 8))
    (tmp_path / "train/a/1.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1\.jpg is no image"):
        read(tmp_path)
