"""A load generator in a process of its own: closed loops, and open loops with Poisson arrivals.

    python -m service.load.generator < plan.json > report.json

In an open loop a request is sent when its time has come, whether or not earlier ones were
answered, and its latency counts from that time: a slow server cannot slow the clock that it is
measured by (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import dataclasses
import gc
import subprocess
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from service.load.connection import LOST, Connection
from service.load.latency import Outcome, Report, report_of
from service.load.request import Request

CONNECTIONS_MAX = 2048
ARRIVALS_MAX = 200_000
CLOCK_STEP_S = 0.001
"""The event loop's timers go by milliseconds."""
START_S = 60.0
"""The most that its start may take."""
ANSWER_GRACE_S = 3.0
"""How long after the last deadline an answer may come before it counts as lost."""


@dataclass(frozen=True)
class Plan:
    """What to send: `concurrency` at a time (closed loop), or `rate_per_s` (open loop)."""

    request: Request
    seconds: float
    concurrency: int = 0
    rate_per_s: float = 0.0
    deadline_ms: int = 0
    seed: int = 0


def generate(plan: Plan) -> Report:
    """Run the plan in a fresh process, so that neither side disturbs the other's interpreter."""
    document = dataclasses.asdict(plan)
    document["request"]["body"] = base64.b64encode(plan.request.body).decode()
    done = subprocess.run(
        [sys.executable, "-m", "service.load.generator"],
        input=orjson.dumps(document),
        capture_output=True,
        timeout=plan.seconds + plan.deadline_ms / 1e3 + ANSWER_GRACE_S + START_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed:\n{done.stderr.decode()}")
    return Report(**orjson.loads(done.stdout))


@dataclass(slots=True)
class _Exchanges:
    """What happened, one entry a request, in seconds of one clock."""

    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)

    def begin(self, due: float) -> int:
        self.due.append(due)
        self.sent.append(0.0)
        self.answered.append(0.0)
        self.status.append(LOST)
        return len(self.due) - 1


class _Generator:
    """Owned by one event loop; everything happens in its callbacks."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        request = plan.request
        if plan.deadline_ms:
            headers = {**request.headers, "X-Deadline-Ms": str(plan.deadline_ms)}
            request = dataclasses.replace(request, headers=headers)
        self._bytes = request.encoded()
        self._exchanges = _Exchanges()
        self._idle: list[Connection] = []
        self._waiting: collections.deque[int] = collections.deque()
        self._opened = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._pending = 0
        self._closing = False
        self._done = asyncio.Event()
        self._ends = 0.0

    async def run(self) -> Report:
        self._started = time.perf_counter()
        self._ends = self._started + self._plan.seconds
        cpu = time.process_time()
        if self._plan.rate_per_s:
            self._due = self._arrivals()
            self._tick()
        else:
            for _ in range(self._plan.concurrency):
                self._start(time.perf_counter())
        limit_s = self._plan.seconds + self._plan.deadline_ms / 1e3 + ANSWER_GRACE_S
        with contextlib.suppress(TimeoutError):  # what is unanswered then is lost
            await asyncio.wait_for(self._done.wait(), limit_s)
        self._closing = True
        outcomes = Outcome(
            due=np.array(self._exchanges.due),
            sent=np.array(self._exchanges.sent),
            answered=np.array(self._exchanges.answered),
            status=np.array(self._exchanges.status),
        )
        return report_of(
            outcomes,
            seconds=self._plan.seconds,
            started=self._started,
            deadline_ms=self._plan.deadline_ms,
            connections=self._opened,
            cpu_s=time.process_time() - cpu,
        )

    # -- open loop

    def _arrivals(self) -> collections.deque[float]:
        count = round(self._plan.rate_per_s * self._plan.seconds)
        if count > ARRIVALS_MAX:
            raise ValueError(f"{count} requests, more than {ARRIVALS_MAX}")
        # Given their number, the moments of a Poisson process are uniform.
        moments = np.random.default_rng(self._plan.seed).uniform(0, self._plan.seconds, count)
        return collections.deque((self._started + np.sort(moments)).tolist())

    def _tick(self) -> None:
        now = time.perf_counter()
        while self._due and self._due[0] <= now:
            self._start(self._due.popleft())
        if self._due:
            self._loop.call_later(max(self._due[0] - now, CLOCK_STEP_S), self._tick)
        else:
            self._finish_when_quiet()

    # -- both

    def _start(self, due: float) -> None:
        tag = self._exchanges.begin(due)
        self._pending += 1
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                self._send(connection, tag)
                return
            self._opened -= 1
        self._waiting.append(tag)
        if self._opened < CONNECTIONS_MAX:
            self._open()

    def _open(self) -> None:
        self._opened += 1
        task = self._loop.create_task(self._connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        connection = Connection(self._on_answer)
        try:
            await self._loop.create_connection(
                lambda: connection, self._plan.request.host, self._plan.request.port
            )
        except OSError:
            self._opened -= 1
            if self._waiting:
                self._settle(self._waiting.popleft(), LOST)
            return
        self._put_to_use(connection)

    def _send(self, connection: Connection, tag: int) -> None:
        connection.tag = tag
        self._exchanges.sent[tag] = time.perf_counter()
        connection.send(self._bytes)

    def _on_answer(self, connection: Connection, status: int) -> None:
        tag = connection.tag
        if connection.alive:
            self._put_to_use(connection)
        else:
            self._opened -= 1
            if self._waiting and not self._closing:
                self._open()
        self._settle(tag, status)

    def _put_to_use(self, connection: Connection) -> None:
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _settle(self, tag: int, status: int) -> None:
        now = time.perf_counter()
        self._exchanges.answered[tag] = now
        self._exchanges.status[tag] = status
        self._pending -= 1
        if not self._plan.rate_per_s and now < self._ends:
            self._start(now)
        self._finish_when_quiet()

    def _finish_when_quiet(self) -> None:
        over = not self._due if self._plan.rate_per_s else time.perf_counter() >= self._ends
        if over and not self._pending:
            self._done.set()


async def _run(plan: Plan) -> Report:
    return await _Generator(plan).run()


def _run_loop(work: Coroutine[Any, Any, Report]) -> Report:
    """On the fast event loop, where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def _plan_of(document: dict[str, Any]) -> Plan:
    request = document.pop("request")
    body = base64.b64decode(request.pop("body"))
    return Plan(request=Request(body=body, **request), **document)


def main() -> None:
    plan = _plan_of(orjson.loads(sys.stdin.buffer.read()))
    gc.disable()  # a run is short, and its pauses would be the server's latency
    report = _run_loop(_run(plan))
    sys.stdout.buffer.write(orjson.dumps(dataclasses.asdict(report)))


if __name__ == "__main__":
    main()
