from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from models.classification import load_classifier
from models.classification.augment import AugmentSpec
from models.classification.data import ClassificationBatches
from models.classification.recipe import NetworkSpec
from models.classification.task import ClassificationTask
from models.training.recipe import TrainingSpec
from models.training.task import Share
from models.training.trainer import Trainer
from models.training.transfer import TransferSpec
from tests.models.classification.stripes import NAMES, SIZE, striped_images, striped_recipe


def train(folder: Path, recipe: object) -> ClassificationTask:
    task = ClassificationTask(recipe, striped_images(128, 0), striped_images(64, 1))
    Trainer(task, task.recipe.training, folder, document={}).run()
    return task


def test_a_tiny_network_learns(tmp_path: Path) -> None:
    train(tmp_path, striped_recipe())
    classifier, spec, metadata = load_classifier(tmp_path / "best")
    assert metadata["metrics"]["top1"] > 0.9  # chance is a quarter
    assert spec.labels == NAMES and not classifier.training
    test = striped_images(64, 2)
    answers = classifier(test.read(torch.arange(64), SIZE)).argmax(1)
    assert (answers == test.labels).float().mean() > 0.9


def test_the_loss_is_smoothed_cross_entropy() -> None:
    recipe = striped_recipe(label_smoothing=0.2)
    task = ClassificationTask(recipe, striped_images(8, 0), striped_images(8, 1))
    batch = task.data.batch(0, Share())
    task.network.eval()
    log_p = F.log_softmax(task.network(batch["image"]), 1)
    target = F.one_hot(batch["label"], 4) * 0.8 + 0.2 / 4
    expected = -(target * log_p).sum(1).mean()
    torch.testing.assert_close(task.loss(task.network, batch)["loss"], expected)


def test_side_heads_weigh_as_asked_and_stay_out_of_the_checkpoint(tmp_path: Path) -> None:
    network = NetworkSpec("googlenet", input_size=(64, 64))
    training = TrainingSpec(batch_size=4, steps=1, ema_decay=0.0)
    recipe = striped_recipe(network=network, auxiliary_weight=0.3, training=training)
    task = train(tmp_path, recipe)
    torch.manual_seed(0)
    losses = task.loss(task.network.train(), task.data.batch(0, Share()))
    torch.manual_seed(0)
    main, *aside = task.network(task.data.batch(0, Share())["image"])
    labels = task.data.batch(0, Share())["label"]
    expected = sum(F.cross_entropy(logits, labels) for logits in aside)
    torch.testing.assert_close(losses["auxiliary"], torch.as_tensor(expected))
    total = F.cross_entropy(main, labels) + 0.3 * expected
    torch.testing.assert_close(losses["loss"], total)
    classifier, _, _ = load_classifier(tmp_path / "last")
    assert not any("aux" in name for name in classifier.state_dict())


def test_fine_tuning_starts_from_a_checkpoint_and_keeps_what_is_frozen(tmp_path: Path) -> None:
    train(tmp_path / "first", striped_recipe(training=TrainingSpec(batch_size=32, steps=4)))
    network = NetworkSpec(
        "resnet10t",
        kwargs={"channels": [8, 16, 24, 32], "stem_width": 8},
        input_size=SIZE,
        pretrained=str(tmp_path / "first" / "best"),
    )
    training = TrainingSpec(batch_size=32, steps=3, transfer=TransferSpec(frozen=(0, 1)))
    train(tmp_path / "second", striped_recipe(network=network, training=training))
    before = load_classifier(tmp_path / "first" / "best")[0].state_dict()
    classifier = load_classifier(tmp_path / "second" / "best")[0]
    after = classifier.state_dict()
    frozen = set(classifier.stages()[0]) | set(classifier.stages()[1])
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert torch.equal(before["backbone.bn1.running_mean"], after["backbone.bn1.running_mean"])
    assert not torch.equal(before["backbone.fc.weight"], after["backbone.fc.weight"])


def batches(augment: AugmentSpec | None = None) -> ClassificationBatches:
    return ClassificationBatches(
        striped_images(20, 0),
        size=SIZE,
        batch_size=8,
        augment=augment or striped_recipe().augment,
        seed=4,
    )


@pytest.mark.parametrize("count", [1, 2, 4])
def test_shares_of_a_step_make_up_its_batch(count: int) -> None:
    whole = batches().batch(7, Share())
    parts = [batches().batch(7, Share(index, count)) for index in range(count)]
    for name, tensor in whole.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), tensor)


def test_a_step_gives_the_same_batch_again_and_another_step_another() -> None:
    source = batches(AugmentSpec())
    first, other = source.batch(3, Share()), source.batch(4, Share())
    again = batches(AugmentSpec()).batch(3, Share())
    assert torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])
    assert first["image"].dtype == torch.uint8 and first["image"].shape == (8, 32, 32, 3)
