"""Two classifiers as ONNX graphs, without training: their speed is what matters, not their answers.

B batch, C classes, H W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = 100
OPSET, IR_VERSION = 20, 10

MOBILENET_V2 = (
    # expansion, channels, repeats, stride: table 2 of arXiv:1801.04381
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def tiny_graph(size_px: int) -> onnx.ModelProto:
    """Plain convolutions: about a millisecond of one core at 64×64."""
    net = _Network(size_px)
    for channels, stride in (
        (32, 2),
        (64, 2),
        (96, 1),
        (128, 2),
        (160, 1),
        (192, 2),
        (192, 1),
    ):
        net.convolve(channels, kernel=3, stride=stride)
    return net.finish()


def mid_graph(size_px: int, *, width: float = 1.5) -> onnx.ModelProto:
    """MobileNetV2 of `width` with its batch norms folded: about 10 ms of one core at 224×224."""
    net = _Network(size_px)
    net.convolve(_rounded(32 * width), kernel=3, stride=2)
    for expansion, channels, repeats, stride in MOBILENET_V2:
        for repeat in range(repeats):
            net.invert_residual(_rounded(channels * width), expansion, stride if repeat == 0 else 1)
    net.convolve(_rounded(1280 * width), kernel=1, stride=1)
    return net.finish()


def _rounded(channels: float) -> int:
    """To the multiple of eight that vector units like."""
    return max(8, round(channels / 8) * 8)


class _Network:
    """Grows a graph layer by layer from "image" uint8 [B, H, W, 3]."""

    def __init__(self, size_px: int) -> None:
        self._rng = np.random.default_rng(0)
        self._size_px = size_px
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._channels = 3
        self._top = "image"
        self._add("Cast", to=TensorProto.FLOAT)
        self._add("Transpose", perm=[0, 3, 1, 2])  # [B, 3, H, W]
        self._add("Sub", self._constant(np.array(127.5, np.float32)))
        self._add("Div", self._constant(np.array(64.0, np.float32)))

    def convolve(
        self, channels: int, *, kernel: int, stride: int, groups: int = 1, clipped: bool = True
    ) -> None:
        fan_in = self._channels // groups * kernel * kernel
        shape = (channels, self._channels // groups, kernel, kernel)
        self._add(
            "Conv",
            self._constant(self._random(shape, math.sqrt(2 / fan_in))),
            self._constant(self._random((channels,), 0.1)),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=groups,
        )
        if clipped:
            low, high = (np.array(bound, np.float32) for bound in (0.0, 6.0))
            self._add("Clip", self._constant(low), self._constant(high))
        self._channels = channels

    def invert_residual(self, channels: int, expansion: int, stride: int) -> None:
        entry, entry_channels = self._top, self._channels
        hidden = entry_channels * expansion
        if expansion > 1:
            self.convolve(hidden, kernel=1, stride=1)
        self.convolve(hidden, kernel=3, stride=stride, groups=hidden)
        self.convolve(channels, kernel=1, stride=1, clipped=False)
        if stride == 1 and channels == entry_channels:
            self._add("Add", entry)

    def finish(self) -> onnx.ModelProto:
        """Pool, classify: "probabilities" float32 [B, C]."""
        self._add("GlobalAveragePool")
        self._add("Flatten")  # [B, channels]
        scale = 1 / math.sqrt(self._channels)
        weight = self._constant(self._random((self._channels, CLASSES), scale))
        self._add("Gemm", weight, self._constant(self._random((CLASSES,), 0.1)))
        self._add("Softmax", axis=1)
        self._nodes[-1].output[0] = "probabilities"
        image = ("batch", self._size_px, self._size_px, 3)
        graph = helper.make_graph(
            self._nodes,
            "benchmark",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, image)],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ("batch", CLASSES))],
            self._constants,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _add(self, operator: str, *more_inputs: str, **attributes: Any) -> None:
        """A node on top of the last one."""
        inputs, self._top = [self._top, *more_inputs], f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [self._top], **attributes))

    def _constant(self, value: npt.NDArray[np.float32]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def _random(self, shape: Sequence[int], scale: float) -> npt.NDArray[np.float32]:
        return self._rng.standard_normal(shape, np.float32) * np.float32(scale)
