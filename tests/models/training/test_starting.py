from pathlib import Path

import pytest
import torch
from torch import nn

from models.training.checkpoint import CheckpointError, write_checkpoint
from models.training.starting import start_from


def network(labels: int = 3, *, parts: int = 1) -> nn.Module:
    body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 8))
    heads = {f"head{i}": nn.Linear(8, labels) for i in range(parts)}
    return nn.ModuleDict({"body": body, **heads})


def kept(folder: Path, module: nn.Module) -> str:
    write_checkpoint(folder, module.state_dict(), {})
    return str(folder)


def test_what_fits_is_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    source, target = network(3), network(5)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    stayed = start_from(target, kept(tmp_path, source))
    assert stayed == ["head0.weight", "head0.bias"]
    for name, tensor in target.state_dict().items():
        expected = before[name] if name in stayed else source.state_dict()[name]
        assert torch.equal(tensor, expected)


def test_the_whole_network_is_there_or_nothing_is_taken(tmp_path: Path) -> None:
    source = network()
    assert start_from(network(), kept(tmp_path / "same", source), whole=True) == []
    for other in (network(5), network(parts=2)):
        with pytest.raises(CheckpointError, match=r"another make: \d+ of \d+ tensors fit"):
            start_from(other, kept(tmp_path / "other", source), whole=True)
        with pytest.raises(CheckpointError, match="another make"):
            start_from(source, kept(tmp_path / "more", other), whole=True)


def test_a_few_tensors_of_another_make_are_no_start(tmp_path: Path) -> None:
    folder = kept(tmp_path, nn.ModuleDict({"head0": nn.Linear(8, 3)}))
    with pytest.raises(CheckpointError, match="2 of 11 tensors fit"):
        start_from(network(), folder)
