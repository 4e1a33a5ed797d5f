"""The least that a server in Python can do, to compare with: body in, the model's work, "{}" out.

No router, no scheduler, no deadline, no answer: what it falls short of the ceiling by is what HTTP,
threads and the interpreter cost anyone.

    python -m benchmarks.bare bundle-folder role 8001
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from pathlib import Path

import uvicorn
from starlette.types import Receive, Scope, Send

from benchmarks.work import Work, work_of
from service.bundle import read_bundle

ANSWER = b"{}"
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


class Bare:
    """An ASGI application: one queue, and a thread a core that takes from it."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._waiting: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()

    def start(self) -> None:
        for _ in os.sched_getaffinity(0):
            threading.Thread(target=self._compute, daemon=True).start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "uvicorn is told that there is no lifespan"
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if body:  # a request for its health has none
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.put((body, done))
            await done
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})

    def _compute(self) -> None:
        while True:
            body, done = self._waiting.get()
            self._work(body)
            done.get_loop().call_soon_threadsafe(done.set_result, None)


def main(folder: str, role: str, port: str) -> None:
    app = Bare(work_of(read_bundle(Path(folder)), role))
    app.start()
    uvicorn.run(app, port=int(port), lifespan="off", access_log=False, log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
