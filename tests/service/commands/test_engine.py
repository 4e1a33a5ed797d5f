"""`panoptes engine`: what it builds, finds, refuses and says, on a pretended GPU."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.commands.engine import app
from service.commands.models import app as models
from service.engine.plans.cache import FACTS_FILE, PLAN_FILE
from tests.bundles import write_iterative, write_tiny_classifier
from tests.service.engine.pretend.fixtures import Machine, pretended_gpu


@pytest.fixture
def machine() -> Iterator[Machine]:
    with pretended_gpu() as machine:
        yield machine


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PANOPTES_PLAN_DIR", str(tmp_path / "plans"))
    monkeypatch.setenv("COLUMNS", "400")
    repository = tmp_path / "repository"
    write_tiny_classifier(repository)
    write_tiny_classifier(repository, version=2, size_px=16)
    write_iterative(repository)
    return repository


def engine(*arguments: str, repository: Path, status: int = 0) -> list[str]:
    """The lines that it printed."""
    result = CliRunner().invoke(app, [*arguments, "--repository", str(repository)])
    assert result.exit_code == status, result.output
    return result.stdout.splitlines()


def sidecars(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "plans").glob(f"*/*/{FACTS_FILE}"))


def test_what_was_built_is_cached_the_second_time(machine: Machine, repository: Path) -> None:
    first = engine("build", repository=repository)
    second = engine("build", repository=repository)

    assert [line.rpartition(" built in ")[0] for line in first] == [
        "iterative:1/step:",
        "tiny:1/classify:",
        "tiny:2/classify:",
    ]
    assert second == [
        "iterative:1/step: cached",
        "tiny:1/classify: cached",
        "tiny:2/classify: cached",
    ]
    assert len(machine.builds) == 3


def test_each_build_knows_what_the_one_before_timed(machine: Machine, repository: Path) -> None:
    engine("build", repository=repository)

    assert machine.builds == [b"", b"timed 1", b"timed 2"]


def test_models_can_be_named(machine: Machine, repository: Path) -> None:
    (line,) = engine("build", "tiny:2", repository=repository)
    assert line.startswith("tiny:2/classify: built in ")

    result = CliRunner().invoke(app, ["build", "nobody", "--repository", str(repository)])
    assert result.exit_code == 1
    assert "there is no nobody" in result.output


def test_again_builds_anew(machine: Machine, repository: Path) -> None:
    engine("build", "iterative", repository=repository)
    (line,) = engine("build", "iterative", "--again", repository=repository)

    assert "built in" in line
    assert len(machine.builds) == 2


def test_another_precision_is_another_plan(
    machine: Machine, repository: Path, tmp_path: Path
) -> None:
    engine("build", "iterative", repository=repository)
    engine("build", "iterative", "--precision", "fp32", "--best-batch", "2", repository=repository)

    keys = [json.loads(path.read_text())["key"] for path in sidecars(tmp_path)]
    assert sorted((key["precision"], key["profile"]["best"]) for key in keys) == [
        ("fp32", 2),
        ("tf32", 8),
    ]
    wrong = CliRunner().invoke(app, ["build", "--precision", "fp8"])
    assert wrong.exit_code == 2
    assert "--precision" in wrong.output


def test_a_graph_that_cannot_be_built_says_why_and_stops_no_other(
    machine: Machine, repository: Path
) -> None:
    engine("build", "iterative", repository=repository)
    machine.faults.add("build")

    lines = engine("build", repository=repository)

    assert lines[0] == "iterative:1/step: cached"
    assert lines[1] == "tiny:1/classify: cannot: the build failed: no kernel for node_17"


def test_not_one_plan_is_a_failure(machine: Machine, repository: Path) -> None:
    machine.faults.add("build")

    engine("build", repository=repository, status=1)


def test_a_plan_that_drifts_is_refused_once_and_for_all(machine: Machine, repository: Path) -> None:
    machine.faults.add("drift")
    (line,) = engine("build", "tiny:1", repository=repository, status=1)
    assert "cannot: 'classify' drifts from its golden outputs by 1" in line
    machine.faults.clear()

    (line,) = engine("build", "tiny:1", repository=repository, status=1)
    assert line.endswith("of probabilities (--again builds it anew)")
    assert len(machine.builds) == 1
    (line,) = engine("build", "tiny:1", "--again", repository=repository)
    assert "built in" in line


@pytest.mark.parametrize("when", ["loaded", "run"])
def test_a_plan_that_found_no_memory_is_not_held_against_it(
    machine: Machine, repository: Path, when: str
) -> None:
    if when == "run":
        machine.faults.add("no memory")
    else:
        machine.cuda.memory_bytes = 100
    (line,) = engine("build", "tiny:1", repository=repository, status=1)
    assert line.endswith("built, but could not be tried: the GPU's memory is full")
    machine.faults.clear()
    machine.cuda.memory_bytes = 1 << 30

    (line,) = engine("build", "tiny:1", repository=repository)

    assert "built in" in line


def test_a_plan_cut_short_is_built_anew(machine: Machine, repository: Path, tmp_path: Path) -> None:
    engine("build", "tiny:1", repository=repository)
    (sidecar,) = sidecars(tmp_path)
    (sidecar.parent / PLAN_FILE).write_bytes(b"cut")

    (line,) = engine("build", "tiny:1", repository=repository)

    assert "built in" in line


def test_the_list_says_what_is_used_here_and_what_is_not(
    machine: Machine, repository: Path, tmp_path: Path
) -> None:
    engine("build", repository=repository)
    used, elsewhere, older = sidecars(tmp_path)
    for sidecar, part, value in ((elsewhere, "gpu", "NVIDIA L4"), (older, "version", "10.9.0")):
        facts = json.loads(sidecar.read_text())
        facts["key"]["target"][part] = value
        sidecar.write_text(json.dumps(facts))
    broken = used.parent.parent / "broken"
    broken.mkdir()

    lines = engine("list", repository=repository)

    assert len(lines) == 5
    by_state = {
        state: line for line in lines for state in ("foreign", "stale", "broken") if state in line
    }
    assert "foreign: for NVIDIA L4 (sm 90), here is Pretended GPU (sm 90)" in by_state["foreign"]
    assert "10.9.0, here is " in by_state["stale"]
    assert "broken: it has no plan.json" in by_state["broken"]
    assert sum(line.rstrip().endswith("used") for line in lines) == 1


def test_the_list_knows_plans_of_bundles_that_are_gone(
    machine: Machine, repository: Path, tmp_path: Path
) -> None:
    engine("build", "iterative", repository=repository)
    empty = tmp_path / "empty"
    empty.mkdir()

    _, line = engine("list", repository=empty)

    assert line.rstrip().endswith("stale: no bundle here has this graph")


def test_a_bundle_can_be_checked_by_its_plan(machine: Machine, repository: Path) -> None:
    folder = str(repository / "tiny" / "1")
    without = CliRunner().invoke(models, ["check", folder, "--device", "tensorrt"])
    engine("build", "tiny:1", repository=repository)
    by_plan = CliRunner().invoke(models, ["check", folder, "--device", "tensorrt"])

    assert without.exit_code == by_plan.exit_code == 0
    assert "classify ran on ONNX Runtime: no plan was built" in without.output
    assert "ONNX Runtime" not in by_plan.output


def test_without_a_gpu_it_says_what_is_missing(repository: Path) -> None:
    result = CliRunner().invoke(app, ["build", "--repository", str(repository)])

    assert result.exit_code == 1
    assert "panoptes: " in result.output
    assert engine("list", repository=repository)  # which needs none
