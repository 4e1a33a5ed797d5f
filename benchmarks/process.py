"""Child processes: started, watched through /proc, and always ended. Linux only."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO

ROOT = Path(__file__).parent.parent
START_S = 240.0
"""A GPU's server runs every bucket of every graph first."""
STOP_S = 10.0
POLL_S = 0.005
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Memory:
    """Of a process and its children. PSS shares out the pages that several processes map."""

    rss_mb: float
    pss_mb: float


@dataclass(frozen=True)
class Server:
    """A server under test, ready to answer on `port`."""

    name: str
    port: int
    ready_s: float
    """From the start of the process to the first 200 of its health route."""
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        """Processor time that it has used until now, with its children."""
        return sum(_cpu_s(pid) for pid in _tree(self.process.pid))

    def memory(self) -> Memory:
        rolls = [_rollup(pid) for pid in _tree(self.process.pid)]
        return Memory(
            rss_mb=sum(roll.get("Rss", 0) for roll in rolls) / 1024,
            pss_mb=sum(roll.get("Pss", 0) for roll in rolls) / 1024,
        )


@contextlib.contextmanager
def serving(
    name: str,
    command: Sequence[str],
    port: int,
    *,
    health: str,
    log: Path,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:
    """Start a server, wait until `health` answers 200, and end it and its children afterwards."""
    with log.open("wb") as output:
        started = time.perf_counter()
        process = _start(command, output, settings)
        try:
            _wait_ready(name, process, port, health, log)
            yield Server(name, port, time.perf_counter() - started, process)
        finally:
            _stop(process)


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port


def _start(
    command: Sequence[str], output: IO[bytes], settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    # Settings of the caller's shell must not change what is measured.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PANOPTES_")}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment | dict(settings),
    )


def _wait_ready(
    name: str, process: subprocess.Popen[bytes], port: int, health: str, log: Path
) -> None:
    give_up = time.perf_counter() + START_S
    while time.perf_counter() < give_up:
        if process.poll() is not None:
            break
        if _status(port, health) == 200:
            return
        time.sleep(POLL_S)
    raise RuntimeError(f"{name} did not become ready:\n{log.read_text()[-2000:]}")


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    children = _tree(process.pid)[1:]
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in children:  # a parent that was killed leaves them behind
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)


def _tree(root: int) -> list[int]:
    """The process and its descendants that live now."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = [root]
    for pid in found:  # grows as it goes
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may contain anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_s(pid: int) -> float:
    try:
        fields = _stat(pid)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _rollup(pid: int) -> dict[str, int]:
    """Kilobytes by name."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return {}
    return {
        name: int(kilobytes) for name, kilobytes in re.findall(r"^(\w+): +(\d+) kB", text, re.M)
    }
