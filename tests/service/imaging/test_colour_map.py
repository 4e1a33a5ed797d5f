"""The colour map, judged in OKLab (Ottosson 2020), where equal distances look alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.imaging import COLOUR_MAP, colour_shares


def oklab(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def test_equal_steps_look_equally_far_apart() -> None:
    marks = oklab(COLOUR_MAP[::15])  # 17 of them: between neighbours rounding weighs too much
    apart = np.linalg.norm(np.diff(marks, axis=0), axis=1)
    assert len(apart) == 17
    assert apart.max() < 1.25 * apart.min()


def test_lightness_grows_all_along() -> None:
    """So that a grey print, and every eye, tells near from far."""
    lightness = oklab(COLOUR_MAP)[:, 0]
    assert (np.diff(lightness[::5]) > 0).all()
    assert lightness[-1] - lightness[0] > 0.7


def test_shares_beyond_the_ends_get_the_ends() -> None:
    coloured = colour_shares(np.array([[-1.0, 0.0, 1.0, 2.0]]))
    np.testing.assert_array_equal(coloured[0], COLOUR_MAP[[0, 0, 255, 255]])
