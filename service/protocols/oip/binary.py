"""Bodies of the REST form: JSON, or JSON with raw tensors behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from service.errors import RequestError
from service.protocols.oip.datatypes import from_buffer, from_list, name_of, to_buffer
from service.protocols.oip.inference import Answer, Input

HEADER_LENGTH = "inference-header-content-length"


@dataclass(frozen=True)
class Asked:
    """A request as it was read."""

    id: str
    inputs: tuple[Input, ...]
    outputs: Mapping[str, bool]
    """The outputs that are wanted, all if none is named, and whether each comes as raw bytes."""
    binary_by_default: bool
    timeout_us: object


def read_request(body: bytes, header_length: bytes | None) -> Asked:
    """The request in a body; `header_length` is where its JSON ends and raw tensors begin."""
    head, tail = _split(body, header_length)
    try:
        document = orjson.loads(head)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the JSON is malformed: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise RequestError("a request is an object with a list of inputs")
    parameters = _object(document, "parameters")
    by_default = parameters.get("binary_data_output") is True
    inputs, at = [], 0
    for described in document["inputs"]:
        tensor, at = _read_input(described, tail, at)
        inputs.append(tensor)
    if at != len(tail):
        raise RequestError(f"{len(tail) - at} bytes are left behind the last tensor")
    outputs = {}
    for described in document.get("outputs", []):
        binary = _object(described, "parameters").get("binary_data", by_default)
        outputs[_text(described, "name")] = binary is True
    return Asked(
        id=str(document.get("id", "")),
        inputs=tuple(inputs),
        outputs=outputs,
        binary_by_default=by_default,
        timeout_us=parameters.get("timeout"),
    )


def write_answer(answer: Answer, asked: Asked) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON if raw tensors follow it."""
    described, raw = [], []
    for name, array in answer.outputs.items():
        entry: dict[str, Any] = {
            "name": name,
            "datatype": name_of(array.dtype.name),
            "shape": list(array.shape),
        }
        if asked.outputs.get(name, asked.binary_by_default):
            raw.append(to_buffer(array))
            entry["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            entry["data"] = array.ravel().tolist()
        described.append(entry)
    document = {
        "model_name": answer.served.name,
        "model_version": answer.served.version,
        "outputs": described,
    }
    if asked.id:
        document["id"] = asked.id
    head = orjson.dumps(document)
    return (b"".join([head, *raw]), len(head)) if raw else (head, None)


def _split(body: bytes, header_length: bytes | None) -> tuple[bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    length = int(header_length) if header_length.isdigit() else -1
    if not 0 < length <= len(body):
        raise RequestError("Inference-Header-Content-Length is not a length within the body")
    return body[:length], memoryview(body)[length:]


def _read_input(described: Any, tail: memoryview, at: int) -> tuple[Input, int]:
    """A tensor, and where in the raw bytes the next one begins."""
    name, datatype = _text(described, "name"), _text(described, "datatype")
    shape = described.get("shape")
    if not isinstance(shape, list) or not all(type(axis) is int for axis in shape):
        raise RequestError(f"{name}: the shape is a list of whole numbers")
    size = _object(described, "parameters").get("binary_data_size")
    if size is None:
        return Input(name, tuple(shape), from_list(described.get("data"), datatype, shape)), at
    if type(size) is not int or not 0 <= size <= len(tail) - at:
        raise RequestError(f"{name}: binary_data_size goes beyond the body")
    return Input(name, tuple(shape), from_buffer(tail[at : at + size], datatype, shape)), at + size


def _text(described: Any, key: str) -> str:
    if not isinstance(described, dict) or not isinstance(described.get(key), str):
        raise RequestError(f"a tensor is an object with a {key}")
    return str(described[key])


def _object(described: Any, key: str) -> dict[str, Any]:
    value = described.get(key, {}) if isinstance(described, dict) else None
    if not isinstance(value, dict):
        raise RequestError(f"{key} is an object")
    return value
