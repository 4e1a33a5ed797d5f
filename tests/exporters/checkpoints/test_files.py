import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from exporters.checkpoints.files import read_weights
from exporters.errors import CheckpointError

WEIGHTS = {"a.weight": torch.arange(3.0), "a.bias": torch.ones(2)}


def assert_read(source: Path) -> None:
    found = read_weights(str(source))
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in WEIGHTS.items())


def test_reads_safetensors_files_and_folders_with_one(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    assert_read(tmp_path / "model.safetensors")
    assert_read(tmp_path)


@pytest.mark.parametrize("key", [None, "state_dict", "model"])
def test_reads_files_of_torch_and_what_training_scripts_wrap(
    key: str | None, tmp_path: Path
) -> None:
    torch.save({key: WEIGHTS, "epoch": 3} if key else WEIGHTS, tmp_path / "x.pth")
    assert_read(tmp_path / "x.pth")


class Malice:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("it ran",))


def test_nothing_in_a_file_is_ever_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a.weight": Malice()}, tmp_path / "x.pth")
    (tmp_path / "y.pth").write_bytes(pickle.dumps({"a.weight": Malice()}, protocol=2))
    for name in ("x.pth", "y.pth"):
        with pytest.raises(CheckpointError, match="cannot be read as tensors alone"):
            read_weights(str(tmp_path / name))
    assert "it ran" not in capsys.readouterr().out


def test_says_what_is_wrong_with_a_source(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1), "b": "text"}, tmp_path / "x.pt")
    torch.save([1, 2], tmp_path / "y.pt")
    (tmp_path / "z.safetensors").write_bytes(b"nothing of the kind")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("x.pt", "holds other things than tensors: \\['b'\\]"),
        ("y.pt", "holds a list, not named tensors"),
        ("z.safetensors", "is no safetensors file"),
        ("empty", "holds no weights"),
        ("missing.pth", "is no file, no folder and no published name"),
        ("", "several files of weights, name one: x.pt, y.pt"),
    ):
        if name == "":
            (tmp_path / "z.safetensors").unlink()
        with pytest.raises(CheckpointError, match=said):
            read_weights(str(tmp_path / name))


def test_an_unknown_published_name_is_not_asked_for() -> None:
    with pytest.raises(CheckpointError, match="torchvision publishes no"):
        read_weights("RetinaNet_ResNet50_FPN_Weights.COCO_V9")
