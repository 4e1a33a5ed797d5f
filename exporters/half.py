"""Graphs that compute in half precision on GPUs, where their products are; the rest stays exact."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from exporters.errors import ParityError
from exporters.graph import load_graph, save_graph, tidy
from exporters.precision import fits_half
from exporters.session import CpuSession
from service.bundle import Tensors

PRODUCTS: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
SENSITIVE: Final = frozenset(
    {"CumSum", "Exp", "GridSample", "Log", "LogSoftmax", "NonMaxSuppression", "Pow", "Range"}
    | {"Reciprocal", "ReduceL2", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare"}
    | {"GroupNormalization", "InstanceNormalization", "LayerNormalization", "RMSNormalization"}
    | {"RoiAlign", "Cos", "Sin", "Softmax", "Sqrt", "TopK"}
)
"""Sums over many numbers, steep functions, and places in an image: 11 bits are too few."""
ONLY_THE_FIRST: Final = frozenset({"Resize"})
"""Of whose inputs only the first may be in half precision: the others are scales."""
HALF_MAX: Final = 65504.0
RANGE_MAX: Final = HALF_MAX / 4
"""What a few golden samples may reach: others will go further."""
RANGE_SAMPLES: Final = 2


def compute_half(model: ir.Model) -> ir.Model:
    """The same graph, from its first product with weights to its last in float16.

    What comes before (normalising pixels) and after (softmax, boxes, suppression, a sampler's
    update) stays in float32, as do the sensitive layers between, and layers with a constant that
    float16 cannot hold. Inputs and outputs keep their types.
    """
    _widen_stored(model)
    passes.ShapeInferencePass()(model)
    chosen = [node for node in _between_products(model.graph) if _may_be_half(node)]
    halves: dict[ir.Value, ir.Value] = {}
    for node in chosen:
        for index, value in enumerate(node.inputs):
            if value is not None and _is_single(value) and _converts(node, index):
                node.replace_input_with(index, _half_of(value, model.graph, node, halves))
        for output in node.outputs:
            if _is_single(output):
                _narrow(output, node, model.graph, halves)
    return tidy(model)


def check_range(half: ir.Model, single: Path, samples: Tensors) -> None:
    """ParityError if one of the numbers that `half` has in float16 comes near to its end.

    Seen in the float32 graph: ONNX Runtime's CPU provider knows few operators in float16, and would
    compute the others in float32 without a sign of it.
    """
    model = load_graph(single)
    passes.ShapeInferencePass()(model)
    made = {value.name: value for node in model.graph for value in node.outputs}
    narrowed = {
        str(value.name).removesuffix(".half")
        for node in half.graph
        for value in node.outputs
        if str(value.name).endswith(".half")
    }
    watched = sorted(name for name in narrowed if name in made)
    model.graph.outputs.clear()
    model.graph.outputs.extend(made[name] for name in watched)
    with tempfile.TemporaryDirectory() as scratch:
        (path, *_) = save_graph(model, Path(scratch, "watched.onnx"))
        few = {name: value[:RANGE_SAMPLES] for name, value in samples.items()}
        for name, value in CpuSession(path).run(few).items():
            if value.size and (largest := float(np.abs(value).max())) > RANGE_MAX:
                raise ParityError(
                    f"{name} reaches {largest:.3g}, too near to the {HALF_MAX:.0f} at which "
                    "float16 ends: this network cannot compute in half precision"
                )


def _widen_stored(model: ir.Model) -> None:
    """Weights stored in half precision as the float32 to which the graph casts them."""
    for node in list(model.graph):
        stored = node.inputs[0] if node.op_type == "Cast" else None
        if stored is None or stored.const_value is None or stored.dtype != ir.DataType.FLOAT16:
            continue
        name = node.outputs[0].name
        assert name is not None
        single = ir.val(name, const_value=ir.tensor(stored.const_value.numpy().astype(np.float32)))
        node.outputs[0].name = f"{name}.cast"
        node.outputs[0].replace_all_uses_with(single)
        model.graph.register_initializer(single)
        model.graph.remove(node, safe=True)
    passes.RemoveUnusedNodesPass()(model)


def _between_products(graph: ir.Graph) -> list[ir.Node]:
    """The nodes that a product with weights leads to, and that lead to one; those themselves."""
    nodes = list(graph)
    after: set[ir.Node] = set()
    for node in nodes:
        above = (value.producer() for value in node.inputs if value is not None)
        if _is_product(node) or any(parent in after for parent in above):
            after.add(node)
    before: set[ir.Node] = set()
    for node in reversed(nodes):
        below = (use.node for value in node.outputs for use in value.uses())
        if _is_product(node) or any(child in before for child in below):
            before.add(node)
    return [node for node in nodes if node in after and node in before]


def _is_product(node: ir.Node) -> bool:
    return node.op_type in PRODUCTS and any(
        value is not None and value.is_initializer() for value in node.inputs
    )


def _may_be_half(node: ir.Node) -> bool:
    if node.op_type in SENSITIVE or node.op_type == "Cast":
        return False
    if any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values()):
        return False
    constants = (value.const_value for value in node.inputs if value is not None)
    return all(
        constant is None or constant.dtype != ir.DataType.FLOAT or fits_half(constant.numpy())
        for constant in constants
    )


def _converts(node: ir.Node, index: int) -> bool:
    return index == 0 or node.op_type not in ONLY_THE_FIRST


def _is_single(value: ir.Value) -> bool:
    return value.dtype == ir.DataType.FLOAT


def _half_of(
    value: ir.Value, graph: ir.Graph, reader: ir.Node, halves: dict[ir.Value, ir.Value]
) -> ir.Value:
    """The value in half precision: a constant of its own, or a cast before its first reader."""
    if value not in halves:
        name = f"{value.name}.half"
        if value.is_initializer():
            assert value.const_value is not None
            half = ir.tensor(value.const_value.numpy().astype(np.float16))
            halves[value] = ir.val(name, const_value=half)
            graph.register_initializer(halves[value])
        else:
            cast = ir.node("Cast", [value], attributes={"to": ir.DataType.FLOAT16.value})
            cast.outputs[0].name = name
            graph.insert_before(reader, cast)
            halves[value] = cast.outputs[0]
    return halves[value]


def _narrow(
    output: ir.Value, node: ir.Node, graph: ir.Graph, halves: dict[ir.Value, ir.Value]
) -> None:
    """The node writes half precision; who reads single precision gets a cast of it."""
    name = output.name
    cast = ir.node("Cast", [output], attributes={"to": ir.DataType.FLOAT.value})
    single = cast.outputs[0]
    output.replace_all_uses_with(single, replace_graph_outputs=True)
    cast.replace_input_with(0, output)  # that use is its own
    graph.insert_after(node, cast)
    output.name, single.name = f"{name}.half", name
    output.type, single.type = ir.TensorType(ir.DataType.FLOAT16), output.type
    single.shape = output.shape
    halves[single] = output
