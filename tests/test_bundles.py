from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from service.bundle import Bundle, Tensors, check_golden
from tests.bundles import (
    COLOURS,
    write_iterative,
    write_tiny_classifier,
    write_tiny_depth,
)
from tests.graphs import TOLERANCE
from tests.towers import write_tiny_clip


def run(bundle: Bundle, role: str, inputs: Tensors) -> Tensors:
    session = ort.InferenceSession(bundle.file(bundle.manifest.graphs[role].file))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.mark.parametrize(
    "write", [write_tiny_classifier, write_tiny_depth, write_tiny_clip, write_iterative]
)
def test_the_engine_agrees_with_the_arithmetic(write, tmp_path: Path):
    bundle = write(tmp_path, name="mine", version=3)
    assert bundle.manifest.ref == "mine:3"
    drift = check_golden(bundle, lambda role, inputs: run(bundle, role, inputs))
    assert max(drift.values()) <= TOLERANCE


def test_every_colour_is_recognised(tmp_path: Path):
    bundle = write_tiny_classifier(tmp_path, labels=tuple(COLOURS), size_px=8, max_batch=16)
    plain = np.array(list(COLOURS.values()), np.uint8)[:, None, None, :]
    images = np.broadcast_to(plain, (len(COLOURS), 8, 8, 3)).copy()
    answers = run(bundle, "classify", {"image": images})["probabilities"]
    assert [bundle.manifest.labels[i].name for i in answers.argmax(1)] == list(COLOURS)
