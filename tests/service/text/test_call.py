"""A text through the real text graph, on a real device."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service.engine.device import Device
from service.engine.job import Job
from service.engine.model import load_model
from service.text import TextCache, TextCall, TextOutput
from tests.towers import meaning, write_tiny_clip


def test_texts_run_in_one_queue_and_are_remembered(tmp_path: Path) -> None:
    device, cache = Device("cpu", workers=1), TextCache(1 << 20)
    model = load_model(write_tiny_clip(tmp_path), device, queue_capacity=8)
    texts = ["red", "a photo of a blue", "of the and a of the and red"]
    calls = [TextCall(model, text, "embedding", cache) for text in texts]
    jobs = [Job(prepare=call.prepare, finish=call.finish) for call in calls]
    device.start()
    try:
        asyncio.run(device.run(model.lanes["text"], jobs))
    finally:
        device.stop()
    outputs: list[TextOutput] = [job.outcome() for job in jobs]
    for text, output in zip(texts[:2], outputs[:2], strict=True):
        np.testing.assert_allclose(output.values, meaning(text), atol=1e-6)
        assert not output.truncated
    assert [output.tokens for output in outputs] == [3, 7, 8]
    assert outputs[2].truncated
    np.testing.assert_allclose(outputs[2].values, meaning(""), atol=1e-6)
    for text, output in zip(texts, outputs, strict=True):
        assert cache.get(model.bundle.digest, text) is output
    assert float(np.linalg.norm(outputs[0].values)) == pytest.approx(1, abs=1e-6)
