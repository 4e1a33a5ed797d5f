"""What a body carries, images, texts and options: raw bytes, multipart, or JSON with base64."""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import QueryParams
from starlette.types import Receive

from service.access.fetch import Fetcher, is_url
from service.errors import (
    BadImageError,
    ClientGoneError,
    InvalidOptionError,
    PayloadTooLargeError,
    RequestError,
    UnsupportedMediaError,
)
from service.settings import Settings

INLINE_BYTES = 64 << 10
"""Larger multipart and JSON bodies are taken apart off the event loop."""
MAX_OPTION_BYTES = 64 << 10

# What curl --data-binary and others send when nobody told them what the bytes are.
_RAW = ("image/", "application/octet-stream", "application/x-www-form-urlencoded")


_IMAGES, _TEXTS = ("image", "images"), ("text", "texts")


@dataclass(slots=True)
class Body:
    inputs: list[bytes | str] = field(default_factory=list)
    """Images, and texts where they are asked for, in the order sent."""
    options: dict[str, Any] = field(default_factory=dict)
    links: dict[int, str] = field(default_factory=dict)
    """Where among the inputs an image is still to be fetched, and from where."""

    @property
    def images(self) -> list[bytes]:
        return [each for each in self.inputs if isinstance(each, bytes)]

    @property
    def texts(self) -> list[str]:
        return [each for each in self.inputs if isinstance(each, str)]


async def read_images(
    receive: Receive, headers: Mapping[bytes, bytes], settings: Settings, fetcher: Fetcher
) -> Body:
    """The whole body, as far as the settings allow; at least one image."""
    body = await read_inputs(receive, headers, settings, fetcher, with_texts=False)
    if not any(body.inputs):
        raise BadImageError("there is no image in the request")
    if len(body.inputs) > settings.max_images:
        raise too_many(len(body.inputs), "images", settings.max_images)
    return body


async def read_inputs(
    receive: Receive,
    headers: Mapping[bytes, bytes],
    settings: Settings,
    fetcher: Fetcher,
    *,
    with_texts: bool = True,
) -> Body:
    """The whole body, and the images that it links to; without texts, `text` is an option."""
    data = await read_bytes(receive, headers, max_bytes=settings.max_body_bytes)
    if len(data) <= INLINE_BYTES or is_raw(headers):
        body = take_apart(data, headers, with_texts=with_texts)
    else:
        body = await asyncio.to_thread(take_apart, data, headers, with_texts=with_texts)
    if body.links:
        await _follow(body, settings, fetcher)
    return body


async def _follow(body: Body, settings: Settings, fetcher: Fetcher) -> None:
    """Put the images that were fetched in the places that their links held."""
    if len(body.links) > settings.max_images:
        raise too_many(len(body.links), "images", settings.max_images)
    images = await asyncio.to_thread(fetcher.fetch_all, list(body.links.values()))
    for place, image in zip(body.links, images, strict=True):
        body.inputs[place] = image


def check_inputs(inputs: Sequence[bytes | str], settings: Settings) -> None:
    """RequestError where there is more of anything than a request may have, or nothing at all."""
    texts = [each for each in inputs if isinstance(each, str)]
    if (images := len(inputs) - len(texts)) > settings.max_images:
        raise too_many(images, "images", settings.max_images)
    if len(texts) > settings.max_texts:
        raise too_many(len(texts), "texts", settings.max_texts)
    for place, text in enumerate(texts):
        if not text.strip():
            raise InvalidOptionError(f"text {place} is empty")
        if len(text) > settings.max_text_chars:
            raise PayloadTooLargeError(
                f"text {place} has {len(text)} letters; at most {settings.max_text_chars} are read"
            )


def too_many(count: int, what: str, most: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"{count} {what} in one request; at most {most} are accepted")


def is_lone_image(headers: Mapping[bytes, bytes], *, max_bytes: int) -> bool:
    """Whether the body is one image, of a known size that is read."""
    return 0 < declared_bytes(headers) <= max_bytes and is_raw(headers)


def is_raw(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the body is what it carries, and nothing around it."""
    return _kind_of(headers)[1].startswith(_RAW)


def _kind_of(headers: Mapping[bytes, bytes]) -> tuple[str, str]:
    """The media type of the body as it was sent, and without its parameters."""
    return _read_kind(headers.get(b"content-type", b"application/octet-stream"))


@functools.lru_cache(maxsize=256)
def _read_kind(header: bytes) -> tuple[str, str]:
    kind = header.decode("latin-1")
    return kind, kind.split(";", 1)[0].strip().lower()


def declared_bytes(headers: Mapping[bytes, bytes]) -> int:
    declared = headers.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() else 0


async def read_bytes(receive: Receive, headers: Mapping[bytes, bytes], *, max_bytes: int) -> bytes:
    size = declared_bytes(headers)
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


def options_in_query(query: bytes) -> dict[str, Any]:
    """Each parameter's value; of one that is repeated, all of them."""
    params = QueryParams(query)
    return {
        name: values[0] if len(values := params.getlist(name)) == 1 else values for name in params
    }


def take_apart(data: bytes, headers: Mapping[bytes, bytes], *, with_texts: bool) -> Body:
    """What is in a whole body. The images that it links to are still to be fetched."""
    kind, essence = _kind_of(headers)
    if essence.startswith(_RAW):
        return Body([data])
    if essence == "multipart/form-data":
        return _from_multipart(data, kind, with_texts)
    if essence == "application/json":
        return _from_json(data, with_texts)
    raise UnsupportedMediaError(
        f"{essence} is not read here; send the image's bytes, multipart/form-data, or JSON"
    )


def _from_multipart(data: bytes, kind: str, with_texts: bool) -> Body:
    """File parts are images, whatever their name; the other parts are texts or options."""
    boundary = parse_options_header(kind)[1].get(b"boundary")
    if not boundary:
        raise RequestError("multipart/form-data without a boundary")
    parts = _Parts(with_texts)
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

    def __init__(self, with_texts: bool) -> None:
        self.body = Body()
        self._texts = _TEXTS if with_texts else ()
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
        if b"filename" in disposition or name in _IMAGES:
            self.body.inputs.append(content)
        elif len(content) > MAX_OPTION_BYTES:
            raise PayloadTooLargeError(f"the field {name!r} has {len(content)} bytes")
        elif name in self._texts:
            self.body.inputs.append(content.decode("utf-8", "replace"))
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


def _from_json(data: bytes, with_texts: bool) -> Body:
    """`image` (one) or `images` (many), base64 with or without a data: prefix, or a URL; `text`
    and `texts` as they are; options beside."""
    body = Body()
    for name, value in json_object(data).items():
        one_or_many = [] if value is None else value if isinstance(value, list) else [value]
        if name in _IMAGES:
            for each in one_or_many:
                _add_image(body, each)
        elif name in _TEXTS and with_texts:
            body.inputs += [_text(each) for each in one_or_many]
        else:
            body.options[name] = value
    return body


def json_object(data: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the JSON body is malformed: {error}") from None
    if not isinstance(document, dict):
        raise RequestError("the JSON body must be an object")
    return document


def _add_image(body: Body, value: object) -> None:
    if isinstance(value, str) and is_url(value):
        body.links[len(body.inputs)] = value
        body.inputs.append(b"")  # until it is fetched
    else:
        body.inputs.append(image_of_text(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise RequestError("a text in JSON is a string")
    return value


def image_of_text(text: object) -> bytes:
    """An image's bytes of base64, with or without a data: prefix."""
    if not isinstance(text, str):
        raise RequestError("an image in JSON is a base64 string")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadImageError("an image in JSON is not valid base64") from None
