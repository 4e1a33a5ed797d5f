import torch

from models.detection.fasterrcnn.sampling import sample_balanced


def flags(*rows: str) -> torch.Tensor:
    return torch.tensor([[letter == "x" for letter in row] for row in rows])


def test_positives_take_their_share_and_negatives_the_rest() -> None:
    positive, negative = flags("xxxxxx......"), flags("......xxxxxx")
    indices, is_sampled = sample_balanced(positive, negative, count=8, positive_share=0.25)
    assert is_sampled.all() and indices.unique().numel() == 8
    assert int(positive[0, indices[0]].sum()) == 2


def test_few_positives_leave_their_places_to_negatives() -> None:
    positive, negative = (
        flags("x...........", "............"),
        flags("......xxxxxx", "xxxxxxxxxxxx"),
    )
    indices, is_sampled = sample_balanced(positive, negative, count=6, positive_share=0.5)
    assert is_sampled.all()
    assert positive.gather(1, indices).sum(1).tolist() == [1, 0]


def test_what_is_neither_is_never_drawn() -> None:
    positive, negative = flags("x.....", ".x...."), flags(".x....", "......")
    indices, is_sampled = sample_balanced(positive, negative, count=4, positive_share=0.5)
    assert is_sampled.sum(1).tolist() == [2, 1]
    assert indices[0][is_sampled[0]].sort().values.tolist() == [0, 1]
    assert indices[1][is_sampled[1]].tolist() == [1]


def test_draws_differ() -> None:
    everything = torch.ones(1, 100, dtype=torch.bool)
    drawn = [
        sample_balanced(~everything, everything, count=5, positive_share=0.5)[0] for _ in range(3)
    ]
    assert not (torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[1], drawn[2]))
