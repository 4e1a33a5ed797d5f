from __future__ import annotations

import numpy as np
import pytest

from service.generation.preview import Preview, preview_of


def test_a_cell_becomes_a_colour_by_matrix_and_bias() -> None:
    random = np.random.default_rng(0)
    latents = random.standard_normal((4, 5, 6)).astype(np.float32)
    matrix, bias = random.uniform(-60, 60, (4, 3)), random.uniform(100, 150, 3)
    text = ", ".join(str(number) for number in (*matrix.ravel(), *bias))
    preview = preview_of({"preview": text}, channels=4)
    assert preview is not None
    shown = preview(latents)

    assert shown.shape == (5, 6, 3) and shown.dtype == np.uint8
    for y, x in np.ndindex(5, 6):
        colour = [
            sum(latents[c, y, x] * matrix[c, k] for c in range(4)) + bias[k] for k in range(3)
        ]
        np.testing.assert_allclose(shown[y, x], np.clip(colour, 0, 255), atol=0.51)


def test_colours_end_at_black_and_white() -> None:
    preview = Preview(np.eye(3, dtype=np.float32) * 1e4, np.zeros(3, np.float32))
    latents = np.array([[[1.0]], [[-1.0]], [[0.0]]], np.float32)
    assert preview(latents).tolist() == [[[255, 0, 0]]]


def test_a_model_need_not_have_a_preview() -> None:
    assert preview_of({}, channels=4) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [("1,2,3", "has 3"), ("red,green", "numbers"), ("1," * 14 + "nan", "has 15"), ("", "numbers")],
)
def test_a_preview_that_does_not_fit_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        preview_of({"preview": text}, channels=4)
