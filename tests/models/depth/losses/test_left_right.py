"""The loss on a slanted, textured plane of which every disparity is known in closed form."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.depth.losses import MonodepthLoss, MonodepthLossSpec, left_right
from models.geometry import shift_columns

HEIGHT, WIDTH = 32, 64
# The right view at u has disparity A + B u pixels, so that the left view shows it at u + A + B u.
A, B = 4.0, 0.08


def texture(x_px: Tensor, y_px: Tensor) -> Tensor:
    """float [3, ...] in [0, 1], smooth, with a period longer than the plane's disparities."""
    waves = [
        0.5 + 0.25 * torch.sin(0.31 * x_px + k + 0.2 * y_px) + 0.2 * torch.cos(0.13 * x_px - k)
        for k in range(3)
    ]
    return torch.stack(waves)


def plane() -> tuple[Tensor, Tensor, Tensor]:
    """Left and right views uint8 [1, H, W, 3], disparities [1, 2, H, W] in widths."""
    y_px, x_px = torch.meshgrid(
        torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij"
    )
    right, left = texture(x_px, y_px), texture((x_px - A) / (1 + B), y_px)
    d_left, d_right = (A + B * x_px) / (1 + B), A + B * x_px
    views = [(v * 255).round().to(torch.uint8).permute(1, 2, 0)[None] for v in (left, right)]
    return views[0], views[1], torch.stack([d_left, d_right])[None] / WIDTH


def losses(disparities: Tensor) -> dict[str, float]:
    left, right, _ = plane()
    found = MonodepthLoss(MonodepthLossSpec())([disparities], left, right)
    return {name: float(value) for name, value in found.items()}


def test_the_true_disparities_explain_both_views() -> None:
    found = losses(plane()[2])
    assert found["appearance"] < 0.005
    assert found["left_right"] < 0.002  # beyond the border its disparity is repeated


def test_disparities_that_run_away_are_held_by_the_other_view() -> None:
    """Where all of a strip points beyond the border, no appearance tells that it is wrong."""
    left, right, true = plane()
    runaway = true.clone()
    runaway[:, 0, :, :4] = 0.25
    runaway.requires_grad_()
    MonodepthLoss(MonodepthLossSpec(smoothness=0.0))([runaway], left, right)["loss"].backward()
    assert runaway.grad is not None and (runaway.grad[:, 0, :, :4] > 0).all()


@pytest.mark.parametrize("flipped", [(0,), (1,), (0, 1)], ids=["left", "right", "both"])
def test_a_wrong_sign_is_far_worse(
    flipped: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The views are warped in turn, left first: turn a sign around and see the loss rise."""
    true = losses(plane()[2])
    calls = iter(range(2))

    def mutated(source: Tensor, shift: Tensor) -> Tensor:
        return shift_columns(source, -shift if next(calls) in flipped else shift)

    monkeypatch.setattr(left_right, "shift_columns", mutated)
    wrong = losses(plane()[2])
    assert wrong["appearance"] > 10 * true["appearance"]
    assert wrong["left_right"] > 10 * true["left_right"]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: -d,
        lambda d: d * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1),
        lambda d: d * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1),
        lambda d: d * 0,
        lambda d: d * 1.5,
        lambda d: d.flip(3),
    ],
    ids=["both negative", "right negative", "left negative", "none", "too large", "mirrored"],
)
def test_other_disparities_explain_less(change: Callable[[Tensor], Tensor]) -> None:
    true = losses(plane()[2])
    assert losses(change(plane()[2]))["appearance"] > 8 * true["appearance"]


def test_the_gradient_leads_to_the_truth() -> None:
    left, right, true = plane()
    offset = torch.full((1, 2, 1, 1), 1.5 / WIDTH, requires_grad=True)
    MonodepthLoss(MonodepthLossSpec())([true + offset], left, right)["loss"].backward()
    assert offset.grad is not None and (offset.grad > 0).all()


def test_scales_add_up_and_smoothness_weighs_less_at_coarse_ones() -> None:
    left, right, true = plane()
    rough = true + torch.rand(true.shape, generator=torch.Generator().manual_seed(0)) * 0.02
    coarse = torch.nn.functional.avg_pool2d(rough, 2)
    criterion = MonodepthLoss(MonodepthLossSpec())
    fine_alone = criterion([rough], left, right)
    both = criterion([rough, coarse], left, right)
    small = [
        torch.nn.functional.avg_pool2d(v.permute(0, 3, 1, 2).float(), 2) for v in (left, right)
    ]
    left_2, right_2 = (v.round().to(torch.uint8).permute(0, 2, 3, 1) for v in small)
    coarse_alone = criterion([coarse], left_2, right_2)
    expected = fine_alone["smoothness"] + coarse_alone["smoothness"] / 2
    torch.testing.assert_close(both["smoothness"], expected, rtol=1e-2, atol=0)
    torch.testing.assert_close(
        both["appearance"], fine_alone["appearance"] + coarse_alone["appearance"], rtol=2e-2, atol=0
    )
    parts = both["appearance"] + both["smoothness"] + both["left_right"]
    torch.testing.assert_close(both["loss"], parts)


def test_what_only_one_view_shows_counts_if_asked() -> None:
    left, right, true = plane()
    hidden = left.clone()
    hidden[:, :, :3] = (
        255 - hidden[:, :, :3]
    )  # the plane's left 4 columns are not in the right view
    ignoring, counting = (MonodepthLoss(MonodepthLossSpec(count_outside=c)) for c in (False, True))
    plain, changed = (ignoring([true], view, right)["appearance"] for view in (left, hidden))
    assert abs(float(changed - plain)) < 0.05 * float(counting([true], hidden, right)["appearance"])
