"""What a classifier's graph gets right, and how far it is from another graph.

N images, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from exporters.images import LabelledPixels
from exporters.session import CpuSession

Floats = npt.NDArray[np.float32]
EVALUATION_BATCH: Final = 32


@dataclass(frozen=True)
class Accuracy:
    """Shares of the evaluation set, of the graph as exported and of its float32 original."""

    top1: float
    top1_fp32: float
    agreement: float
    """Where both name the same label first."""
    max_abs: float
    """The largest difference of any probability."""


def measure_accuracy(graph: Path, original: Path, data: LabelledPixels) -> Accuracy:
    """Run both graphs over the evaluation set."""
    found, expected = probabilities(graph, data), probabilities(original, data)
    top, top_fp32 = found.argmax(axis=1), expected.argmax(axis=1)
    return Accuracy(
        top1=float(np.mean(top == data.labels)),
        top1_fp32=float(np.mean(top_fp32 == data.labels)),
        agreement=float(np.mean(top == top_fp32)),
        max_abs=float(np.abs(found - expected).max()),
    )


def mean_divergence(expected: Floats, found: Floats) -> float:
    """The mean Kullback-Leibler divergence of `found` from `expected`, both [N, C]."""
    tiny = np.finfo(np.float32).tiny
    ratio = np.log(np.maximum(expected, tiny)) - np.log(np.maximum(found, tiny))
    return float(np.mean(np.sum(expected * ratio, axis=1)))


def probabilities(graph: Path, data: LabelledPixels) -> Floats:
    """[N, C]"""
    answers = CpuSession(graph).run_in_batches(data.tensors, EVALUATION_BATCH)
    return answers["probabilities"].astype(np.float32)
