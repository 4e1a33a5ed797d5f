"""Limits hold while the body arrives, and a client that leaves takes its work with it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundles import write_tiny_classifier
from tests.serving import Running, picture, running


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(repository)
    with running(repository, max_body_bytes=100_000, max_images=3, max_image_pixels=10_000) as s:
        yield s


def endless(chunk: bytes, limit: int) -> Iterator[bytes]:
    sent = 0
    while sent < limit:
        yield chunk
        sent += len(chunk)


def test_a_body_that_declares_too_much_is_refused_before_it_arrives(small: Running) -> None:
    with socket.create_connection(("127.0.0.1", int(small.url.rsplit(":", 1)[1])), 10) as raw:
        raw.sendall(b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_cut_off_at_the_limit(small: Running) -> None:
    response = small.client.post("/classify", content=endless(b"x" * 10_000, 200_000))
    assert response.status_code == 413


def test_too_many_images_are_refused(small: Running) -> None:
    response = small.client.post("/classify", files=[("image", picture())] * 4)
    assert response.status_code == 413
    assert "at most 3" in response.json()["detail"]


def test_too_many_pixels_are_refused(small: Running) -> None:
    response = small.client.post("/classify", content=picture(size=(200, 100)))
    assert response.status_code == 413
    assert "200×100" in response.json()["detail"]


def test_a_multipart_body_cut_short_is_a_bad_request(small: Running) -> None:
    whole = small.client.build_request("POST", "/classify", files={"image": picture()})
    response = small.client.post(
        "/classify",
        content=whole.read()[:-30],
        headers={"Content-Type": whole.headers["content-type"]},
    )
    assert response.status_code == 400


def test_a_client_that_leaves_cancels_what_has_not_run(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path, matmuls=30)
    with running(tmp_path, workers=1) as server:
        port = int(server.url.rsplit(":", 1)[1])
        image = picture()
        head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(image)}\r\n\r\n"
        leaving = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(8)]
        for connection in leaving:
            connection.sendall(head.encode() + image)
        lane = server.serving.device.scheduler.lanes[0]
        wait_until(lambda: lane.pending == 8)
        for connection in leaving:
            connection.close()
        wait_until(lambda: lane.pending == 0)
        cancelled = server.metric(
            "panoptes_settled_total", lane="tiny:1/classify", outcome="cancelled"
        )
        assert cancelled >= 5, "all but what ran already"
        assert server.client.post("/classify", content=image).status_code == 200


def wait_until(condition, timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)
