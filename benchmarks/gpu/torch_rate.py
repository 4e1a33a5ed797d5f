"""The same network in PyTorch on the same device: eager, and compiled."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import nn


class TorchNetwork:
    """Inputs lie on the device already, and answers stay there: what remains is the network.

    In half precision it runs under autocast, as people run it: products in float16, sensitive
    layers in float32. Float32 may use TF32, as ONNX Runtime's convolutions do.
    """

    def __init__(
        self, module: nn.Module, device: str, *, half: bool, compiled: bool = False
    ) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device)
        self._half = half
        torch.set_float32_matmul_precision("high")
        self._module: Any = module.eval().to(self._device)
        if compiled:
            self._module = torch.compile(self._module, dynamic=False)

    def seconds(self, inputs: Mapping[str, NDArray[Any]], *, for_s: float) -> float:
        """The fastest of as many runs as fit into the time, of which there are two or more."""
        tensors = [
            self._torch.from_numpy(np.ascontiguousarray(value)).to(self._device)
            for value in inputs.values()
        ]
        with self._torch.inference_mode(), self._autocast():
            for _ in range(2):
                self._module(*tensors)
            self._wait()
            best, ends = float("inf"), time.perf_counter() + for_s
            while best == float("inf") or time.perf_counter() < ends:
                started = time.perf_counter()
                self._module(*tensors)
                self._wait()
                best = min(best, time.perf_counter() - started)
        return best

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self._half:
            return nullcontext()
        dtype: torch.dtype = self._torch.float16
        if self._device.type == "cpu":
            dtype = self._torch.bfloat16  # which is what processors are fast at
        return self._torch.autocast(self._device.type, dtype)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            self._torch.cuda.synchronize(self._device)
