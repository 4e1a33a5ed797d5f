"""The images and options that a body carries: raw bytes, multipart, or JSON with base64."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Receive

from service.errors import (
    BadImageError,
    ClientGoneError,
    PayloadTooLargeError,
    RequestError,
    UnsupportedMediaError,
)

INLINE_BYTES = 64 << 10
"""Larger multipart and JSON bodies are taken apart off the event loop."""
MAX_OPTION_BYTES = 64 << 10

# What curl --data-binary and others send when nobody told them what the bytes are.
_RAW = ("image/", "application/octet-stream", "application/x-www-form-urlencoded")


@dataclass(slots=True)
class Body:
    images: list[bytes] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


async def read_images(
    receive: Receive, headers: Mapping[bytes, bytes], *, max_bytes: int, max_images: int
) -> Body:
    """The whole body, never more than `max_bytes` of it; at least one image."""
    data = await read_bytes(receive, headers, max_bytes=max_bytes)
    kind = headers.get(b"content-type", b"application/octet-stream").decode("latin-1")
    essence = kind.split(";", 1)[0].strip().lower()
    if essence.startswith(_RAW):
        body = Body([data])
    elif len(data) <= INLINE_BYTES:
        body = _take_apart(data, essence, kind)
    else:
        body = await asyncio.to_thread(_take_apart, data, essence, kind)
    if not any(body.images):
        raise BadImageError("there is no image in the request")
    if len(body.images) > max_images:
        raise PayloadTooLargeError(
            f"{len(body.images)} images in one request; at most {max_images} are accepted"
        )
    return body


async def read_bytes(receive: Receive, headers: Mapping[bytes, bytes], *, max_bytes: int) -> bytes:
    declared = headers.get(b"content-length", b"0")
    size = int(declared) if declared.isdigit() else 0
    chunks: list[bytes] = []
    received = 0
    while True:
        if max(size, received) > max_bytes:
            raise PayloadTooLargeError(f"the body is larger than {max_bytes} bytes")
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client went away while it sent the body")
        if chunk := message.get("body", b""):
            chunks.append(chunk)
            received += len(chunk)
        if not message.get("more_body", False) and received <= max_bytes:
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _take_apart(data: bytes, essence: str, kind: str) -> Body:
    if essence == "multipart/form-data":
        return _from_multipart(data, kind)
    if essence == "application/json":
        return _from_json(data)
    raise UnsupportedMediaError(
        f"{essence} is not read here; send the image's bytes, multipart/form-data, or JSON"
    )


def _from_multipart(data: bytes, kind: str) -> Body:
    """File parts are images, whatever their name; the other parts are options."""
    boundary = parse_options_header(kind)[1].get(b"boundary")
    if not boundary:
        raise RequestError("multipart/form-data without a boundary")
    parts = _Parts()
    parser = MultipartParser(boundary, callbacks=parts.callbacks())  # type: ignore[arg-type]
    try:
        parser.write(data)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(f"the multipart body is malformed: {error}") from None
    if not parts.complete:
        raise RequestError("the multipart body ends too early")
    return parts.body


class _Parts:
    """Collects what the parser calls out."""

    def __init__(self) -> None:
        self.body = Body()
        self.complete = False
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._pieces: list[bytes] = []

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._headers, self._pieces = {}, []

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end(self) -> None:
        disposition = parse_options_header(self._headers.get(b"content-disposition"))[1]
        name = disposition.get(b"name", b"").decode("utf-8", "replace")
        content = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if b"filename" in disposition or name in ("image", "images"):
            self.body.images.append(content)
        elif len(content) > MAX_OPTION_BYTES:
            raise PayloadTooLargeError(f"the option {name!r} has {len(content)} bytes")
        else:
            self._add_option(name, content.decode("utf-8", "replace"))

    def _add_option(self, name: str, value: str) -> None:
        """A field that is repeated becomes a list."""
        options = self.body.options
        if name not in options:
            options[name] = value
        elif isinstance(options[name], list):
            options[name].append(value)
        else:
            options[name] = [options[name], value]

    def _finish(self) -> None:
        self.complete = True


def _from_json(data: bytes) -> Body:
    """`image` (one) or `images` (many), base64 with or without a data: prefix; options beside."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the JSON body is malformed: {error}") from None
    if not isinstance(document, dict):
        raise RequestError("the JSON body must be an object")
    one, many = document.pop("image", None), document.pop("images", [])
    texts = [*([] if one is None else [one]), *(many if isinstance(many, list) else [many])]
    return Body([_from_base64(text) for text in texts], document)


def _from_base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise RequestError("an image in JSON is a base64 string")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadImageError("an image in JSON is not valid base64") from None
