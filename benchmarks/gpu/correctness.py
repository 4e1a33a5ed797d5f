"""Every graph on the device, held to what PyTorch answered when it was exported."""

from __future__ import annotations

import time

from benchmarks.gpu.context import Context
from benchmarks.gpu.halving import halved
from benchmarks.gpu.report import Findings, SkippedError
from service.bundle import Bundle, check_golden, load_golden
from service.engine.backends.backend import Backend
from service.engine.backends.choose import open_graph

TITLE = "Answers against PyTorch's"


def check(context: Context, found: Findings) -> None:
    found.notes.append(
        "The golden inputs of every graph through the engine's own backend, cold and again when it "
        "is warm: batches are then padded, and replayed where they are recorded. Drift is in units "
        "of what the manifest allows: more than 1 fails."
    )
    for bundle in context.bundles():
        _check(context, bundle, found)
        try:
            half = halved(bundle, context.make_folder(f"half/{bundle.manifest.name}"))
        except SkippedError as error:
            found.notes.append(f"{bundle.manifest.ref}: {error}")
        else:
            _check(context, half, found)


def _check(context: Context, bundle: Bundle, found: Findings) -> None:
    for role, graph in bundle.manifest.graphs.items():
        ref = f"{bundle.manifest.ref}/{role}"
        context.tell(f"{ref} {graph.precision}")
        started = time.perf_counter()
        backend: Backend | None = None
        try:
            backend = open_graph(bundle, role, context.compute, cores=context.cores)
            inputs, _ = load_golden(bundle)[role]
            cold = _drift(bundle, role, backend)
            backend.warm_up({name: value[:1] for name, value in inputs.items()})
            opened_s = time.perf_counter() - started
            warm = _drift(bundle, role, backend)
        except Exception as error:  # each runtime has errors of its own, and the others go on
            reason = f"{ref} {graph.precision}: {str(error).partition(chr(10))[0]}"
            found.failures.append(reason)
            found.rows.append({"graph": ref, "precision": graph.precision, "ok": False})
            continue
        finally:
            if backend is not None:
                backend.close()
        found.rows.append(
            {
                "graph": ref,
                "precision": graph.precision,
                "drift cold": cold,
                "drift warm": warm,
                "ok": True,
                "largest bucket": backend.buckets[-1] if backend.buckets else None,
                "replayed": bool(getattr(backend, "records", False)),
                "ready s": opened_s,
            }
        )


def _drift(bundle: Bundle, role: str, backend: Backend) -> float:
    """Of what is allowed; BundleError beyond it."""
    golden = load_golden(bundle)
    answers = backend.run(golden[role][0])
    # The other graphs have their turn: here they answer what they should.
    drift = check_golden(bundle, lambda r, _: answers if r == role else golden[r][1])
    return drift[role] / bundle.manifest.graphs[role].golden_tolerance
