"""The real server on a free port of this machine, and pictures to send to it."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from service.app import Application, create_app
from service.protocols.serving import Serving
from service.server import make_server
from service.settings import Settings

START_S = 20.0


@dataclass(frozen=True)
class Running:
    url: str
    app: Application
    client: httpx.Client

    @property
    def serving(self) -> Serving:
        return self.app.serving

    def metric(self, name: str, **labels: str) -> float:
        value = self.serving.metrics.registry.get_sample_value(name, labels)
        return 0.0 if value is None else value


@contextlib.contextmanager
def running(repository: Path, **settings: Any) -> Iterator[Running]:
    """A server in a thread, its models loaded; stopped, drained and joined at the end."""
    chosen = Settings(port=0, repositories=(str(repository),), **settings)
    app = create_app(chosen)
    urls: list[str] = []
    ready = threading.Event()

    def on_ready(url: str) -> None:
        urls.append(url.replace("localhost", "127.0.0.1"))
        ready.set()

    server = make_server(app, chosen, on_ready=on_ready)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    try:
        assert ready.wait(START_S), "the server did not start"
        with httpx.Client(base_url=urls[0], timeout=30.0) as client:
            yield Running(urls[0], app, client)
    finally:
        server.should_exit = True
        thread.join(START_S)
        assert not thread.is_alive(), "the server did not stop"


def picture(colour: str = "red", *, size: tuple[int, int] = (64, 48), form: str = "PNG") -> bytes:
    """A plain image in a file format that Pillow writes."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()
