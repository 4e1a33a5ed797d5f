"""Closed loops with wrk, which takes less of the processor than any generator in Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from service.load.request import Request

TIMEOUT_S = 10
"""After which wrk counts a request as an error; its own default is 2."""

SCRIPT = """
local file = io.open("body", "rb")
wrk.method, wrk.body = "POST", file:read("*all")
file:close()
%s
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\nREPORT {"requests": %%d, "seconds": %%.6f, "p50_ms": %%.3f, "p99_ms": %%.3f, ' ..
    '"max_ms": %%.3f, "errors": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True)
class Closed:
    """What a closed loop saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: int
    client_cpu_us: float
    """Of the client, a request."""


def have_wrk() -> bool:
    return shutil.which("wrk") is not None


def closed_loop(request: Request, concurrency: int, seconds: float) -> Closed:
    """wrk takes whole seconds."""
    whole = max(1, round(seconds))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "body").write_bytes(request.body)
        headers = {"Content-Type": request.content_type, **request.headers}
        lines = [f"wrk.headers[{json.dumps(n)}] = {json.dumps(v)}" for n, v in headers.items()]
        Path(folder, "post.lua").write_text(SCRIPT % "\n".join(lines))
        before = os.times()
        done = subprocess.run(
            [
                *("wrk", "-t1", f"-c{concurrency}", f"-d{whole}s", f"--timeout={TIMEOUT_S}s"),
                *("-s", "post.lua", request.url),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=whole + 60,
            check=True,
        )
        after = os.times()
    report = json.loads(done.stdout.partition("REPORT ")[2])
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    return Closed(**report, client_cpu_us=cpu_s * 1e6 / max(report["requests"], 1))
