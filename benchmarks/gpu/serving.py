"""The server over HTTP beside what its own graph could do: raw tensors, and JPEGs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import closed
from benchmarks.contenders import panoptes_server, settings_of
from benchmarks.generation import alone
from benchmarks.gpu.context import Context
from benchmarks.gpu.pumping import pump
from benchmarks.gpu.report import Findings
from benchmarks.picture import picture_jpeg
from service.bundle import Bundle, Tensors, load_golden
from service.engine.backends.choose import open_graph
from service.imaging import ImageLimits, load
from service.load.request import Request, raw
from service.tasks import IMAGE_TASKS
from service.tasks.task import fit_of

TITLE = "The server beside its own graph"
NOTE = (
    "`graph/s` is the backend alone at the batch in which it does most, `decode/s` the host alone "
    "decoding and fitting the JPEG (640×480, 70 KB) on all its cores. What a server can do is the "
    "smaller of the two; `ratio` is how much of that it does. Client on the same cores."
)
CONCURRENCIES = (1, 16, 128)
OIP_TYPES = {"u": "UINT", "i": "INT", "f": "FP", "b": "BOOL"}


def check(context: Context, found: Findings) -> None:
    found.notes.append(NOTE)
    client, drive = closed.client()
    found.notes.append(f"Client: {client}.")
    tasks = {task.name for task in IMAGE_TASKS}
    for bundle in context.bundles():
        if bundle.manifest.task in tasks and len(bundle.manifest.graphs) == 1:
            try:
                _measure(context, bundle, drive, found)
            except Exception as error:  # of one server: the others are measured all the same
                found.failures.append(f"{bundle.manifest.ref}: {str(error).partition(chr(10))[0]}")


def _measure(context: Context, bundle: Bundle, drive: closed.Drive, found: Findings) -> None:
    ((role, _),) = bundle.manifest.graphs.items()
    inputs, _ = load_golden(bundle)[role]
    context.tell(f"{bundle.manifest.ref} over HTTP")
    graph_s = _graph_rate(context, bundle, role, inputs)
    decode_s = _decode_rate(context, bundle)
    with _served(context, bundle) as port:
        tensors = {name: value[:1] for name, value in inputs.items()}
        bodies = {
            "tensors": (tensor_request(port, bundle.manifest.name, tensors), graph_s),
            "JPEG": (
                raw(port, f"/{bundle.manifest.task}", picture_jpeg()),
                min(graph_s, decode_s),
            ),
        }
        for body, (request, ceiling) in bodies.items():
            drive(request, 8, context.window_s)  # warm
            for concurrency in CONCURRENCIES[: 2 if context.quick else None]:
                seen = drive(request, concurrency, max(context.window_s, 1.0))
                answered = (seen.requests - seen.errors) / seen.seconds
                found.rows.append(
                    {
                        "model": bundle.manifest.ref,
                        "body": body,
                        "clients": concurrency,
                        "requests/s": answered,
                        "graph/s": graph_s,
                        "decode/s": decode_s if body == "JPEG" else None,
                        "ratio": answered / ceiling,
                        "p50 ms": seen.p50_ms,
                        "p99 ms": seen.p99_ms,
                        "errors": seen.errors,
                    }
                )
                if seen.errors:
                    found.failures.append(
                        f"{bundle.manifest.ref}, {body}: {seen.errors} of {seen.requests} failed"
                    )


@contextlib.contextmanager
def _served(context: Context, bundle: Bundle) -> Iterator[int]:
    folder = context.make_folder(f"serving/{bundle.manifest.name}")
    with panoptes_server([alone(bundle, folder)], folder, **settings_of(context.compute)) as server:
        yield server.port


def _graph_rate(context: Context, bundle: Bundle, role: str, inputs: Tensors) -> float:
    backend = open_graph(bundle, role, context.compute, cores=1)
    sample = {name: value[:1] for name, value in inputs.items()}
    backend.warm_up(sample)
    threads = context.compute.slots if context.compute.on_gpu else context.cores
    best = 0.0
    for batch in context.batches(min((64, *backend.buckets[-1:]))):
        asked = {name: value.repeat(batch, axis=0) for name, value in sample.items()}
        rate = pump(
            lambda asked=asked: backend.run(asked),  # type: ignore[misc]
            batch,
            threads=threads,
            seconds=context.window_s / 2,
        )
        best = max(best, rate.samples_per_s)
    backend.close()
    return best


def _decode_rate(context: Context, bundle: Bundle) -> float:
    jpeg, limits, fit = picture_jpeg(), ImageLimits(), fit_of(bundle.manifest)
    rate = pump(lambda: load(jpeg, limits, fit), 1, threads=context.cores, seconds=context.window_s)
    return rate.samples_per_s


def tensor_request(port: int, model: str, tensors: Tensors) -> Request:
    """POST /v2/models/…/infer with binary tensors in and out."""
    values = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": name,
                    "shape": list(value.shape),
                    "datatype": _oip_type(value),
                    "parameters": {"binary_data_size": value.nbytes},
                }
                for name, value in values.items()
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    return Request(
        port,
        f"/v2/models/{model}/infer",
        "application/octet-stream",
        head + b"".join(value.tobytes() for value in values.values()),
        {"Inference-Header-Content-Length": str(len(head))},
    )


def _oip_type(value: NDArray[Any]) -> str:
    kind = OIP_TYPES[value.dtype.kind]
    return kind if kind == "BOOL" else f"{kind}{value.dtype.itemsize * 8}"
