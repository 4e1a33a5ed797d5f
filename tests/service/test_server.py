"""The process as an operator sees it: the command, its signals, its end."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.app import create_app
from service.server import make_server
from service.settings import Settings
from tests.bundles import write_tiny_classifier
from tests.serving import picture

START_S = 20.0


@contextmanager
def panoptes_serve(
    repository: Path, *, port: int = 0, **environment: str
) -> Iterator[tuple[subprocess.Popen, str]]:
    """`panoptes serve` as a process of its own, once it says that it is ready."""
    command = [Path(sys.executable).with_name("panoptes"), "serve", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--repository", repository],
        env={**os.environ, **environment, "NO_COLOR": "1", "COLUMNS": "200"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    try:
        for line in process.stderr:
            said.append(line)
            if match := re.search(r"Panoptes is ready: open http://localhost:(\d+)", line):
                break
        else:
            raise AssertionError("it did not start:\n" + "".join(said))
        # Nobody reads the rest, which must not fill the pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield process, f"http://127.0.0.1:{match[1]}"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(START_S)
        process.stderr.close()


def test_sigterm_under_load_loses_nothing(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path, matmuls=4)
    image = picture()
    statuses: list[int] = []

    with panoptes_serve(tmp_path) as (process, url):

        def ask() -> None:
            with httpx.Client(base_url=url, timeout=30.0) as client:
                while True:
                    try:
                        statuses.append(client.post("/classify", content=image).status_code)
                    except httpx.ConnectError:
                        return  # it listens no more
                    except httpx.RemoteProtocolError:
                        # An idle connection that it closed as this request was on its way: the
                        # server had not read it, and says so by closing without a byte.
                        return

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(statuses) < 20:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(START_S)
        assert process.wait(START_S) == 0
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 20


def test_sigterm_is_seen_by_the_load_balancer_first(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with (
        panoptes_serve(tmp_path, PANOPTES_DRAIN_NOTICE_S="0.6") as (process, url),
        httpx.Client(base_url=url) as client,
    ):
        assert client.get("/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        while (ready := client.get("/readyz")).status_code == 200:
            time.sleep(0.01)
        assert ready.json()["reason"] == "draining"
        assert client.post("/classify", content=picture()).status_code == 200
        assert process.wait(START_S) == 0


@pytest.mark.parametrize("when", ["before it listens", "while models are being loaded"])
def test_stopped_before_it_is_ready_it_goes_quietly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    write_tiny_classifier(tmp_path)
    settings = Settings(port=0, repositories=(str(tmp_path),), drain_notice_s=0)
    app = create_app(settings)
    said: list[str] = []
    server = make_server(app, settings, on_ready=said.append)

    def stop() -> None:
        server.handle_exit(signal.SIGTERM, None)

    if when == "before it listens":
        stop()
    else:
        find = app.serving.registry._list

        def list_and_stop() -> Any:
            stop()
            return find()

        app.serving.registry._list = list_and_stop  # type: ignore[method-assign]
    server.run()

    assert not said
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_servers_that_share_a_port_answer_in_turns_once_each_is_ready(tmp_path: Path) -> None:
    repositories = [tmp_path / name for name in "ab"]
    for repository in repositories:
        write_tiny_classifier(repository, name=repository.name, matmuls=4)
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]

    def answers(count: int) -> set[str]:
        """Whose, each over a connection of its own."""
        return {
            httpx.post(f"http://127.0.0.1:{port}/classify", content=picture()).headers["x-model"]
            for _ in range(count)
        }

    shared = {"PANOPTES_SHARE_PORT": "true", "PANOPTES_WORKERS": "1"}
    with panoptes_serve(repositories[0], port=port, **shared) as (first, _):
        assert answers(8) == {"a:1"}
        said: set[str] = set()
        joined = threading.Event()

        def ask_meanwhile() -> None:
            while not joined.is_set():
                said.update(answers(1))  # KeyError, were one to listen before it can answer

        asking = ThreadPoolExecutor(1).submit(ask_meanwhile)
        with panoptes_serve(repositories[1], port=port, **shared):
            joined.set()
            asking.result(START_S)
            assert said | answers(64) == {"a:1", "b:1"}
            first.send_signal(signal.SIGTERM)
            assert first.wait(START_S) == 0
            assert answers(8) == {"b:1"}


def test_a_port_is_not_shared_unasked(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    command = [Path(sys.executable).with_name("panoptes"), "serve", "--repository", tmp_path]
    with panoptes_serve(tmp_path) as (_, url):
        environment = {**os.environ, "PANOPTES_PORT": url.rpartition(":")[2]}
        second = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=START_S
        )
    assert second.returncode != 0
    assert "address already in use" in second.stderr


def test_who_has_asked_when_it_ends_is_answered_though_nobody_had_listened_yet(
    tmp_path: Path,
) -> None:
    write_tiny_classifier(tmp_path)
    settings = Settings(port=0, repositories=(str(tmp_path),))
    started: Queue[str] = Queue()
    server = make_server(create_app(settings), settings, on_ready=started.put)
    thread = threading.Thread(target=server.run)
    thread.start()
    client = http.client.HTTPConnection(urlsplit(started.get(timeout=START_S)).netloc)
    client.request("POST", "/classify", picture())
    assert client.getresponse().read()  # the connection is idle now, and stays
    busy, asked = threading.Event(), threading.Event()

    def end_after_the_question() -> None:
        busy.set()
        assert asked.wait(START_S)
        for connection in list(server.server_state.connections):
            connection.shutdown()
        server.should_exit = True

    assert server._loop is not None
    server._loop.call_soon_threadsafe(end_after_the_question)
    assert busy.wait(START_S)
    client.request("POST", "/classify", picture())
    asked.set()
    answer = client.getresponse()
    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    thread.join(START_S)
    assert not thread.is_alive()


def test_sighup_finds_new_versions(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    with panoptes_serve(tmp_path) as (process, url), httpx.Client(base_url=url) as client:
        write_tiny_classifier(tmp_path, version=2)
        process.send_signal(signal.SIGHUP)
        end = time.monotonic() + START_S
        while client.post("/classify", content=picture()).headers["x-model"] != "tiny:2":
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_repository_that_is_no_folder_is_said_at_once(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("panoptes"), "serve", "--repository", tmp_path / "no"]
    ended = subprocess.run(
        command,
        env={**os.environ, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert ended.returncode == 2
    assert "is not a folder" in ended.stderr
