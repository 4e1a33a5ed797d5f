"""The fusion without a loop against the loop of the paper, and its bookkeeping."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.backbones import BackboneSpec
from models.segmentation.decoder import Answer
from models.segmentation.fusion import Panoptic, Thresholds, fuse
from models.segmentation.spec import SegmenterSpec

QUERIES, MAP = 14, (24, 40)
SPEC = SegmenterSpec(
    labels=("sky", "grass", "dog", "cat"),
    is_thing=(False, False, True, True),
    backbone=BackboneSpec("resnet10t"),
    input_size=(96, 160),
    queries=QUERIES,
)


def blobs(batch: int, seed: int, *, sure: float = 3.0) -> Answer:
    """Smooth random masks and classes: many overlap, some lose almost everything."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, QUERIES, 3, 4, generator=draw) * 6 - 1
    masks = F.interpolate(coarse, (12, 20), mode="bicubic")
    return Answer(torch.randn(batch, QUERIES, 5, generator=draw) * sure, masks)


def thresholds(batch: int, score: float, overlap: float, min_area: float) -> Thresholds:
    like = torch.zeros(())
    return Thresholds.same(batch, score, overlap, min_area, like=like)


def in_a_loop(
    answer: Answer, image: int, score: float, overlap: float, min_area: float
) -> tuple[Tensor, list[dict[str, Any]]]:
    """One image, segment by segment, as the paper tells it: ids and what each of them is."""
    probability = answer.class_logits[image].softmax(-1)[:, :-1]
    resized = F.interpolate(answer.mask_logits[image][None], MAP, mode="bilinear")[0].sigmoid()
    order = [q for q in range(QUERIES) if probability[q].max() >= score]
    segments: list[dict[str, Any]] = []
    for q in order:
        best, label = probability[q].max(0)
        rivals = torch.stack([probability[p].max() * resized[p] for p in order])
        owned = (rivals.argmax(0) == order.index(q)) & (resized[q] >= 0.5)
        whole = (resized[q] >= 0.5).sum()
        if owned.sum() == 0 or owned.sum() / whole < overlap:
            continue
        label = int(label)
        alike = [s for s in segments if s["label"] == label and not SPEC.is_thing[label]]
        if alike:
            alike[0]["mask"] |= owned
            alike[0]["score"] = max(alike[0]["score"], float(best))
        else:
            segments.append({"label": label, "score": float(best), "mask": owned})
    segments = [s for s in segments if s["mask"].sum() >= min_area * MAP[0] * MAP[1]]
    ids = torch.zeros(MAP, dtype=torch.uint8)
    for number, segment in enumerate(segments, 1):
        ids[segment["mask"]] = number
    return ids, segments


@pytest.mark.parametrize(
    ("score", "overlap", "min_area"),
    [(0.0, 0.0, 0.0), (0.5, 0.8, 0.0), (0.3, 0.4, 0.02), (0.9, 0.9, 0.1), (1.1, 0.0, 0.0)],
)
def test_gives_the_segments_of_the_papers_loop(
    score: float, overlap: float, min_area: float
) -> None:
    answer = blobs(12, 0)
    fused = fuse(answer, SPEC, thresholds(12, score, overlap, min_area), MAP)
    found = 0
    for image in range(12):
        ids, segments = in_a_loop(answer, image, score, overlap, min_area)
        count = len(segments)
        found += count
        assert int(fused.counts[image]) == count
        assert torch.equal(fused.ids[image], ids)
        assert fused.labels[image, :count].tolist() == [s["label"] for s in segments]
        expected = torch.tensor([s["score"] for s in segments])
        torch.testing.assert_close(fused.scores[image, :count], expected)
        assert fused.areas[image, :count].tolist() == [int(s["mask"].sum()) for s in segments]
    assert (found == 0) == (score > 1)


def test_rows_behind_the_count_are_empty() -> None:
    fused = fuse(blobs(6, 1), SPEC, thresholds(6, 0.6, 0.5, 0.01), MAP)
    padding = torch.arange(QUERIES) >= fused.counts[:, None]
    assert padding.any() and not padding.all()
    assert not fused.scores[padding].any() and not fused.areas[padding].any()
    assert not fused.boxes_xyxy[padding].any() and not fused.labels[padding].any()


def test_boxes_enclose_what_the_ids_show() -> None:
    fused = fuse(blobs(4, 2), SPEC, thresholds(4, 0.2, 0.2, 0.0), MAP)
    for image in range(4):
        for row in range(int(fused.counts[image])):
            y, x = (fused.ids[image] == row + 1).nonzero(as_tuple=True)
            box = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]) * 4.0
            assert torch.equal(fused.boxes_xyxy[image, row], box)


def test_the_semantic_map_is_the_sum_over_all_queries() -> None:
    answer = blobs(3, 3)
    fused = fuse(answer, SPEC, thresholds(3, 1.1, 1.0, 1.0), MAP)  # no segment is left
    assert not fused.ids.any()
    masks = F.interpolate(answer.mask_logits, MAP, mode="bilinear").sigmoid()
    weights = answer.class_logits.softmax(-1)
    total = sum(weights[:, q, :4, None, None] * masks[:, q, None] for q in range(QUERIES))
    assert isinstance(total, Tensor)
    assert torch.equal(fused.semantic.long(), total.argmax(1))


def test_every_sample_has_thresholds_of_its_own() -> None:
    answer = blobs(2, 4)
    both = Thresholds(*(torch.tensor(pair) for pair in ((0.2, 0.7), (0.1, 0.8), (0.0, 0.03))))
    together = fuse(answer, SPEC, both, MAP)
    for image in range(2):
        alone = fuse(
            Answer(*(part[image : image + 1] for part in answer)),
            SPEC,
            Thresholds(*(part[image : image + 1] for part in both)),
            MAP,
        )
        for one, of_two in zip(alone, together, strict=True):
            assert torch.equal(one[0], of_two[image])


def test_stuff_is_one_row_however_many_queries_show_it() -> None:
    masks = torch.full((1, QUERIES, 24, 40), -9.0)
    masks[0, 3, :, :10] = 9.0  # grass on both sides,
    masks[0, 5, :, 30:] = 9.0
    masks[0, 1, :12, 10:30] = 9.0  # and two cats between them
    masks[0, 2, 12:, 10:30] = 9.0
    classes = torch.zeros(1, QUERIES, 5)
    classes[0, :, 4] = 9.0
    for query, label, logit in ((3, 1, 8.0), (5, 1, 7.0), (1, 3, 6.0), (2, 3, 5.0)):
        classes[0, query, 4] = 0.0
        classes[0, query, label] = logit
    fused: Panoptic = fuse(Answer(classes, masks), SPEC, thresholds(1, 0.5, 0.5, 0.0), MAP)
    assert int(fused.counts) == 3
    assert fused.labels[0, :3].tolist() == [3, 3, 1]
    assert fused.areas[0, :3].tolist() == [12 * 20, 12 * 20, 24 * 20]
    assert (fused.ids[0, :, :10] == 3).all() and (fused.ids[0, :, 30:] == 3).all()
    assert fused.scores[0, 2] == torch.tensor([0.0, 8.0, 0.0, 0.0, 0.0]).softmax(0)[1]
    assert fused.boxes_xyxy[0, 2].tolist() == [0, 0, 160, 96]
