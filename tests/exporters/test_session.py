from pathlib import Path

import numpy as np
import pytest

from exporters.errors import ExportError
from exporters.session import CpuSession
from tests.bundles import write_iterative


def test_many_samples_run_in_batches_in_their_order(tmp_path: Path):
    session = CpuSession(write_iterative(tmp_path).file("step.onnx"))
    states = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    gains = np.linspace(-1, 1, 11, dtype=np.float32)[:, None]
    answers = session.run_in_batches({"state": states, "gain": gains}, 4)
    np.testing.assert_allclose(answers["next_state"], states * gains + 1, atol=1e-6)


def test_what_is_no_graph_is_named(tmp_path: Path):
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(ExportError, match=r"junk\.onnx"):
        CpuSession(tmp_path / "junk.onnx")
