"""What one request costs at the least: its input made, its graph run, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import onnxruntime as ort

from service.bundle import Bundle, Manifest
from service.engine.job import Sample
from service.imaging import ImageLimits, load
from service.tasks import IMAGE_TASKS
from service.tasks.task import fit_of
from service.text.tokenizer import TEXT_ROLE, Tokenizer

SENTENCE: Final = "two red cubes beside a green ball on a wooden table"
"""What every request for a text carries; the server is told to remember none."""

Work = Callable[[bytes], None]
"""On an image's file, or a text. Threads may share it."""


def body_of(role: str, jpeg: bytes) -> bytes:
    """What the work on this graph is done on."""
    return SENTENCE.encode() if role == TEXT_ROLE else jpeg


def work_of(bundle: Bundle, role: str) -> Work:
    """What one request to this graph costs."""
    return _text_work(bundle) if role == TEXT_ROLE else _image_work(bundle, role)


def _text_work(bundle: Bundle) -> Work:
    """The server's own tokenizer, and one session that all threads share."""
    session, tokenizer = _session(bundle, TEXT_ROLE), Tokenizer.of(bundle)

    def work(text: bytes) -> None:
        session.run(None, {"tokens": tokenizer.read(text.decode()).ids[None]})

    return work


def _image_work(bundle: Bundle, role: str) -> Work:
    """The server's own decoding, and one session that all threads share."""
    session = _session(bundle, role)
    fit, limits = fit_of(bundle.manifest), ImageLimits()
    beside = {name: value[None] for name, value in _beside_image(bundle.manifest).items()}

    def work(image: bytes) -> None:
        pixels, *_ = load(image, limits, fit)
        session.run(None, {"image": pixels[None], **beside})

    return work


def _beside_image(manifest: Manifest) -> Sample:
    """What the graph takes beside the image when a request names no option."""
    for task in IMAGE_TASKS:
        if task.name == manifest.task:
            return task.inputs(manifest, task.options())
    return {}


def _session(bundle: Bundle, role: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(bundle.file(bundle.manifest.graphs[role].file)), options)
