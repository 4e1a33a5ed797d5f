"""Tiny real bundles for tests: graphs whose answers are known by arithmetic, made in milliseconds.

B batch, C classes, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from service.bundle import Bundle, Fit, Label, Manifest, Tensors, TensorSpec
from tests.graphs import PROVENANCE, TO_COME, graph_of, onnx_of, write_made

Floats = npt.NDArray[np.float32]

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
}
SHARPNESS = 8.0
"""The logit is -SHARPNESS times the squared distance to the class's colour, RGB in [0, 1]."""
NEAR = 64.0
"""How far each channel of a pixel may be from the tiny detector's colour."""


def write_tiny_classifier(
    repository: Path,
    *,
    name: str = "tiny",
    version: int = 1,
    labels: Sequence[str] = ("red", "green", "blue"),
    size_px: int = 32,
    max_batch: int = 8,
    matmuls: int = 0,
) -> Bundle:
    """A classifier that knows the names in COLOURS: an image gets the colour nearest to its mean.

    "image" uint8 [batch, size_px, size_px, 3] -> "probabilities" float32 [batch, C].
    Each of `matmuls` makes a sample slower by a product of 512 × 512 matrices, some milliseconds,
    and leaves the answer as it is.
    """
    colours: Floats = np.array([COLOURS[label] for label in labels], np.float32) / np.float32(
        255
    )  # [C, 3]
    weight = (2 * SHARPNESS * colours.T).astype(np.float32)  # [3, C]
    bias = (-SHARPNESS * (colours**2).sum(axis=1)).astype(np.float32)  # [C]
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", size_px, size_px, 3))
    answer = TensorSpec(name="probabilities", dtype="float32", shape=("batch", len(labels)))
    model = onnx_of(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            helper.make_node("Div", ["mean", "peak"], ["plain" if matmuls else "colour"]),
            *_slow_down("plain", "colour", matmuls),
            helper.make_node("Gemm", ["colour", "weight", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        [image],
        [answer],
        axes=np.array([1, 2]),
        peak=np.array(255, np.float32),
        **(_SLOW_CONSTANTS if matmuls else {}),
        weight=weight,
        bias=bias,
    )
    images = pictures(size_px, colours)
    logits = images.mean(axis=(1, 2), dtype=np.float64) / 255 @ weight + bias  # [B, C]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return write_made(
        repository,
        Manifest(
            name=name,
            version=version,
            task="classify",
            summary="Names the colour nearest to the mean of the image",
            labels=tuple(
                Label(name=label, colour="#{:02x}{:02x}{:02x}".format(*COLOURS[label]))
                for label in labels
            ),
            fit=Fit(mode="stretch", height=size_px, width=size_px),
            graphs={"classify": graph_of("classify.onnx", [image], [answer], max_batch)},
            files={"classify.onnx": TO_COME, "golden.npz": TO_COME},
            defaults={"top_k": min(5, len(labels))},
            provenance=PROVENANCE,
            licence="Apache-2.0",
        ),
        {"classify": model},
        {"classify": ({"image": images}, {"probabilities": probabilities})},
    )


def write_tiny_detector(
    repository: Path,
    *,
    name: str = "finder",
    version: int = 1,
    labels: Sequence[str] = ("red", "green", "blue"),
    size_px: int = 64,
    max_batch: int = 8,
    suppresses: bool = True,
    defaults: Mapping[str, float] = MappingProxyType({"score_threshold": 0.6}),
) -> Bundle:
    """A detector that knows the names in COLOURS: it boxes all pixels of a colour together.

    "image" uint8 [batch, size_px, size_px, 3], "score_threshold" and "iou_threshold" float32
    [batch, 1] -> "boxes" float32 [batch, 2C, 4], "scores" float32 and "labels" int32 [batch, 2C],
    "count" int32 [batch, 1].
    The score is the share of the box that has the colour: 1 for an upright rectangle, 0.79 for a
    disc. The left half of each box is a candidate too, with half its score; their IoU is one half,
    so that it is suppressed below an `iou_threshold` of 0.5. Without `suppresses` there are no
    halves, and no such input.
    """
    colours = np.array([COLOURS[label] for label in labels], np.float32)  # [C, 3]
    most = len(labels) * (2 if suppresses else 1)
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", size_px, size_px, 3))
    thresholds = [
        TensorSpec(name=threshold, dtype="float32", shape=("batch", 1))
        for threshold in ("score_threshold", "iou_threshold")[: 2 if suppresses else 1]
    ]
    answers = [
        TensorSpec(name="boxes", dtype="float32", shape=("batch", most, 4)),
        TensorSpec(name="scores", dtype="float32", shape=("batch", most)),
        TensorSpec(name="labels", dtype="int32", shape=("batch", most)),
        TensorSpec(name="count", dtype="int32", shape=("batch", 1)),
    ]
    model = onnx_of(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["pixels", "axis_1"], ["one_row"]),
            helper.make_node("Sub", ["one_row", "colours"], ["difference"]),
            helper.make_node("Abs", ["difference"], ["gap"]),
            helper.make_node("ReduceMax", ["gap", "last"], ["worst"], keepdims=0),  # [B, C, H, W]
            helper.make_node("LessOrEqual", ["worst", "near"], ["is_colour"]),
            helper.make_node("Cast", ["is_colour"], ["mask"], to=TensorProto.FLOAT),
            *_extent("mask", "axis_2", "x"),
            *_extent("mask", "axis_3", "y"),
            helper.make_node("Sub", ["x2", "x1"], ["width"]),
            helper.make_node("Sub", ["y2", "y1"], ["height"]),
            helper.make_node("Mul", ["width", "height"], ["area"]),
            helper.make_node("ReduceSum", ["mask", "axes_23"], ["filled"], keepdims=0),
            helper.make_node("Div", ["filled", "area"], ["share"]),  # [B, C]
            *(
                helper.make_node("Unsqueeze", [side, "last"], [f"{side}_4"])
                for side in ("x1", "y1", "x2", "y2")
            ),
            helper.make_node("Concat", ["x1_4", "y1_4", "x2_4", "y2_4"], ["full"], axis=2),
            *_with_halves(suppresses),
            helper.make_node("Greater", ["all_scores", "score_threshold"], ["is_sure"]),
            helper.make_node("Where", ["is_sure", "all_scores", "zero"], ["sure_scores"]),
            helper.make_node("TopK", ["sure_scores", "most"], ["scores", "order"], axis=1),
            helper.make_node("Greater", ["scores", "zero"], ["is_found"]),
            helper.make_node("Cast", ["is_found"], ["found"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["found", "last"], ["found_4"]),
            helper.make_node("Unsqueeze", ["order", "last"], ["order_1"]),
            helper.make_node("Expand", ["order_1", "four"], ["order_4"]),
            helper.make_node("GatherElements", ["all_boxes", "order_4"], ["sorted"], axis=1),
            helper.make_node("Mul", ["sorted", "found_4"], ["boxes"]),
            helper.make_node("Mod", ["order", "classes"], ["all_labels"]),
            helper.make_node("Cast", ["all_labels"], ["some_labels"], to=TensorProto.INT32),
            helper.make_node("Cast", ["is_found"], ["ones"], to=TensorProto.INT32),
            helper.make_node("Mul", ["some_labels", "ones"], ["labels"]),
            helper.make_node("ReduceSum", ["ones", "axis_1"], ["count"], keepdims=1),
        ],
        [image, *thresholds],
        answers,
        colours=colours[None, :, None, None],
        near=np.array(NEAR, np.float32),
        place=np.arange(size_px, dtype=np.float32),
        beyond=np.array(size_px, np.float32),
        zero=np.array(0, np.float32),
        one=np.array(1, np.float32),
        **({"half": np.array(0.5, np.float32)} if suppresses else {}),
        most=np.array([most]),
        classes=np.array(len(labels)),
        four=np.array([1, 1, 4]),
        axis_1=np.array([1]),
        axis_2=np.array([2]),
        axis_3=np.array([3]),
        axes_23=np.array([2, 3]),
        last=np.array([-1]),
    )
    images = _rectangles(size_px, colours)
    given: Tensors = {
        "image": images,
        "score_threshold": np.linspace(0.7, 0.2, len(images), dtype=np.float32)[:, None],
        "iou_threshold": np.linspace(0.3, 0.7, len(images), dtype=np.float32)[:, None],
    }
    given = {t.name: given[t.name] for t in (image, *thresholds)}
    return write_made(
        repository,
        Manifest(
            name=name,
            version=version,
            task="detect",
            summary="Boxes what has the colour of a label",
            labels=tuple(Label(name=label) for label in labels),
            fit=Fit(mode="letterbox", height=size_px, width=size_px),
            graphs={"detect": graph_of("detect.onnx", [image, *thresholds], answers, max_batch)},
            files={"detect.onnx": TO_COME, "golden.npz": TO_COME},
            defaults=dict(defaults),
            provenance=PROVENANCE,
            licence="Apache-2.0",
        ),
        {"detect": model},
        {"detect": (given, _find(colours, most, **given))},
    )


def _extent(mask: str, axis: str, side: str) -> list[onnx.NodeProto]:
    """The first place of a mask [B, C, H, W] along what is left when `axis` is reduced, and one
    past the last: [B, C] each."""
    line, first, past = f"{side}_line", f"{side}1", f"{side}2"
    return [
        helper.make_node("ReduceMax", [mask, axis], [line], keepdims=0),  # [B, C, W] or [B, C, H]
        helper.make_node("Greater", [line, "zero"], [f"{line}_is"]),
        helper.make_node("Where", [f"{line}_is", "place", "beyond"], [f"{line}_low"]),
        helper.make_node("ReduceMin", [f"{line}_low", "last"], [first], keepdims=0),
        helper.make_node("Add", ["place", "one"], [f"{line}_next"]),
        helper.make_node("Mul", [line, f"{line}_next"], [f"{line}_high"]),
        helper.make_node("ReduceMax", [f"{line}_high", "last"], [past], keepdims=0),
    ]


def _with_halves(suppresses: bool) -> list[onnx.NodeProto]:
    """From the boxes and their scores to all candidates."""
    if not suppresses:
        return [
            helper.make_node("Identity", ["full"], ["all_boxes"]),
            helper.make_node("Identity", ["share"], ["all_scores"]),
        ]
    return [
        helper.make_node("Add", ["x1_4", "x2_4"], ["x_sum"]),
        helper.make_node("Mul", ["x_sum", "half"], ["x_middle"]),
        helper.make_node("Concat", ["x1_4", "y1_4", "x_middle", "y2_4"], ["left"], axis=2),
        helper.make_node("Concat", ["full", "left"], ["all_boxes"], axis=1),
        helper.make_node("Mul", ["share", "half"], ["half_share"]),
        helper.make_node("Greater", ["half", "iou_threshold"], ["is_suppressed"]),
        helper.make_node("Where", ["is_suppressed", "zero", "half_share"], ["left_scores"]),
        helper.make_node("Concat", ["share", "left_scores"], ["all_scores"], axis=1),
    ]


def _rectangles(size_px: int, colours: Floats) -> npt.NDArray[np.uint8]:
    """Grey images [C + 1, H, W, 3] with a rectangle of each colour but one, and of all in the last;
    each lacks another share at its lower right, so that no two scores are equal."""
    images = np.full((len(colours) + 1, size_px, size_px, 3), 114, np.uint8)
    step = size_px // len(colours)
    for missing, image in enumerate(images):
        for index, colour in enumerate(colours):
            if index == missing:
                continue
            left, top = index * step, index * step // 2
            image[top + 1 : top + step, left + 1 : left + step] = colour
            image[
                top + 1 + step // (index + 2) : top + step, left + 1 + step // 2 : left + step
            ] = 114
    return images


def _find(
    colours: Floats,
    most: int,
    image: npt.NDArray[np.uint8],
    score_threshold: Floats,
    iou_threshold: Floats | None = None,
) -> Tensors:
    """What the graph of the tiny detector answers, image by image and colour by colour."""
    found: Tensors = {
        "boxes": np.zeros((len(image), most, 4), np.float32),
        "scores": np.zeros((len(image), most), np.float32),
        "labels": np.zeros((len(image), most), np.int32),
        "count": np.zeros((len(image), 1), np.int32),
    }
    for at, pixels in enumerate(image):
        candidates = []
        for label, colour in enumerate(colours):
            rows, columns = np.nonzero(np.abs(pixels - colour).max(axis=-1) <= NEAR)
            if not len(rows):
                continue
            left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            score = len(rows) / ((right - left) * (bottom - top))
            candidates.append((score, label, (left, top, right, bottom)))
            if iou_threshold is not None and iou_threshold[at, 0] >= 0.5:
                candidates.append((score / 2, label, (left, top, (left + right) / 2, bottom)))
        candidates = [one for one in candidates if one[0] > score_threshold[at, 0]]
        for place, (score, label, box) in enumerate(sorted(candidates, key=lambda one: -one[0])):
            found["boxes"][at, place], found["scores"][at, place] = box, score
            found["labels"][at, place] = label
        found["count"][at] = len(candidates)
    return found


def write_tiny_depth(
    repository: Path,
    *,
    name: str = "ranger",
    version: int = 1,
    size_px: int = 32,
    max_batch: int = 8,
    mode: Literal["stretch", "crop", "letterbox"] = "stretch",
    defaults: Mapping[str, str | float] = MappingProxyType({"unit": "metre", "focal_px": 40.0}),
    lopsided: bool = False,
) -> Bundle:
    """A model of depth that takes brightness for distance: black is 1 away, white is 2.

    "image" uint8 [batch, size_px, size_px, 3] -> "depth" float32 [batch, size_px, size_px].
    A `lopsided` one multiplies by 1 at the left edge to 3 at the right, whatever is there.
    """
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", size_px, size_px, 3))
    answer = TensorSpec(name="depth", dtype="float32", shape=("batch", size_px, size_px))
    slope = np.linspace(1, 3 if lopsided else 1, size_px, dtype=np.float32)  # [W]
    model = onnx_of(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "last"], ["grey"], keepdims=0),
            helper.make_node("Div", ["grey", "peak"], ["brightness"]),
            helper.make_node("Add", ["brightness", "one"], ["even"]),
            helper.make_node("Mul", ["even", "slope"], ["depth"]),
        ],
        [image],
        [answer],
        last=np.array([-1]),
        peak=np.array(255, np.float32),
        one=np.array(1, np.float32),
        slope=slope,
    )
    images = pictures(size_px, np.array([COLOURS["black"], COLOURS["white"]], np.float32) / 255)
    depth = ((1 + images.mean(-1) / 255) * slope).astype(np.float32)
    return write_made(
        repository,
        Manifest(
            name=name,
            version=version,
            task="depth",
            summary="Takes brightness for distance",
            fit=Fit(mode=mode, height=size_px, width=size_px),
            graphs={"depth": graph_of("depth.onnx", [image], [answer], max_batch)},
            files={"depth.onnx": TO_COME, "golden.npz": TO_COME},
            defaults=dict(defaults),
            provenance=PROVENANCE,
            licence="Apache-2.0",
        ),
        {"depth": model},
        {"depth": ({"image": images}, {"depth": depth})},
    )


def write_iterative(
    repository: Path,
    *,
    name: str = "iterative",
    version: int = 1,
    max_batch: int = 8,
) -> Bundle:
    """A step graph to be run many times over: next_state = state * gain + 1.

    "state" float32 [batch, 4], "gain" float32 [batch, 1] -> "next_state" float32 [batch, 4].
    """
    state = TensorSpec(name="state", dtype="float32", shape=("batch", 4))
    gain = TensorSpec(name="gain", dtype="float32", shape=("batch", 1))
    answer = TensorSpec(name="next_state", dtype="float32", shape=("batch", 4))
    model = onnx_of(
        [
            helper.make_node("Mul", ["state", "gain"], ["scaled"]),
            helper.make_node("Add", ["scaled", "one"], ["next_state"]),
        ],
        [state, gain],
        [answer],
        one=np.array(1, np.float32),
    )
    states = np.arange(12, dtype=np.float32).reshape(3, 4)
    gains = np.array([[0.0], [0.5], [-2.0]], np.float32)
    return write_made(
        repository,
        Manifest(
            name=name,
            version=version,
            task="iterate",
            summary="One step of an affine recurrence",
            graphs={"step": graph_of("step.onnx", [state, gain], [answer], max_batch)},
            files={"step.onnx": TO_COME, "golden.npz": TO_COME},
            provenance=PROVENANCE,
            licence="Apache-2.0",
        ),
        {"step": model},
        {"step": ({"state": states, "gain": gains}, {"next_state": states * gains + 1})},
    )


_SLOW_CONSTANTS: dict[str, npt.NDArray[np.generic]] = {
    "slow_shape": np.array([-1, 512, 512]),
    "slow_axes": np.array([1, 2]),
    "slow_matrix": np.eye(512, dtype=np.float32),
    "slow_row": np.eye(3, 512 * 512, dtype=np.float32),
    "slow_axis": np.array([1]),
    "nothing": np.array(0, np.float32),
}


def _slow_down(given: str, answer: str, matmuls: int) -> list[onnx.NodeProto]:
    """answer = given + 0 · (a sum over a chain of products), which no optimiser sees through."""
    if not matmuls:
        return []
    return [
        helper.make_node("MatMul", [given, "slow_row"], ["slow_flat"]),
        helper.make_node("Reshape", ["slow_flat", "slow_shape"], ["slow_0"]),
        *(
            helper.make_node("MatMul", [f"slow_{i}", "slow_matrix"], [f"slow_{i + 1}"])
            for i in range(matmuls)
        ),
        helper.make_node("ReduceSum", [f"slow_{matmuls}", "slow_axes"], ["slow_sum"], keepdims=0),
        helper.make_node("Mul", ["slow_sum", "nothing"], ["slow_nothing"]),
        helper.make_node("Unsqueeze", ["slow_nothing", "slow_axis"], ["slow_column"]),
        helper.make_node("Add", [given, "slow_column"], [answer]),
    ]


def pictures(size_px: int, colours: Floats) -> npt.NDArray[np.uint8]:
    """One plain image of every colour and one of noise, uint8 [C + 1, H, W, 3]."""
    plain = np.round(colours * 255).astype(np.uint8)[:, None, None, :]
    noise = np.random.default_rng(0).integers(0, 256, (1, size_px, size_px, 3), np.uint8)
    return np.concatenate([np.broadcast_to(plain, (len(colours), *noise.shape[1:])), noise])
