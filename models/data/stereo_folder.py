"""Stereo pairs in folders, the form that KITTI and most rectified recordings come in."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.data.folder import SUFFIXES
from models.data.stereo import Cameras, resize_pixels

#: Which names a folder of views may have: ours, KITTI's benchmarks', KITTI's raw drives'.
VIEWS = (("left", "right"), ("image_2", "image_3"), ("image_02/data", "image_03/data"))

#: Under which names KITTI's calibration files keep the colour cameras' projection matrices.
PROJECTIONS = (("P2", "P3"), ("P_rect_02", "P_rect_03"))

#: KITTI stores depth as 16-bit PNG of this many steps a metre, 0 where unknown.
DEPTH_STEPS_PER_M = 256.0


class StereoFolder:
    """`root/<split>/left/*.png` and `right/` with files of the same names.

    Beside them, or in the root, `calib.txt` may hold KITTI's projection matrices (`P2`, `P3`, or
    `P_rect_02`, `P_rect_03`), or `calib/<name>.txt` those of each pair. `depth/<name>.png` is the
    left view's depth in KITTI's 16-bit form. Images are decoded whenever they are read.
    """

    def __init__(self, root: Path, split: str) -> None:
        folder = root / split
        if not folder.is_dir():
            raise ValueError(f"{root} has no folder {split!r}; it should hold `left` and `right`")
        names = next(((a, b) for a, b in VIEWS if (folder / a).is_dir()), None)
        if names is None:
            raise ValueError(f"{folder} holds none of {', '.join(a for a, _ in VIEWS)}")
        first, second = folder / names[0], folder / names[1]
        self.files = sorted(p for p in first.iterdir() if p.suffix.lower() in SUFFIXES)
        if not self.files:
            raise ValueError(f"{first} holds no images ({', '.join(sorted(SUFFIXES))})")
        if missing := [p.name for p in self.files if not (second / p.name).is_file()]:
            raise ValueError(f"{second} lacks the other views of {', '.join(missing[:4])}")
        self._second = second
        self._depth = folder / "depth"
        self.has_depth = all((self._depth / f"{p.stem}.png").is_file() for p in self.files)
        self.description = f"stereo folder {root.name}/{split}, {len(self.files)} pairs"
        self._cameras = self._read_cameras(root, folder)

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """See `StereoPairs.read`."""
        left = torch.empty(len(indices), *size, 3, dtype=torch.uint8)  # [B, H, W, 3]
        right = torch.empty_like(left)
        for row, index in enumerate(indices.tolist()):
            file = self.files[index]
            left[row] = resize_pixels(_decode(file)[None], size)[0]
            right[row] = resize_pixels(_decode(self._second / file.name)[None], size)[0]
        return left, right

    def cameras(self, indices: Tensor) -> Cameras:
        return Cameras(self._cameras[indices, 0], self._cameras[indices, 1])

    def depth(self, index: int) -> Tensor:
        """See `StereoPairs.depth`."""
        with Image.open(self._depth / f"{self.files[index].stem}.png") as file:
            steps = torch.from_numpy(np.array(file, dtype=np.float32))
        return steps / DEPTH_STEPS_PER_M

    def _read_cameras(self, root: Path, folder: Path) -> Tensor:
        """Focal length in widths and baseline, float [N, 2]."""
        cameras = torch.full((len(self.files), 2), torch.nan)
        shared = next((p for p in (folder, root) if (p / "calib.txt").is_file()), None)
        known = read_calibration(shared / "calib.txt") if shared is not None else None
        for row, file in enumerate(self.files):
            own = folder / "calib" / f"{file.stem}.txt"
            found = read_calibration(own) if own.is_file() else known
            if found is not None:
                focal_px, baseline_m = found
                with Image.open(file) as image:
                    cameras[row] = torch.tensor([focal_px / image.width, baseline_m])
        return cameras


def read_calibration(path: Path) -> tuple[float, float]:
    """Focal length in px and baseline in metres from a calibration file of KITTI's."""
    rows = dict(
        line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines() if ":" in line
    )
    for left, right in PROJECTIONS:
        if left in rows and right in rows:
            first, second = _matrix(path, rows[left]), _matrix(path, rows[right])
            focal_px = float(first[0, 0])
            # P = K [I | t]: the last column holds f t_x, and t_x falls by the baseline.
            baseline_m = float(first[0, 3] - second[0, 3]) / focal_px if focal_px > 0 else 0.0
            if baseline_m <= 0:
                raise ValueError(f"{path}: {left} and {right} are no left and right camera")
            return focal_px, baseline_m
    raise ValueError(f"{path} holds neither P2 and P3 nor P_rect_02 and P_rect_03")


def _matrix(path: Path, text: str) -> Tensor:
    try:
        values = [float(word) for word in text.split()]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if len(values) != 12:
        raise ValueError(f"{path}: a projection matrix has 12 numbers, not {len(values)}")
    return torch.tensor(values, dtype=torch.float64).view(3, 4)


def _decode(path: Path) -> Tensor:
    try:
        with Image.open(path) as file:
            return torch.from_numpy(np.array(file.convert("RGB")))
    except OSError as error:
        raise ValueError(f"{path} is no image that can be read: {error}") from error
