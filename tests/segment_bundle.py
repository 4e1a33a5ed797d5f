"""A tiny real bundle that segments: things and stuff are known by their colours.

B batch, C labels, T of them things, Q rows of segments, H W pixels, h w cells of the map.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from service.bundle import Bundle, Fit, Label, Manifest, Tensors, TensorSpec
from tests.graphs import PROVENANCE, TO_COME, graph_of, onnx_of, write_made

Floats = npt.NDArray[np.float32]

THINGS: Final[Mapping[str, tuple[int, int, int]]] = MappingProxyType(
    {"red": (255, 0, 0), "green": (0, 255, 0), "orange": (255, 128, 0)}
)
STUFF: Final[Mapping[str, tuple[int, int, int]]] = MappingProxyType(
    {"blue": (0, 0, 255), "white": (255, 255, 255)}
)
COLOURS: Final = {**THINGS, **STUFF}
NEAR: Final = 96.0
"""How far a channel may be from a label's colour. Red and orange are 128 apart: there is a colour
between them that is both."""
CELL_PX: Final = 4
THRESHOLDS: Final = ("score_threshold", "overlap_threshold", "min_area")


def write_tiny_segmenter(
    repository: Path,
    *,
    name: str = "cutter",
    version: int = 1,
    size_px: int = 128,
    max_batch: int = 8,
    mode: Literal["stretch", "crop", "letterbox"] = "letterbox",
    defaults: Mapping[str, float] = MappingProxyType(
        {"score_threshold": 0.5, "overlap_threshold": 0.6, "min_area": 0.001}
    ),
) -> Bundle:
    """A segmenter that looks at one pixel in every CELL_PX by CELL_PX.

    A cell is as near to a label as its colour is: 1 for the same, 0 from NEAR on. Each label of
    stuff has one row; a thing has two, what is in the left half of the input and what in the right.
    A row's mask is all cells that are near at all, its score how near they are in the mean. Of the
    rows whose score is above the threshold each cell goes to the nearest.
    """
    labels = np.array(list(COLOURS.values()), np.float32)  # [C, 3]
    row_labels = np.array(
        [*np.repeat(np.arange(len(THINGS)), 2), *range(len(THINGS), len(COLOURS))]
    )
    side = size_px // CELL_PX
    left = np.arange(side) < side // 2
    halves = np.array(
        [*[left, ~left] * len(THINGS), *[np.ones(side, np.bool_)] * len(STUFF)], np.float32
    )  # [Q, w]
    rows = len(row_labels)
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", size_px, size_px, 3))
    inputs = [
        image,
        *(TensorSpec(name=given, dtype="float32", shape=("batch",)) for given in THRESHOLDS),
    ]
    outputs = [
        TensorSpec(name="ids", dtype="uint8", shape=("batch", side, side)),
        TensorSpec(name="semantic", dtype="uint8", shape=("batch", side, side)),
        TensorSpec(name="labels", dtype="int64", shape=("batch", rows)),
        TensorSpec(name="scores", dtype="float32", shape=("batch", rows)),
        TensorSpec(name="areas", dtype="float32", shape=("batch", rows)),
        TensorSpec(name="boxes", dtype="float32", shape=("batch", rows, 4)),
        TensorSpec(name="count", dtype="int64", shape=("batch",)),
    ]
    model = onnx_of(
        [*_look(), *_compete(), *_sort()],
        inputs,
        outputs,
        colours=labels[None, :, None, None],
        row_labels=row_labels,
        row_index=np.arange(rows)[None, :, None, None],
        halves=halves[None, :, None, :],
        near=np.array(NEAR, np.float32),
        first=np.array([CELL_PX // 2, CELL_PX // 2]),
        beyond=np.array([size_px, size_px]),
        axes_12=np.array([1, 2]),
        axes_23=np.array([2, 3]),
        steps=np.array([CELL_PX, CELL_PX]),
        rows=np.array([rows]),
        cells=np.array(side * side, np.float32),
        place=np.arange(0, size_px, CELL_PX, dtype=np.float32),
        past=np.arange(CELL_PX, size_px + 1, CELL_PX, dtype=np.float32),
        edge=np.array(size_px, np.float32),
        zero=np.array(0, np.float32),
        one=np.array(1, np.float32),
        four=np.array([1, 1, 4]),
        axis_1=np.array([1]),
        axis_2=np.array([2]),
        axis_3=np.array([3]),
        last=np.array([-1]),
    )
    images = _scenes(size_px)
    given: Tensors = {
        "image": images,
        "score_threshold": np.array([0.5, 0.1, 0.9], np.float32),
        "overlap_threshold": np.array([0.6, 0.0, 0.6], np.float32),
        "min_area": np.array([0.0, 0.0, 0.05], np.float32),
    }
    return write_made(
        repository,
        Manifest(
            name=name,
            version=version,
            task="segment",
            summary="Segments by colour",
            labels=tuple(Label(name=label, is_thing=label in THINGS) for label in COLOURS),
            fit=Fit(mode=mode, height=size_px, width=size_px),
            graphs={"segment": graph_of("segment.onnx", inputs, outputs, max_batch)},
            files={"segment.onnx": TO_COME, "golden.npz": TO_COME},
            defaults=dict(defaults),
            provenance=PROVENANCE,
            licence="Apache-2.0",
        ),
        {"segment": model},
        {"segment": (given, _segmented(labels, row_labels, halves, **given))},
    )


def _look() -> list[onnx.NodeProto]:
    """The image -> `semantic`, and `nearness` of every row [B, Q, h, w]."""
    node = helper.make_node
    return [
        node("Slice", ["image", "first", "beyond", "axes_12", "steps"], ["seen"]),
        node("Cast", ["seen"], ["pixels"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["pixels", "axis_1"], ["one_label"]),
        node("Sub", ["one_label", "colours"], ["difference"]),
        node("Abs", ["difference"], ["gap"]),
        node("ReduceMax", ["gap", "last"], ["distance"], keepdims=0),  # [B, C, h, w]
        node("ArgMin", ["distance"], ["nearest"], axis=1, keepdims=0),
        node("Cast", ["nearest"], ["semantic"], to=TensorProto.UINT8),
        node("Div", ["distance", "near"], ["far"]),
        node("Sub", ["one", "far"], ["signed"]),
        node("Relu", ["signed"], ["near_label"]),
        node("Gather", ["near_label", "row_labels"], ["near_anywhere"], axis=1),
        node("Mul", ["near_anywhere", "halves"], ["nearness"]),
    ]


def _compete() -> list[onnx.NodeProto]:
    """-> `score`, `area`, and whether a row `is_kept` [B, Q]; its `mask` [B, Q, h, w] if it is."""
    node = helper.make_node
    return [
        node("Greater", ["nearness", "zero"], ["is_near"]),
        node("Cast", ["is_near"], ["own_mask"], to=TensorProto.FLOAT),
        node("ReduceSum", ["own_mask", "axes_23"], ["own_area"], keepdims=0),
        node("Max", ["own_area", "one"], ["own_cells"]),
        node("ReduceSum", ["nearness", "axes_23"], ["total"], keepdims=0),
        node("Div", ["total", "own_cells"], ["score"]),
        *(node("Unsqueeze", [given, "axis_1"], [f"{given}_row"]) for given in THRESHOLDS),
        node("Greater", ["score", "score_threshold_row"], ["is_sure"]),
        node("Cast", ["is_sure"], ["sure"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["sure", "axes_23"], ["sure_map"]),
        node("Mul", ["nearness", "sure_map"], ["claim"]),
        node("ArgMax", ["claim"], ["winner"], axis=1, keepdims=1),
        node("Equal", ["winner", "row_index"], ["is_winner"]),
        node("Greater", ["claim", "zero"], ["is_claimed"]),
        node("And", ["is_winner", "is_claimed"], ["is_won"]),
        node("Cast", ["is_won"], ["won"], to=TensorProto.FLOAT),
        node("ReduceSum", ["won", "axes_23"], ["area"], keepdims=0),
        node("Div", ["area", "own_cells"], ["left_over"]),
        node("GreaterOrEqual", ["left_over", "overlap_threshold_row"], ["has_enough"]),
        node("Div", ["area", "cells"], ["share"]),
        node("GreaterOrEqual", ["share", "min_area_row"], ["is_large"]),
        node("Greater", ["area", "zero"], ["is_there"]),
        node("And", ["is_there", "is_large"], ["is_there_and_large"]),
        node("And", ["is_there_and_large", "has_enough"], ["is_kept"]),
        node("Cast", ["is_kept"], ["kept"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["kept", "axes_23"], ["kept_map"]),
        node("Mul", ["won", "kept_map"], ["mask"]),
    ]


def _sort() -> list[onnx.NodeProto]:
    """The kept rows to the front, the surest first -> all outputs but `semantic`."""
    node = helper.make_node
    return [
        node("Where", ["is_kept", "score", "zero"], ["kept_score"]),
        node("TopK", ["kept_score", "rows"], ["scores", "order"], axis=1),
        node("TopK", ["order", "rows"], ["in_order", "rank"], axis=1, largest=0),
        node("Cast", ["rank"], ["rank_float"], to=TensorProto.FLOAT),
        node("Add", ["rank_float", "one"], ["row_id"]),
        node("Unsqueeze", ["row_id", "axes_23"], ["row_id_map"]),
        node("Mul", ["mask", "row_id_map"], ["mask_ids"]),
        node("ReduceSum", ["mask_ids", "axis_1"], ["float_ids"], keepdims=0),
        node("Cast", ["float_ids"], ["ids"], to=TensorProto.UINT8),
        node("Greater", ["scores", "zero"], ["is_found"]),
        node("Cast", ["is_found"], ["found"], to=TensorProto.INT64),
        node("ReduceSum", ["found", "axis_1"], ["count"], keepdims=0),
        node("Gather", ["row_labels", "order"], ["all_labels"]),
        node("Mul", ["all_labels", "found"], ["labels"]),
        node("Mul", ["area", "kept"], ["kept_area"]),
        node("GatherElements", ["kept_area", "order"], ["areas"], axis=1),
        *_extent("axis_2", "x"),
        *_extent("axis_3", "y"),
        node("Concat", ["x_low", "y_low", "x_high", "y_high"], ["corners"], axis=2),
        node("Unsqueeze", ["kept", "last"], ["kept_4"]),
        node("Mul", ["corners", "kept_4"], ["all_boxes"]),
        node("Unsqueeze", ["order", "last"], ["order_1"]),
        node("Expand", ["order_1", "four"], ["order_4"]),
        node("GatherElements", ["all_boxes", "order_4"], ["boxes"], axis=1),
    ]


def _extent(axis: str, side: str) -> list[onnx.NodeProto]:
    """Where a mask begins and ends along what is left when `axis` is reduced: [B, Q, 1] each."""
    node = helper.make_node
    line = f"{side}_line"
    return [
        node("ReduceMax", ["mask", axis], [line], keepdims=0),
        node("Greater", [line, "zero"], [f"{line}_is"]),
        node("Where", [f"{line}_is", "place", "edge"], [f"{line}_low"]),
        node("ReduceMin", [f"{line}_low", "last"], [f"{side}_low"]),
        node("Where", [f"{line}_is", "past", "zero"], [f"{line}_high"]),
        node("ReduceMax", [f"{line}_high", "last"], [f"{side}_high"]),
    ]


def _scenes(size_px: int) -> npt.NDArray[np.uint8]:
    """Three grey images with stuff below and things that touch, differ in nearness, or overlap."""
    images = np.full((3, size_px, size_px, 3), 114, np.uint8)
    half, eighth = size_px // 2, size_px // 8
    images[:, half + eighth :] = (10, 0, 240)
    images[0, eighth:half, eighth : 2 * eighth] = (250, 5, 0)
    images[0, eighth:half, half + eighth :] = (255, 20, 10)
    images[1, eighth:half, eighth:half] = (255, 60, 0)  # red and orange
    images[1, half:, half:] = (0, 220, 30)
    images[2, :eighth, :half] = (245, 250, 255)
    images[2, half:, :eighth] = (255, 0, 0)
    return images


def _segmented(
    colours: Floats,
    row_labels: npt.NDArray[np.int64],
    halves: Floats,
    image: npt.NDArray[np.uint8],
    score_threshold: Floats,
    overlap_threshold: Floats,
    min_area: Floats,
) -> Tensors:
    """What the graph of the tiny segmenter answers, image by image and row by row."""
    rows, side = halves.shape
    answer: Tensors = {
        "ids": np.zeros((len(image), side, side), np.uint8),
        "semantic": np.zeros((len(image), side, side), np.uint8),
        "labels": np.zeros((len(image), rows), np.int64),
        "scores": np.zeros((len(image), rows), np.float32),
        "areas": np.zeros((len(image), rows), np.float32),
        "boxes": np.zeros((len(image), rows, 4), np.float32),
        "count": np.zeros(len(image), np.int64),
    }
    for at, picture in enumerate(image):
        pixels = picture[CELL_PX // 2 :: CELL_PX, CELL_PX // 2 :: CELL_PX].astype(np.float32)
        distance = np.abs(pixels - colours[:, None, None]).max(axis=-1)  # [C, h, w]
        answer["semantic"][at] = distance.argmin(axis=0)
        nearness = np.maximum(1 - distance / np.float32(NEAR), 0)[row_labels] * halves[:, None]
        own = (nearness > 0).sum(axis=(1, 2))
        scores = nearness.sum(axis=(1, 2)) / np.maximum(own, 1)
        claims = nearness * (scores > score_threshold[at])[:, None, None]
        winner = np.where(claims.max(axis=0) > 0, claims.argmax(axis=0), rows)
        found = []
        for row in range(rows):
            mask = winner == row
            enough = mask.sum() >= overlap_threshold[at] * max(own[row], 1)
            if mask.any() and enough and mask.mean() >= min_area[at]:
                found.append((scores[row], row_labels[row], mask))
        for place, (score, label, mask) in enumerate(sorted(found, key=lambda one: -one[0])):
            y, x = np.nonzero(mask)
            answer["ids"][at][mask] = place + 1
            answer["labels"][at, place], answer["scores"][at, place] = label, score
            answer["areas"][at, place] = mask.sum()
            corners = x.min(), y.min(), x.max() + 1, y.max() + 1
            answer["boxes"][at, place] = np.array(corners) * CELL_PX
        answer["count"][at] = len(found)
    return answer
