from pathlib import Path

import pytest

from models.training.plain import RecipeError
from models.training.recipe import TrainingSpec, read_recipe


def test_epochs_become_steps() -> None:
    assert TrainingSpec(batch_size=32, epochs=3).total_steps(samples=320) == 30
    assert TrainingSpec(batch_size=32, epochs=0.01).total_steps(samples=320) == 1
    assert TrainingSpec(steps=7).total_steps(samples=320) == 7


@pytest.mark.parametrize("length", [{}, {"steps": 5, "epochs": 1.0}])
def test_the_length_is_said_once(length: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="exactly one of"):
        TrainingSpec(**length)


@pytest.mark.parametrize("changes", [{"batch_size": 0}, {"steps": 0}, {"accumulate": 0}])
def test_empty_runs_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"at least 1|above 0"):
        TrainingSpec(**{"steps": 5, **changes})


def test_a_file_is_read_with_its_overrides(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: x\ntraining: {steps: 5}\n")
    assert read_recipe(path, ["training.steps=6"]) == {"name": "x", "training": {"steps": 6}}


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1,\n", ""])
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"recipe\.yaml"):
        read_recipe(path)
