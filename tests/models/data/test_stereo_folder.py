from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.data.stereo_folder import StereoFolder, read_calibration

# From the KITTI stereo 2015 benchmark's first frame: f = 721.5 px, b = 0.533 m.
KITTI = """\
P0: 7.215377e+02 0.0 6.095593e+02 0.0 0.0 7.215377e+02 1.728540e+02 0.0 0.0 0.0 1.0 0.0
P2: 7.215377e+02 0.0 6.095593e+02 4.485728e+01 0.0 7.215377e+02 1.72854e+02 0.21 0.0 0.0 1.0 0.0027
P3: 7.215377e+02 0.0 6.095593e+02 -3.395242e+02 0.0 7.215377e+02 1.72854e+02 2.2 0.0 0.0 1.0 0.0027
"""


def write_pairs(folder: Path, names: tuple[str, str] = ("left", "right"), count: int = 3) -> None:
    for shade, name in ((40, names[0]), (90, names[1])):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.full((8, 16, 3), shade + i, np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:06}.png")


@pytest.mark.parametrize(
    "names",
    [("left", "right"), ("image_2", "image_3"), ("image_02/data", "image_03/data")],
)
def test_pairs_are_found_under_each_of_the_known_names(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    write_pairs(tmp_path / "train", names)
    pairs = StereoFolder(tmp_path, "train")
    left, right = pairs.read(torch.tensor([2, 0]), (4, 8))
    assert len(pairs) == 3 and left.shape == right.shape == (2, 4, 8, 3)
    assert left[:, 0, 0, 0].tolist() == [42, 40] and right[:, 0, 0, 0].tolist() == [92, 90]
    assert pairs.cameras(torch.arange(3)).baseline_m.isnan().all() and not pairs.has_depth


def test_kittis_calibration_is_understood(tmp_path: Path) -> None:
    (tmp_path / "calib.txt").write_text(KITTI)
    focal_px, baseline_m = read_calibration(tmp_path / "calib.txt")
    assert focal_px == pytest.approx(721.5377) and baseline_m == pytest.approx(0.53273, abs=1e-5)
    raw = KITTI.replace("P2:", "P_rect_02:").replace("P3:", "P_rect_03:")
    (tmp_path / "raw.txt").write_text("calib_time: 09-Jan-2012 13:57:47\n" + raw)
    assert read_calibration(tmp_path / "raw.txt") == (focal_px, baseline_m)


def test_a_pair_may_have_its_own_calibration(tmp_path: Path) -> None:
    write_pairs(tmp_path / "train")
    (tmp_path / "calib.txt").write_text(KITTI)
    (tmp_path / "train" / "calib").mkdir()
    (tmp_path / "train" / "calib" / "000001.txt").write_text(KITTI.replace("7.215377", "3.6"))
    cameras = StereoFolder(tmp_path, "train").cameras(torch.arange(3))
    expected = torch.tensor([721.5377, 360.0, 721.5377]) / 16
    torch.testing.assert_close(cameras.focal_widths, expected)


def test_depth_is_read_in_kittis_form(tmp_path: Path) -> None:
    write_pairs(tmp_path / "val", count=1)
    (tmp_path / "val" / "depth").mkdir()
    steps = np.zeros((8, 16), np.uint16)
    steps[2, 3] = 1300
    Image.fromarray(steps).save(tmp_path / "val" / "depth" / "000000.png")
    pairs = StereoFolder(tmp_path, "val")
    assert pairs.has_depth
    depth = pairs.depth(0)
    assert depth[2, 3] == 1300 / 256 and depth.count_nonzero() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "holds neither P2 and P3"),
        ("P2: 1 2\nP3: 1 2\n", "has 12 numbers, not 2"),
        ("P2: a\nP3: b\n", "could not convert"),
        (KITTI.replace("P2", "x").replace("P3", "P2").replace("x", "P3"), "no left and right"),
    ],
)
def test_calibrations_that_make_no_sense_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "calib.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_calibration(tmp_path / "calib.txt")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no folder 'train'"):
        StereoFolder(tmp_path, "train")
    (tmp_path / "train").mkdir()
    with pytest.raises(ValueError, match="holds none of left, image_2"):
        StereoFolder(tmp_path, "train")
    write_pairs(tmp_path / "val")
    (tmp_path / "val" / "right" / "000001.png").unlink()
    with pytest.raises(ValueError, match=r"lacks the other views of 000001\.png"):
        StereoFolder(tmp_path, "val")
