"""Golden tensors: what PyTorch answered at export, and the check that an engine still does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.bundle.bundle import Bundle, BundleError

Tensors = dict[str, npt.NDArray[np.generic]]
Golden = Mapping[str, tuple[Tensors, Tensors]]
"""Role -> (inputs, outputs)."""
RunGraph = Callable[[str, Tensors], Mapping[str, npt.NDArray[np.generic]]]


def save_golden(path: Path, tensors: Mapping[str, tuple[Tensors, Tensors]]) -> None:
    """Write role -> (inputs, outputs); every tensor has the batch as its first axis."""
    arrays: Tensors = {}
    for role, (inputs, outputs) in tensors.items():
        arrays |= {f"{role}/in/{name}": value for name, value in inputs.items()}
        arrays |= {f"{role}/out/{name}": value for name, value in outputs.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy types **kwds as bool


def load_golden(bundle: Bundle) -> dict[str, tuple[Tensors, Tensors]]:
    """Role -> (inputs, outputs) for every graph of the bundle."""
    tensors: dict[str, tuple[Tensors, Tensors]] = {r: ({}, {}) for r in bundle.manifest.graphs}
    try:
        # Opened here, since numpy does not close what it cannot read.
        with (
            bundle.file(bundle.manifest.golden).open("rb") as file,
            np.load(file, allow_pickle=False) as stored,
        ):
            for key in stored.files:
                role, side, name = key.split("/", 2)
                tensors[role][0 if side == "in" else 1][name] = stored[key]
    except Exception as error:  # of a file that is not whole, numpy raises whatever comes up
        raise BundleError(f"{bundle.manifest.golden} cannot be read: {error}") from None
    for role, (inputs, outputs) in tensors.items():
        graph = bundle.manifest.graphs[role]
        if {t.name for t in graph.inputs} != set(inputs) or not outputs:
            raise BundleError(f"{bundle.manifest.golden} has no full set of tensors for {role!r}")
        if not all(value.size for value in (*inputs.values(), *outputs.values())):
            raise BundleError(f"{bundle.manifest.golden} has an empty tensor for {role!r}")
    return tensors


def check_golden(
    bundle: Bundle,
    run: RunGraph,
    *,
    golden: Golden | None = None,
    samples: int | None = None,
) -> dict[str, float]:
    """The largest difference of each graph from PyTorch; BundleError where it is too large.

    Of the graphs in `golden` alone, where that is given; on the first `samples`, or on all.

    In units of the graph's `golden_tolerance`: an output that has a tolerance of its own counts
    in proportion.
    """
    drift: dict[str, float] = {}
    for role, (inputs, expected) in (golden or load_golden(bundle)).items():
        graph = bundle.manifest.graphs[role]
        inputs, expected = (
            {name: value[:samples] for name, value in tensors.items()}
            for tensors in (inputs, expected)
        )
        try:
            found = run(role, inputs)
        except Exception as error:  # each engine has errors of its own
            said = str(error).partition("\n")[0] or type(error).__name__
            raise BundleError(f"{role!r} cannot run its golden inputs: {said}") from error
        drift[role] = 0.0
        for name in expected:
            by_share = name in graph.compared_by_share
            distance, allowed = (
                _distance(role, name, expected[name], found, by_share=by_share),
                graph.tolerance_of(name),
            )
            if not distance <= allowed:
                raise BundleError(
                    f"{role!r} drifts from its golden outputs by {distance:.3g}, more than the "
                    f"{allowed:.3g} that the manifest allows of {name}"
                )
            drift[role] = max(drift[role], distance / allowed * graph.golden_tolerance)
    return drift


def _distance(
    role: str,
    name: str,
    expected: npt.NDArray[np.generic],
    outputs: Mapping[str, npt.NDArray[np.generic]],
    *,
    by_share: bool,
) -> float:
    if name not in outputs:
        raise BundleError(f"{role!r} has no output {name!r}")
    found = outputs[name]
    if found.shape != expected.shape:
        raise BundleError(f"{role!r}: {name} is {found.shape} where PyTorch gave {expected.shape}")
    if by_share:
        return float((found != expected).mean())
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, and that is no match
        gap = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    return float(gap.max()) if np.isfinite(gap).all() else math.inf
