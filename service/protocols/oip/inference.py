"""Named tensors in, named tensors out: rows become jobs, whatever the transport."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from starlette.types import Scope

from service.bundle import TensorSpec
from service.engine.job import Job, Sample, Timing
from service.errors import RequestError
from service.imaging import load
from service.protocols.oip.catalogue import Served, find
from service.protocols.oip.datatypes import Array, Tensor
from service.protocols.serving import Serving, Terms, run_while_connected
from service.tasks import IMAGE_TASKS
from service.tasks.task import fit_of
from service.text.tokenizer import Tokenizer

Row = Callable[[], Array]
"""One sample's tensor, made on a worker's thread."""


@dataclass(frozen=True)
class Input:
    """A tensor as it was sent."""

    name: str
    shape: tuple[int, ...]
    tensor: Tensor


@dataclass(frozen=True)
class Answer:
    served: Served
    outputs: Mapping[str, Array]
    """Those that were asked for, with the batch as the first axis."""
    timings: Sequence[Timing] = field(default_factory=list)


async def infer(
    serving: Serving,
    name: str,
    version: str,
    inputs: Sequence[Input],
    wanted: Sequence[str],
    *,
    terms: Terms,
    scope: Scope | None = None,
) -> Answer:
    """Run the rows through the lane, batched with everyone else's; the first error is the
    request's. A client that goes away is noticed by the `scope`, or this is cancelled."""
    served = find(serving.registry, name, version)
    known = [tensor.name for tensor in served.graph.outputs]
    if strange := [output for output in wanted if output not in known]:
        raise RequestError(f"there is no output {strange[0]!r}; there is {', '.join(known)}")
    rows = _rows(serving, served, inputs)
    jobs = [_job(row, wanted or known, terms) for row in rows]
    with served.model.hold():
        if scope is None:
            await served.model.device.run(served.lane, jobs)
        else:
            await run_while_connected(served.model.device, served.lane, jobs, scope)
    samples: list[Sample] = [job.outcome() for job in jobs]
    outputs = {name: np.stack([sample[name] for sample in samples]) for name in wanted or known}
    return Answer(served, outputs, [job.timing for job in jobs])


def deadline_after(timeout_us: object, default_ms: int) -> float:
    """On the monotonic clock; Triton's clients give a timeout in microseconds."""
    if timeout_us is None:
        return time.monotonic() + default_ms / 1e3
    if not isinstance(timeout_us, int) or timeout_us <= 0:
        raise RequestError("timeout is a whole number of microseconds above 0")
    return time.monotonic() + timeout_us / 1e6


def _job(row: Mapping[str, Row], wanted: Sequence[str], terms: Terms) -> Job:
    return Job(
        prepare=lambda: {name: make() for name, make in row.items()},
        finish=lambda outputs: {name: outputs[name] for name in wanted},
        deadline=terms.deadline,
        priority=terms.priority,
    )


def _rows(serving: Serving, served: Served, inputs: Sequence[Input]) -> list[dict[str, Row]]:
    """For every sample of the batch, how to make each of the graph's inputs."""
    given = {tensor.name: tensor for tensor in inputs}
    specs = {tensor.name: tensor for tensor in served.graph.inputs}
    if strange := [name for name in given if name not in specs]:
        raise RequestError(f"there is no input {strange[0]!r}; there is {', '.join(specs)}")
    columns = {
        name: _column(serving, served, specs[name], tensor) for name, tensor in given.items()
    }
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) != 1 or not max(sizes.values()):
        raise RequestError(f"the inputs have batches of {sizes}; they must be equal, and not empty")
    (size,) = set(sizes.values())
    for name, value in _left_out(served, set(specs) - set(given)).items():
        columns[name] = [lambda value=value: value] * size  # type: ignore[misc]
    return [{name: column[i] for name, column in columns.items()} for i in range(size)]


def _left_out(served: Served, missing: set[str]) -> Sample:
    """What the task would give the graph beside the image when a request names no option."""
    if not missing:
        return {}
    defaults: Sample = {}
    for task in IMAGE_TASKS:
        if task.name == served.manifest.task == served.role:
            defaults = task.inputs(served.manifest, task.options())
    if needed := missing - set(defaults):
        raise RequestError(f"the input {sorted(needed)[0]!r} is missing")
    return {name: defaults[name] for name in missing}


def _column(serving: Serving, served: Served, spec: TensorSpec, given: Input) -> list[Row]:
    if isinstance(given.tensor, list):
        return _decoded(serving, served, spec, given)
    array = given.tensor
    if array.dtype.name != spec.dtype:
        raise RequestError(f"{spec.name} is {spec.dtype} here, not {array.dtype.name}")
    shape = array.shape
    if len(spec.shape) == 1 and len(shape) == 2 and shape[1] == 1:
        array, shape = array[:, 0], shape[:1]  # how clients that know no scalar send one
    fits = len(shape) == len(spec.shape) and all(
        isinstance(axis, str) or axis == size
        for axis, size in zip(spec.shape[1:], shape[1:], strict=True)
    )
    if not fits:
        expected = [axis if isinstance(axis, int) else -1 for axis in spec.shape]
        raise RequestError(f"{spec.name} has the shape {list(shape)}; it takes {expected}")
    return [lambda i=i: np.asarray(array[i]) for i in range(len(array))]  # type: ignore[misc]


def _decoded(serving: Serving, served: Served, spec: TensorSpec, given: Input) -> list[Row]:
    """Encoded images, decoded and fitted as the image endpoints do; or texts, cut into tokens."""
    assert isinstance(given.tensor, list)
    if math.prod(given.shape[1:]) != 1:
        raise RequestError(f"{spec.name} as BYTES has one element a sample, not {given.shape}")
    if served.takes_images(spec):
        fit, limits = fit_of(served.manifest), serving.limits
        return [lambda data=data: load(data, limits, fit)[0] for data in given.tensor]  # type: ignore[misc]
    if served.takes_texts(spec):
        tokenizer = Tokenizer.of(served.model.bundle)
        texts = [_text(each) for each in given.tensor]
        return [lambda text=text: tokenizer.read(text).ids for text in texts]  # type: ignore[misc]
    raise RequestError(f"{spec.name} takes {spec.dtype}, not BYTES")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RequestError("a text is not UTF-8") from None
