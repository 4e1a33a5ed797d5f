"""The one request that is sent over and over."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

BOUNDARY = "panoptes-benchmark-boundary"


@dataclass(frozen=True)
class Request:
    """POST `body` to `path` of a server, by default one on this machine."""

    port: int
    path: str
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}{self.path}"

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        head = {
            "Host": f"{self.host}:{self.port}",
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            **self.headers,
        }
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {text}" for name, text in head.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def raw(port: int, path: str, jpeg: bytes) -> Request:
    """The picture's bytes as the body."""
    return Request(port, path, "image/jpeg", jpeg)


def json_base64(port: int, path: str, jpeg: bytes) -> Request:
    """The picture in a document, in the field `image`."""
    body = b'{"image": "%s"}' % base64.b64encode(jpeg)
    return Request(port, path, "application/json", body)


def json_text(port: int, path: str, text: str) -> Request:
    """A document with one text."""
    return Request(port, path, "application/json", orjson.dumps({"texts": [text]}))


def multipart(port: int, path: str, jpeg: bytes) -> Request:
    """The picture as the file of a form, in the field `image`."""
    head = (
        f"--{BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="image"; filename="image.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + jpeg + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Request(port, path, f"multipart/form-data; boundary={BOUNDARY}", body)
