"""What may be fetched, from real servers of this machine that a test lets pass for public ones."""

from __future__ import annotations

import base64
import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.access.fetch import Fetcher, is_public, is_url
from service.errors import BadImageError, ForbiddenError, ImageTooLargeError
from tests.bundles import write_tiny_classifier
from tests.serving import picture, running

LIMIT_BYTES = 1000


@contextlib.contextmanager
def web(answer: Any) -> Iterator[tuple[int, list[str]]]:
    """A web server on this machine: its port, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers['Host']} {self.path}")
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(body: bytes, status: int = 200, **headers: str) -> Any:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def fetcher(*hosts: str, **more: Any) -> Fetcher:
    """One for which every name is this machine, and this machine public."""
    given: dict[str, Any] = {
        "max_bytes": LIMIT_BYTES,
        "timeout_s": 5.0,
        "resolve": lambda host, port: ["127.0.0.1"],
        "may_connect": lambda address: True,
    }
    return Fetcher(hosts, **(given | more))


def test_a_file_of_a_named_host_is_fetched_once_and_by_its_name() -> None:
    with web(says(b"image")) as (port, asked):
        found = fetcher(f"pictures.example:{port}")
        assert found.fetch_all([f"http://pictures.example:{port}/a.jpg?size=2"]) == [b"image"]
    assert asked == [f"pictures.example:{port} /a.jpg?size=2"]


def test_nothing_is_fetched_unless_hosts_are_named() -> None:
    with pytest.raises(ForbiddenError, match="send the image itself"):
        fetcher().fetch_all(["https://pictures.example/a.jpg"])


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/a.jpg",
        "https://pictures.example.evil.example/a.jpg",
        "https://pictures.example:8443/a.jpg",
        "https://xpictures.example/a.jpg",
        "https://me:secret@pictures.example/a.jpg",
        "ftp://pictures.example/a.jpg",
        "https://below.example/a.jpg",
    ],
)
def test_other_hosts_ports_and_schemes_are_refused(url: str) -> None:
    with pytest.raises(ForbiddenError):
        fetcher("pictures.example", "*.below.example").fetch_all([url])


def test_a_star_stands_for_names_below() -> None:
    found = fetcher("*.below.example", resolve=lambda host, port: [])
    with pytest.raises(ForbiddenError, match=r"a\.below\.example has no public address"):
        found.fetch_all(["https://a.below.example/x"])


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:169.254.169.254"], []]
)
def test_a_name_with_any_private_address_is_refused(addresses: list[str]) -> None:
    found = fetcher("pictures.example", resolve=lambda host, port: addresses, may_connect=is_public)
    with pytest.raises(ForbiddenError, match="no public address"):
        found.fetch_all(["http://pictures.example/a.jpg"])


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        *(
            (address, False)
            for address in (
                *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
                *("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255"),
                *("::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1"),
            )
        ),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_redirect_is_not_followed() -> None:
    with web(says(b"", 302, Location="http://127.0.0.1/secret")) as (port, asked):
        with pytest.raises(BadImageError, match="status 302"):
            fetcher(f"pictures.example:{port}").fetch_all([f"http://pictures.example:{port}/"])
        assert len(asked) == 1


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_that_is_too_large_is_given_up(declared: bool) -> None:
    body = bytes(LIMIT_BYTES + 1)
    headers = {"Content-Length": str(len(body))} if declared else {}
    with web(says(body, **headers)) as (port, _), pytest.raises(ImageTooLargeError):
        fetcher(f"pictures.example:{port}").fetch_all([f"http://pictures.example:{port}/"])


def test_a_server_that_drips_is_given_up() -> None:
    over = threading.Event()

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(0.05):
            handler.wfile.write(b".")
            handler.wfile.flush()

    with web(drip) as (port, _):
        slow = fetcher(f"pictures.example:{port}", timeout_s=0.3)
        try:
            with pytest.raises(BadImageError, match="took too long"):
                slow.fetch_all([f"http://pictures.example:{port}/"])
        finally:
            over.set()


def test_a_request_has_one_time_for_all_its_images() -> None:
    over = threading.Event()
    with web(lambda handler: over.wait(5)) as (port, asked):
        slow = fetcher(f"pictures.example:{port}", timeout_s=0.3)
        with pytest.raises(BadImageError, match="took too long"):
            slow.fetch_all([f"http://pictures.example:{port}/"] * 10)
        over.set()
    assert len(asked) == 1


def test_a_server_fetches_what_json_links_to_if_it_may(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    png = picture("green")
    with web(says(png)) as (port, asked), running(tmp_path) as server:
        url = f"http://pictures.example:{port}/green.png"
        refused = server.client.post("/classify", json={"image": url})
        assert refused.status_code == 403
        assert "send the image itself" in refused.json()["detail"]
        server.serving.fetcher = fetcher(f"pictures.example:{port}", max_bytes=10_000)
        sent = base64.b64encode(picture("red")).decode()
        answer = server.client.post("/classify", json={"images": [sent, url]}).json()
    labels = [image["predictions"][0]["label"] for image in answer["images"]]
    assert labels == ["red", "green"]
    assert len(asked) == 1


def test_base64_is_no_url() -> None:
    assert is_url("https://a/b")
    assert not is_url("aHR0cHM6Ly9hL2I=")
    assert not is_url("data:image/png;base64,aHR0")
