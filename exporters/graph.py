"""A PyTorch module becomes an ONNX graph whose batch is dynamic and whose bytes are reproducible.

B batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, get_args

import onnx_ir as ir
import onnx_ir.passes.common as passes
import torch
from torch import Tensor, nn

from exporters.errors import ExportError, StaticBatchError
from service.bundle import BATCH_AXIS, TensorSpec
from service.bundle.manifest import DType

OPSET: Final = 20
"""The newest that ONNX Runtime 1.22 and TensorRT 10 both run in full."""

ONE_FILE_MAX_BYTES: Final = 1 << 30
"""Weights beyond this lie beside the graph: protobuf ends at 2 GiB."""


def export_graph(
    module: nn.Module, example: Mapping[str, Tensor], outputs: Sequence[str]
) -> ir.Model:
    """The graph of `module.forward(*example.values())`, optimised, checked, without metadata.

    Every tensor has the batch as its first axis. The example's batch is 2 or more (torch takes
    0 and 1 for constants); the graph must not depend on it, and StaticBatchError says if it does.
    """
    if any(part.training for part in module.modules()):
        raise ExportError("the module is in training mode: call eval() before it is exported")
    arguments = tuple(_planar(tensor) for tensor in example.values())
    any_batch = {0: torch.export.Dim.DYNAMIC}
    try:
        with torch.no_grad():
            traced = torch.export.export(
                module, arguments, dynamic_shapes=[any_batch] * len(arguments), strict=False
            )
        program = torch.onnx.export(
            traced,
            input_names=list(example),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    except Exception as error:  # torch raises a dozen unrelated types here
        raise _as_export_error(error) from error
    assert program is not None
    model = program.model
    _set_apart(model)
    _name_the_batch(model)
    return tidy(model)


def tidy(model: ir.Model) -> ir.Model:
    """Without anything that a server does not read: metadata, source paths, inferred shapes."""
    passes.ClearMetadataAndDocStringPass()(model)
    passes.RemoveUnusedNodesPass()(model)
    passes.RemoveUnusedOpsetsPass()(model)
    passes.DeduplicateInitializersPass()(model)
    model.producer_name, model.producer_version = "panoptes", None
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        for value in node.outputs:
            value.metadata_props.clear()
            if not value.is_graph_output():
                value.shape = value.type = None  # the engine infers both anew
    passes.CheckerPass(full_check=True)(model)
    return model


def save_graph(model: ir.Model, path: Path) -> list[Path]:
    """Write the graph; the files that came of it, a second one only where weights lie beside."""
    weights = (value.const_value for value in model.graph.initializers.values())
    if sum(weight.nbytes for weight in weights if weight is not None) <= ONE_FILE_MAX_BYTES:
        proto = ir.to_proto(model)
        del proto.graph.value_info[:]  # the types of weights, which say their own
        path.write_bytes(proto.SerializeToString(deterministic=True))
        return [path]
    beside = path.with_suffix(".weights")
    ir.save(model, path, external_data=beside.name)
    return [path, beside]


def load_graph(path: Path) -> ir.Model:
    """The graph in `path`, its weights in memory."""
    model = ir.load(path)
    ir.external_data.load_to_model(model)
    return model


def drop_output(model: ir.Model, name: str) -> ir.Model:
    """The graph without one of its outputs and without what only that one needed."""
    (dropped,) = (value for value in model.graph.outputs if value.name == name)
    model.graph.outputs.remove(dropped)
    return tidy(model)


def tensor_specs(values: Sequence[ir.Value]) -> tuple[TensorSpec, ...]:
    """What the manifest says of a graph's inputs or outputs."""
    specs = []
    for value in values:
        assert value.name and value.shape is not None and value.dtype is not None
        dtype = "bool" if value.dtype == ir.DataType.BOOL else str(value.dtype.numpy())
        if dtype not in get_args(DType):
            raise ExportError(f"{value.name} is {dtype}, which no bundle carries")
        shape = tuple(axis if isinstance(axis, int) else str(axis.value) for axis in value.shape)
        specs.append(
            TensorSpec.model_validate({"name": value.name, "dtype": dtype, "shape": shape})
        )
    return tuple(specs)


def _set_apart(model: ir.Model) -> None:
    """Give way to the outputs: torch names a value after its operator, such as `embedding`."""
    taken = {value.name for value in model.graph.outputs}
    for node in model.graph:
        for value in node.outputs:
            if value.name in taken and not value.is_graph_output():
                value.name = f"{value.name}.inner"


def _planar(tensor: Tensor) -> Tensor:
    """The same values of an NHWC image, laid out in memory as NCHW.

    A module that permutes NHWC images would be traced as channels-last, for which torch's average
    pooling decomposes into as_strided: a dozen nodes for nothing, since ONNX knows no strides.
    """
    if tensor.dim() == 4 and tensor.dtype == torch.uint8 and tensor.shape[-1] <= 4:
        return tensor.movedim(-1, 1).contiguous().movedim(1, -1)
    return tensor


def _as_export_error(error: BaseException) -> ExportError:
    """What torch says along its chain of errors, with what is known to help."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    said = "\n".join(str(link) for link in chain)
    root = chain[-1]
    if "Constraints violated" in said or "specialized" in said:
        return StaticBatchError(f"the module fixes its batch: {root}")
    if "SplitToSequence" in said:
        return StaticBatchError(
            "the module splits a tensor whose length depends on the batch: slice it instead, "
            "as in x[:b], x[b:] with b = image.shape[0]"
        )
    return ExportError(f"torch cannot export the module: {type(root).__name__}: {root}")


def _name_the_batch(model: ir.Model) -> None:
    """Call the first axis "batch" wherever it is the free symbol that it must be."""
    symbols = set()
    for value in model.graph.inputs:
        symbols.add(_first_axis(value))
    for value in model.graph.outputs:
        axis = _first_axis(value)
        if axis not in symbols:
            raise StaticBatchError(
                f"the first axis of output {value.name} is {axis}, not the batch"
            )
    for value in (*model.graph.inputs, *model.graph.outputs):
        assert value.shape is not None
        value.shape[0] = BATCH_AXIS


def _first_axis(value: ir.Value) -> str:
    if value.shape is None or len(value.shape) == 0:
        raise StaticBatchError(f"{value.name} has no batch axis")
    axis = value.shape[0]
    if isinstance(axis, int) or axis.value is None:
        raise StaticBatchError(
            f"{value.name} is {value.shape}: its batch has become a constant of the graph"
        )
    return str(axis.value)
