"""`panoptes health` against a real server, as a container's health check runs it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from service.cli import build
from tests.serving import Running


def ask(monkeypatch: pytest.MonkeyPatch, port: int | None, *options: str) -> Result:
    monkeypatch.setenv("PANOPTES_PORT", str(port))
    monkeypatch.setenv("PANOPTES_HOST", "0.0.0.0")
    return CliRunner().invoke(build(), ["health", *options])


def test_a_server_that_answers_is_alive_and_ready(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = urlsplit(server.url).port
    alive, ready = ask(monkeypatch, port), ask(monkeypatch, port, "--ready")
    assert (alive.exit_code, alive.output) == (0, '{"status":"alive"}\n')
    assert (ready.exit_code, ready.output) == (0, '{"status":"ready"}\n')


def test_one_that_drains_is_alive_but_not_ready(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.serving, "draining", True)
    port = urlsplit(server.url).port
    assert ask(monkeypatch, port).exit_code == 0
    ready = ask(monkeypatch, port, "--ready")
    assert ready.exit_code == 1
    assert "draining" in ready.output


def test_where_nobody_listens_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = ask(monkeypatch, 1)
    assert nobody.exit_code == 1
    assert "no answer from localhost:1" in nobody.output
