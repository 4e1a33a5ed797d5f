from pathlib import Path

import pytest
import torch

from models.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint

WEIGHTS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3)}


def test_weights_and_document_come_back(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "best", WEIGHTS, {"kind": "x", "labels": ["Größe"]})
    weights, document = read_checkpoint(tmp_path / "best")
    assert torch.equal(weights["a"], WEIGHTS["a"]) and weights["b"] == 3
    assert document == {"kind": "x", "labels": ["Größe"]}


def test_weights_in_another_memory_format_are_the_same(tmp_path: Path) -> None:
    kernel = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    write_checkpoint(tmp_path / "best", {"k": kernel}, {})
    assert torch.equal(read_checkpoint(tmp_path / "best")[0]["k"], kernel)


def test_a_second_write_replaces_the_first_and_leaves_no_trace(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "best", WEIGHTS, {"step": 1})
    write_checkpoint(tmp_path / "best", WEIGHTS, {"step": 2})
    assert read_checkpoint(tmp_path / "best")[1] == {"step": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "best", WEIGHTS, {"step": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_checkpoint(tmp_path / "best", WEIGHTS, {"step": float("nan")})
    assert read_checkpoint(tmp_path / "best")[1] == {"step": 1}


def test_a_kill_between_the_renames_is_mended(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "best", WEIGHTS, {"step": 1})
    (tmp_path / "best").rename(tmp_path / ".best.previous")
    assert read_checkpoint(tmp_path / "best")[1] == {"step": 1}


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        read_checkpoint(tmp_path)
