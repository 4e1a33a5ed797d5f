"""A graph as TensorRT takes it: the same function without bytes inside.

TensorRT knows uint8 at the edges of a network alone, where it may only be cast. Graphs that take
bytes move them about first and cast them then, which is less work elsewhere; and some keep small
numbers in bytes. `onnx` is needed here and nowhere else in the server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.engine.plans.tensorrt import PlanError


def adapted(file: Path) -> bytes:
    """The model in a file; weights beside it stay there. PlanError where it cannot be read."""
    try:
        import onnx
    except ImportError as error:
        raise PlanError("building needs onnx: pip install 'panoptes[tensorrt]'") from error
    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # protobuf's own
        raise PlanError(f"{file.name} is no ONNX graph: {error}") from None
    graph = model.graph
    _cast_last(graph)
    _widen_casts(graph, kept={tensor.name for tensor in graph.output})
    as_floats = {
        tensor.name: f"{tensor.name} as float32"
        for tensor in graph.input
        if tensor.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    }
    _rename_inputs(graph, as_floats)
    # A cast of a cast gives what the last one gives: every byte is a float32.
    for name, as_float in reversed(as_floats.items()):
        cast = onnx.helper.make_node("Cast", [name], [as_float], to=onnx.TensorProto.FLOAT)
        graph.node.insert(0, cast)
    del graph.value_info[:]  # types of tensors that are others now
    return bytes(model.SerializeToString())


def _cast_last(graph: Any) -> None:
    """Bytes that are moved about before the graph answers with them become bytes after that."""
    from onnx import TensorProto, helper

    makers = {name: node for node in graph.node for name in node.output}
    for tensor in graph.output:
        name, maker = tensor.name, makers.get(tensor.name)
        is_bytes = tensor.type.tensor_type.elem_type == TensorProto.UINT8
        if not is_bytes or maker is None or maker.op_type == "Cast":
            continue
        before = f"{name} before its cast"
        maker.output[list(maker.output).index(name)] = before
        _rename_inputs(graph, {name: before})
        # From float32, since TensorRT makes bytes of nothing else.
        as_float = f"{name} as float32"
        graph.node.append(helper.make_node("Cast", [before], [as_float], to=TensorProto.FLOAT))
        graph.node.append(helper.make_node("Cast", [as_float], [name], to=TensorProto.UINT8))


def _widen_casts(graph: Any, kept: set[str]) -> None:
    """Small numbers become int32 instead of uint8, but where the graph answers with them."""
    from onnx import TensorProto

    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and not kept & {*node.output}:
                attribute.i = TensorProto.INT32 if attribute.i == TensorProto.UINT8 else attribute.i
            for inner in (attribute.g, *attribute.graphs):
                _widen_casts(inner, kept=set())


def _rename_inputs(graph: Any, names: dict[str, str]) -> None:
    """What every node reads, in the bodies of loops and branches too."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename_inputs(inner, names)
