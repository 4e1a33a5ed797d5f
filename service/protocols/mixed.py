"""multipart/mixed: several files in one answer (RFC 2046, 5.1)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MEDIA_TYPE = "multipart/mixed"


@dataclass(frozen=True, slots=True)
class Part:
    headers: Mapping[str, str]
    content: bytes


def join_parts(parts: Sequence[Part]) -> tuple[bytes, str]:
    """The body and its Content-Type. The boundary is so random that no part has it."""
    boundary = secrets.token_hex(16)
    pieces = []
    for part in parts:
        headers = {**part.headers, "Content-Length": str(len(part.content))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        pieces += [f"--{boundary}\r\n{lines}\r\n".encode("latin-1"), part.content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f'{MEDIA_TYPE}; boundary="{boundary}"'
