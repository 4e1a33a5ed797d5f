from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from models.classification import Classifier, ClassifierSpec, save_classifier
from models.classification.pretrained import load_pretrained
from models.training.checkpoint import CheckpointError

KWARGS = {"channels": [8, 16, 24, 32], "stem_width": 8}


def classifier(labels: str = "abc") -> Classifier:
    return Classifier(ClassifierSpec("resnet10t", tuple(labels), (32, 32), KWARGS))


def test_a_checkpoint_with_other_labels_gives_all_but_the_head(tmp_path: Path) -> None:
    source, target = classifier("abcde"), classifier("xy")
    save_classifier(tmp_path / "ck", source.spec, source.state_dict(), {})
    head = target.backbone.fc.weight.clone()
    left = load_pretrained(target, str(tmp_path / "ck"))
    assert left == ["backbone.fc.weight", "backbone.fc.bias"]
    own, given = target.state_dict(), source.state_dict()
    assert all(torch.equal(own[name], given[name]) for name in own if name not in left)
    assert torch.equal(own["backbone.fc.weight"], head)


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_a_file_of_timm_s_names_is_taken(tmp_path: Path, kind: str) -> None:
    published = timm.create_model("resnet10t", num_classes=1000, **KWARGS)
    path = tmp_path / f"weights.{kind}"
    if kind == "safetensors":
        save_file(published.state_dict(), path)
    else:
        torch.save({"state_dict": published.state_dict()}, path)
    target = classifier()
    assert set(load_pretrained(target, str(path))) == {"backbone.fc.weight", "backbone.fc.bias"}
    assert torch.equal(target.state_dict()["backbone.conv1.0.weight"], published.conv1[0].weight)


def test_an_object_in_a_pickle_is_not_built(tmp_path: Path) -> None:
    torch.save(classifier(), tmp_path / "weights.pth")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load_pretrained(classifier(), str(tmp_path / "weights.pth"))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(
        timm.create_model("resnet10t", **{"channels": [8, 8, 8, 8]}).state_dict(),
        tmp_path / "w.safetensors",
    )
    with pytest.raises(CheckpointError, match="does not fit resnet10t"):
        load_pretrained(classifier(), str(tmp_path / "w.safetensors"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no pretrained weights"):
        load_pretrained(classifier(), str(tmp_path / "w.safetensors"))


def published(tmp_path: Path) -> tuple[dict[str, object], dict[str, torch.Tensor]]:
    """Keywords that let timm find "its" weights in a local file, and these weights."""
    network = timm.create_model("resnet10t", num_classes=1000, **KWARGS)
    save_file(network.state_dict(), tmp_path / "published.safetensors")
    overlay = {"file": str(tmp_path / "published.safetensors")}
    return {**KWARGS, "pretrained_cfg_overlay": overlay}, network.state_dict()


def test_what_timm_publishes_is_taken(tmp_path: Path) -> None:
    kwargs, weights = published(tmp_path)
    target = Classifier(ClassifierSpec("resnet10t", ("a", "b"), (32, 32), kwargs))
    assert set(load_pretrained(target, "timm")) == {"backbone.fc.weight", "backbone.fc.bias"}
    assert torch.equal(target.state_dict()["backbone.conv1.0.weight"], weights["conv1.0.weight"])


def test_another_normalisation_than_the_weights_were_taught_with_is_refused(tmp_path: Path) -> None:
    kwargs, _ = published(tmp_path)
    spec = ClassifierSpec("resnet10t", ("a", "b"), (32, 32), kwargs, mean=(0.5, 0.5, 0.5))
    with pytest.raises(CheckpointError, match=r"taught with mean \(0\.485"):
        load_pretrained(Classifier(spec), "timm")


def test_a_backbone_without_published_weights_is_named() -> None:
    spec = ClassifierSpec("alexnet", ("a", "b"), (64, 64))
    with pytest.raises(CheckpointError, match="no weights of alexnet"):
        load_pretrained(Classifier(spec), "timm")
