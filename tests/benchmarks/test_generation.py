"""The benchmark of painting, in little: fair to those it compares, and true to what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import generation
from benchmarks.generation_rival import Painter, Wish
from benchmarks.generation_table import markdown
from service.bundle import Bundle
from tests.bundles import write_tiny_classifier
from tests.painters import write_tiny_painter
from tests.service.protocols.test_generate import same
from tests.serving import running

WISHES = [Wish(prompt="a red ball", steps=steps, seed=steps) for steps in (3, 9, 5)]


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_painter(tmp_path_factory.mktemp("repository"))


def test_the_rival_paints_the_same_pictures(painter: Bundle) -> None:
    rival = Painter(painter)
    with running(painter.folder.parent.parent) as server:
        for wish, file in zip(WISHES, rival.paint(WISHES), strict=True):
            assert same(file, server.client.post("/generate", json=wish.model_dump()).content)


def test_a_batch_of_the_rival_waits_for_its_slowest_and_wastes_nothing(painter: Bundle) -> None:
    rival = Painter(painter)
    rival.paint(WISHES)
    assert rival.batches == [3] * 3 + [2] * 2 + [1] * 4


def test_prompts_come_as_a_poisson_process() -> None:
    due = generation.arrivals(50.0, 40.0, seed=1)
    assert len(due) == 2000
    gaps = np.diff([arrival.at_s for arrival in due])
    assert gaps.min() >= 0
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)
    steps = [arrival.wish.steps for arrival in due]
    assert (min(steps), max(steps)) == generation.STEPS
    assert due == generation.arrivals(50.0, 40.0, seed=1)


def test_a_run_measures_everyone_and_is_written_down(painter: Bundle, tmp_path: Path) -> None:
    seer = write_tiny_classifier(tmp_path / "repository")
    pace = generation.Pace((0.01,), 0.2, 1.0)
    results = generation.measure(painter, seer, tmp_path, pace, quick=True)

    assert [shift.server for shift in results.shifts] == [
        "Panoptes, step by step",
        "whole requests, up to 8",
        "one by one",
    ]
    assert len({shift.images for shift in results.shifts}) == 1
    for shift in results.shifts:
        assert shift.failed == 0 and shift.images_per_s > 0
        assert 0 < shift.p50_s <= shift.p95_s
        assert shift.mean_batch >= 1
    assert [each.painting for each in results.beside] == [0, generation.SATURATING]
    assert all(each.report.answered == each.report.requests for each in results.beside)
    assert results.write(tmp_path / "out").is_file()
    text = markdown(results)
    assert "| 0.01 × | one by one |" in text and "/classify beside /generate" in text
