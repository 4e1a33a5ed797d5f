"""The protocol's gRPC messages, built when this is imported: there is no generated code.

They live in a descriptor pool of their own, so that a client of the same protocol can be in the
same process.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

PACKAGE: Final = "inference"
SERVICE: Final = f"{PACKAGE}.GRPCInferenceService"

_MESSAGES: Final = """
ServerLiveRequest
ServerLiveResponse          live bool 1
ServerReadyRequest
ServerReadyResponse         ready bool 1
ModelReadyRequest           name string 1, version string 2
ModelReadyResponse          ready bool 1
ServerMetadataRequest
ServerMetadataResponse      name string 1, version string 2, extensions string* 3
ModelMetadataRequest        name string 1, version string 2
ModelMetadataResponse       name string 1, versions string* 2, platform string 3,
                            inputs .TensorMetadata* 4, outputs .TensorMetadata* 5
ModelMetadataResponse.TensorMetadata
                            name string 1, datatype string 2, shape int64* 3
ModelConfigRequest          name string 1, version string 2
ModelConfigResponse         config ModelConfig 1
ModelConfig                 name string 1, platform string 2, backend string 17,
                            max_batch_size int32 4, input ModelInput* 5, output ModelOutput* 6
ModelInput                  name string 1, data_type DataType 2, dims int64* 4
ModelOutput                 name string 1, data_type DataType 2, dims int64* 3
InferParameter              bool_param bool 1 ?, int64_param int64 2 ?, string_param string 3 ?,
                            double_param double 4 ?, uint64_param uint64 5 ?
InferTensorContents         bool_contents bool* 1, int_contents int32* 2, int64_contents int64* 3,
                            uint_contents uint32* 4, uint64_contents uint64* 5,
                            fp32_contents float* 6, fp64_contents double* 7, bytes_contents bytes* 8
ModelInferRequest           model_name string 1, model_version string 2, id string 3,
                            parameters map 4, inputs .InferInputTensor* 5,
                            outputs .InferRequestedOutputTensor* 6, raw_input_contents bytes* 7
ModelInferRequest.InferInputTensor
                            name string 1, datatype string 2, shape int64* 3, parameters map 4,
                            contents InferTensorContents 5
ModelInferRequest.InferRequestedOutputTensor
                            name string 1, parameters map 2
ModelInferResponse          model_name string 1, model_version string 2, id string 3,
                            parameters map 4, outputs .InferOutputTensor* 5,
                            raw_output_contents bytes* 6
ModelInferResponse.InferOutputTensor
                            name string 1, datatype string 2, shape int64* 3, parameters map 4,
                            contents InferTensorContents 5
"""
"""A message a paragraph: fields as name, type and number. `*` repeats, a dot in front of the type
means one nested here, `map` is from strings to InferParameter, and `?` fields are one choice."""

_DATA_TYPES: Final = (
    *("INVALID", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "STRING", "BF16"),
)
"""Numbered from 0."""


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="panoptes_oip.proto", package=PACKAGE, syntax="proto3")
    data_type = file.enum_type.add(name="DataType")
    for number, name in enumerate(_DATA_TYPES):
        data_type.value.add(name=f"TYPE_{name}", number=number)
    known: dict[str, DescriptorProto] = {}
    for name, fields in _paragraphs():
        outer, _, inner = name.rpartition(".")
        message = known[outer].nested_type.add() if outer else file.message_type.add()
        message.name = inner
        known[name] = message
        for field in filter(None, (text.strip() for text in fields.split(","))):
            _add_field(message, f".{PACKAGE}.{name}", field.split())
    return file


def _paragraphs() -> list[tuple[str, str]]:
    paragraphs: list[tuple[str, str]] = []
    for line in _MESSAGES.strip().splitlines():
        if line.startswith(" "):
            name, fields = paragraphs[-1]
            paragraphs[-1] = name, f"{fields} {line}"
        else:
            name, _, fields = line.partition(" ")
            paragraphs.append((name, fields))
    return paragraphs


def _add_field(message: DescriptorProto, path: str, words: list[str]) -> None:
    name, kind, number, *choice = words
    field = message.field.add(name=name, number=int(number))
    repeats = kind.endswith("*") or kind == "map"
    kind = kind.rstrip("*")
    field.label = (
        FieldDescriptorProto.LABEL_REPEATED if repeats else FieldDescriptorProto.LABEL_OPTIONAL
    )
    if choice:
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
    if kind == "map":
        entry = message.nested_type.add(name="ParametersEntry")
        entry.options.map_entry = True
        _add_field(entry, path, ["key", "string", "1"])
        _add_field(entry, path, ["value", "InferParameter", "2"])
        kind = ".ParametersEntry"
    if kind[0].isupper() or kind[0] == ".":
        field.type = (
            FieldDescriptorProto.TYPE_ENUM
            if kind == "DataType"
            else FieldDescriptorProto.TYPE_MESSAGE
        )
        field.type_name = f"{path}{kind}" if kind[0] == "." else f".{PACKAGE}.{kind}"
    else:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())


def message(name: str) -> Any:
    """The class of a message of the protocol."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
