"""Images by URL, from hosts that were named and from nowhere else.

A server that fetches what a caller names can be made to ask its own network. So: https or http on
their own ports, hosts of a list, public addresses only, looked up once and then connected to, no
redirects, and no more bytes or seconds than an image is worth.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

from service.errors import BadImageError, ForbiddenError, ImageTooLargeError

PORTS: Final = {"http": 80, "https": 443}
CHUNK_BYTES: Final = 64 << 10

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a host."""


def is_url(text: str) -> bool:
    """Whether this is an address rather than base64, in which there is no colon."""
    return text.startswith(("https://", "http://"))


def is_public(address: str) -> bool:
    """Whether an address is anyone's: not of this machine, this network or a special purpose."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_global and not parsed.is_multicast


def addresses_of(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


class Fetcher:
    """Blocks: for a thread of its own. `hosts` are names, or `*.name` for all below one."""

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        max_bytes: int,
        timeout_s: float,
        resolve: Resolve = addresses_of,
        may_connect: Callable[[str], bool] = is_public,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._hosts = tuple(host.lower() for host in hosts)
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._resolve = resolve
        self._may_connect = may_connect
        self._trust = trust

    def fetch_all(self, urls: Sequence[str]) -> list[bytes]:
        """The files in order, all within the time for one request."""
        ends = time.monotonic() + self._timeout_s
        return [self._fetch(url, ends) for url in urls]

    def _fetch(self, url: str, ends: float) -> bytes:
        """ForbiddenError where it may not be asked, BadImageError where it cannot be had."""
        parts, host, port = self._allowed(url)
        try:
            address = self._address(host, port)
            with self._connected(parts.scheme, host, port, address, _left_s(ends)) as connection:
                return self._read(connection, parts, ends)
        except (OSError, http.client.HTTPException) as error:
            raise BadImageError(f"{host} did not answer with an image: {_word(error)}") from None

    def _allowed(self, url: str) -> tuple[SplitResult, str, int]:
        if not self._hosts:
            raise ForbiddenError("images are not fetched by URL here: send the image itself")
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise BadImageError("the image's URL is malformed") from None
        if parts.scheme not in PORTS or not host or parts.username or parts.password:
            raise ForbiddenError("an image's URL is http or https, with a host and no password")
        if not any(_matches(pattern, host, port) for pattern in self._hosts):
            raise ForbiddenError(f"images are not fetched from {host} here")
        return parts, host, port or PORTS[parts.scheme]

    def _address(self, host: str, port: int) -> str:
        """The one that is connected to. If any is private, someone may be playing with names."""
        addresses = self._resolve(host, port)
        if not addresses or not all(self._may_connect(address) for address in addresses):
            raise ForbiddenError(f"{host} has no public address")
        return addresses[0]

    @contextlib.contextmanager
    def _connected(
        self, scheme: str, host: str, port: int, address: str, timeout_s: float
    ) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        try:
            connection.sock = socket.create_connection((address, port), timeout_s)
            if scheme == "https":
                trust = self._trust or ssl.create_default_context()
                connection.sock = trust.wrap_socket(connection.sock, server_hostname=host)
            yield connection
        finally:
            connection.close()

    def _read(
        self, connection: http.client.HTTPConnection, parts: SplitResult, ends: float
    ) -> bytes:
        wire = connection.sock  # the connection lets go of it where the answer ends with it
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"Accept": "image/*", "User-Agent": "panoptes"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
        if (answer.length or 0) > self._max_bytes:
            raise ImageTooLargeError(f"the image has more than {self._max_bytes} bytes")
        data = bytearray()
        while chunk := answer.read1(CHUNK_BYTES):
            data += chunk
            if len(data) > self._max_bytes:
                raise ImageTooLargeError(f"the image has more than {self._max_bytes} bytes")
            wire.settimeout(_left_s(ends))
        return bytes(data)


def _matches(pattern: str, host: str, port: int | None) -> bool:
    """A pattern with a port allows that port; one without, the scheme's own."""
    name, _, wanted = pattern.partition(":")
    if (int(wanted) if wanted else None) != port:
        return False
    return host == name or (name.startswith("*.") and host.endswith(name[1:]))


def _left_s(ends: float) -> float:
    if (left_s := ends - time.monotonic()) <= 0:
        raise TimeoutError
    return left_s


def _word(error: Exception) -> str:
    return "it took too long" if isinstance(error, TimeoutError) else str(error)
