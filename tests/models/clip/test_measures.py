import pytest
import torch
import torch.nn.functional as F

from models.clip.measures import name_embeddings, recalls, zero_shot_hits


def rows(count: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_recalls_are_those_of_torchmetrics() -> None:
    from torchmetrics.retrieval import RetrievalRecall

    queries = rows(40, 0)
    items = F.normalize(queries + 2 * rows(40, 1), dim=1)
    ours = recalls(queries, items)
    scores = queries @ items.T
    own = torch.eye(40, dtype=torch.bool)
    index = torch.arange(40)[:, None].expand(40, 40)
    for rank in (1, 5, 10):
        theirs = RetrievalRecall(top_k=rank)(
            scores.flatten(), own.flatten(), indexes=index.flatten()
        )
        assert ours[rank] == pytest.approx(float(theirs))
    assert 0 < ours[1] < ours[10] < 1


def test_a_space_where_all_is_one_has_no_recall() -> None:
    same = torch.ones(30, 4) / 2
    assert recalls(same, same) == {1: 0.0, 5: 0.0, 10: 0.0}


def test_zero_shot_hits_are_those_of_torchmetrics() -> None:
    from torchmetrics.classification import MulticlassAccuracy

    images, names = rows(60, 0), rows(9, 1)
    labels = torch.randint(9, (60,), generator=torch.Generator().manual_seed(2))
    top1, top5 = zero_shot_hits(images, names, labels)
    for value, k in ((top1, 1), (top5, 5)):
        metric = MulticlassAccuracy(9, top_k=k, average="micro")
        assert value == pytest.approx(float(metric(images @ names.T, labels)))


def test_templates_are_averaged_into_one_direction() -> None:
    by_template = torch.stack([rows(3, 0), rows(3, 1)])
    mean = name_embeddings(by_template)
    torch.testing.assert_close(mean.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(F.cosine_similarity(mean, by_template.sum(0), dim=1), torch.ones(3))
