import torch
from transformers.models.detr.modeling_detr import DetrSinePositionEmbedding

from models.detection.detr.position import sine_positions


def test_positions_are_those_of_transformers() -> None:
    theirs = DetrSinePositionEmbedding(32, normalize=True)
    shape = torch.Size((1, 64, 5, 9))
    expected = theirs(shape, device="cpu", dtype=torch.float32)
    found = sine_positions(5, 9, 64)
    torch.testing.assert_close(found, expected[0].flatten(1).T)


def test_every_cell_has_a_place_of_its_own() -> None:
    places = sine_positions(6, 4, 32)
    assert places.shape == (24, 32)
    apart = torch.cdist(places, places) + torch.eye(24)
    assert apart.min() > 0.01
    row, column = places.unflatten(0, (6, 4)).tensor_split(2, dim=2)
    assert torch.equal(row[:, :1].expand_as(row), row)
    assert torch.equal(column[:1].expand_as(column), column)
