"""The protocol's data types, and how their elements lie in a buffer."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.errors import RequestError

BYTES: Final = "BYTES"
"""Strings of bytes of any length: each behind its length, four bytes, little-endian."""

_DTYPES: Final = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "INT8": np.dtype(np.int8),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
}
_NAMES: Final = {dtype.name: name for name, dtype in _DTYPES.items()}

Array = NDArray[np.generic]
Tensor = Array | list[bytes]
"""Numbers with their shape, or the elements of a BYTES tensor in order."""


def name_of(dtype: str) -> str:
    """What the protocol calls a numpy dtype of a manifest."""
    return _NAMES[dtype]


def dtype_of(name: str) -> np.dtype[np.generic]:
    if name not in _DTYPES:
        raise RequestError(f"the data type {name!r} is not spoken here; {', '.join(_DTYPES)} are")
    return _DTYPES[name]


def from_buffer(data: bytes | memoryview, datatype: str, shape: Sequence[int]) -> Tensor:
    """A tensor from its raw bytes; numbers are a view of them."""
    count = _count(shape)
    if datatype == BYTES:
        elements = _split(data)
        if len(elements) != count:
            raise RequestError(f"{len(elements)} byte strings where the shape says {count}")
        return elements
    dtype = dtype_of(datatype)
    if len(data) != count * dtype.itemsize:
        raise RequestError(
            f"{len(data)} bytes where {list(shape)} of {datatype} has {count * dtype.itemsize}"
        )
    return np.frombuffer(data, dtype).reshape(shape)


def from_list(data: object, datatype: str, shape: Sequence[int]) -> Tensor:
    """A tensor from JSON: nested lists, or one flat list in row-major order."""
    count = _count(shape)
    if datatype == BYTES:
        elements = [_as_bytes(element) for element in _flat(data)]
        if len(elements) != count:
            raise RequestError(f"{len(elements)} strings where the shape says {count}")
        return elements
    dtype = dtype_of(datatype)
    try:
        array = np.asarray(data, dtype=dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(f"the data is not {datatype}: {error}") from None
    if array.size != count:
        raise RequestError(f"{array.size} values where the shape {list(shape)} has {count}")
    return array.reshape(shape)


def to_buffer(array: Array) -> bytes:
    """The raw bytes of a tensor of numbers."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def _count(shape: Sequence[int]) -> int:
    if not shape or min(shape) < 0:
        raise RequestError(f"{list(shape)} is no shape of a batch")
    return math.prod(shape)


def _split(data: bytes | memoryview) -> list[bytes]:
    elements, at, end = [], 0, len(data)
    while at < end:
        if at + 4 > end:
            raise RequestError("a BYTES tensor ends inside a length")
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if at + length > end:
            raise RequestError("a BYTES tensor ends inside an element")
        elements.append(bytes(data[at : at + length]))
        at += length
    return elements


def _flat(data: object) -> list[object]:
    if not isinstance(data, list):
        return [data]
    return [element for part in data for element in _flat(part)]


def _as_bytes(element: object) -> bytes:
    if not isinstance(element, str):
        raise RequestError("an element of a BYTES tensor is a string in JSON")
    return element.encode()
