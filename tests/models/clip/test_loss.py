import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.clip.loss import contrastive_loss


def unit(rows: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, 8, generator=generator, dtype=torch.float64), dim=1)


def test_where_all_meanings_differ_it_is_open_clips_loss() -> None:
    from open_clip import ClipLoss

    images, texts, scale = unit(6, 0), unit(6, 1), torch.tensor(14.3, dtype=torch.float64)
    ours = contrastive_loss(images, texts, torch.arange(6), scale)
    torch.testing.assert_close(ours, ClipLoss()(images, texts, scale))


def test_pairs_of_one_meaning_are_no_negatives_of_one_another() -> None:
    images, texts, scale = unit(5, 0), unit(5, 1), torch.tensor(5.0, dtype=torch.float64)
    meanings = [3, 4, 3, 5, 3]
    expected = 0.0
    for queries, items in ((images, texts), (texts, images)):
        for i, query in enumerate(queries.tolist()):
            logits = [5.0 * math.fsum(a * b for a, b in zip(query, x, strict=True)) for x in items]
            total = math.log(math.fsum(math.exp(v) for v in logits))
            own = [v - total for v, m in zip(logits, meanings, strict=True) if m == meanings[i]]
            expected -= math.fsum(own) / len(own)
    ours = contrastive_loss(images, texts, torch.tensor(meanings), scale)
    assert float(ours) == pytest.approx(expected / 10, rel=1e-12)


def test_false_texts_weigh_against_every_image_but_those_they_are_true_of() -> None:
    images, texts, false = unit(3, 0), unit(3, 1), unit(2, 2)
    scale, meanings = torch.tensor(7.0, dtype=torch.float64), torch.arange(3)
    ours = contrastive_loss(
        images,
        texts,
        meanings,
        scale,
        false_texts=false,
        false_meanings=torch.tensor([9, 1]),  # the second says what image 1 shows
    )
    by_image = torch.zeros((), dtype=torch.float64)
    for i in range(3):
        against = false if i != 1 else false[:1]
        logits = 7.0 * torch.cat([texts, against]) @ images[i]
        by_image += F.cross_entropy(logits[None], torch.tensor([i])) / 3
    by_text = F.cross_entropy(7.0 * texts @ images.T, torch.arange(3))
    torch.testing.assert_close(ours, (by_image + by_text) / 2)


def test_the_gradient_is_finite_where_a_false_text_is_left_out() -> None:
    images = unit(2, 0).requires_grad_()
    loss = contrastive_loss(
        images,
        unit(2, 1),
        torch.arange(2),
        torch.tensor(9.0, dtype=torch.float64),
        false_texts=unit(2, 2),
        false_meanings=torch.arange(2),
    )
    loss.backward()
    assert images.grad is not None and bool(images.grad.isfinite().all())
