"""Graphs run on ONNX Runtime's CPU provider, the reference engine of every export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch

from exporters.errors import ExportError
from service.bundle import Tensors


class CpuSession:
    """One graph, ready to run with as many threads as torch uses."""

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session: Any = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # a dozen types of the C API, with no base but RuntimeError
            raise ExportError(f"ONNX Runtime cannot load {path.name}: {error}") from error
        self.outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Tensors) -> Tensors:
        return dict(zip(self.outputs, self._session.run(None, inputs), strict=True))

    def run_in_batches(self, inputs: Tensors, batch: int) -> Tensors:
        """The answers to many samples, `batch` at a time."""
        parts = [self.run(part) for part in batches(inputs, batch)]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}


def batches(inputs: Tensors, batch: int) -> Iterator[Tensors]:
    """`inputs` cut along the first axis; the last part may be short."""
    samples = len(next(iter(inputs.values())))
    for start in range(0, samples, batch):
        yield {name: value[start : start + batch] for name, value in inputs.items()}
