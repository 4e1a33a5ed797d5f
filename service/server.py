"""The process: uvicorn with a drain that load balancers can see."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Coroutine
from types import FrameType

import uvicorn

from service.access.keys import KeyFileError
from service.app import Application
from service.protocols.door import DoorProtocol
from service.protocols.serving import Serving
from service.settings import Settings

log = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """On SIGTERM: /readyz turns 503, service goes on for the notice, then what is left finishes.

    A second signal ends it at once. SIGHUP rescans the repositories and reads the keys again.
    """

    def __init__(
        self, config: uvicorn.Config, serving: Serving, on_ready: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._serving = serving
        self._on_ready = on_ready
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGHUP, self._look_again)
        if self.started:
            self._spawn(self._announce())

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        super().run(sockets or self._ports())

    def _ports(self) -> list[socket.socket] | None:
        """The port for everyone and the one for admin calls; None if uvicorn's own will do."""
        settings = self._serving.settings
        if settings.admin_port is None and not settings.share_port:
            return None
        ports = [_port(settings.host, settings.port, shared=settings.share_port)]
        if settings.admin_port is not None:
            ports.append(_port(settings.admin_host or settings.host, settings.admin_port))
            self._serving.admin_port = ports[1].getsockname()[1]
        return ports

    def _look_again(self) -> None:
        """SIGHUP: for bundles that came or went, and for keys."""
        self._spawn(self._serving.registry.rescan())
        try:
            self._serving.guard.reload()
        except KeyFileError as error:
            log.error("the keys stay as they were: %s", error)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not uvicorn's own, which raises the signal anew at the end: a drained server exits with 0.
        if self._loop is None:  # it does not listen yet
            self.should_exit = True
            return
        if self._serving.draining:
            self.should_exit = self.force_exit = True
            return
        self._serving.draining = True
        self._loop.call_soon_threadsafe(
            self._loop.call_later, self._serving.settings.drain_notice_s, self._exit
        )

    def _exit(self) -> None:
        self.should_exit = True

    async def _announce(self) -> None:
        await self._serving.registry.first_scan.wait()
        if self.should_exit:
            return  # stopped while models were being loaded
        # What is here now stays: collections need not look through it again and again.
        gc.collect()
        gc.freeze()
        host, port = self.servers[0].sockets[0].getsockname()[:2]  # with port 0 the system chose
        here = host in ("127.0.0.1", "0.0.0.0", "::1", "::")
        self._on_ready(f"http://{'localhost' if here else host}:{port}")

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _port(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Taken; nobody listens on it yet."""
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.bind((host, port))
    return opened


def make_server(
    app: Application, settings: Settings, *, on_ready: Callable[[str], None]
) -> DrainingServer:
    """`on_ready` hears the server's URL once it listens and its models are loaded."""
    config = uvicorn.Config(
        app,
        http=functools.partial(DoorProtocol, meet=app.meet),  # type: ignore[arg-type]
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=int(settings.drain_s) + 1,
    )
    return DrainingServer(config, app.serving, on_ready)
