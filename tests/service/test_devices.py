"""The whole server on another device: the same answers, and plain words where it is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.bundles import write_tiny_classifier
from tests.painters import write_tiny_painter
from tests.service.engine.backends.test_cuda import without_gpu
from tests.serving import picture, running

PANOPTES = Path(sys.executable).with_name("panoptes")
PNG = {"Content-Type": "image/png"}


@without_gpu
def test_the_bound_path_answers_over_http_as_the_plain_one(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    write_tiny_painter(tmp_path)
    prompt = {"prompt": "a red ball", "seed": 3, "steps": 4, "n": 3}

    def answers(**settings: object) -> tuple[dict[str, float], list[str]]:
        with running(tmp_path, **settings) as server:
            seen = server.client.post("/classify", content=picture(), headers=PNG).json()
            painted = server.client.post(
                "/generate", json=prompt, headers={"Accept": "application/json"}
            ).json()
            scores = {each["label"]: each["score"] for each in seen["images"][0]["predictions"]}
            return scores, [image["image"] for image in painted["images"]]

    plain = answers()
    bound = answers(device="cuda", gpus=(0, 1), allow_cpu=True)

    assert plain[0].keys() == bound[0].keys()
    np.testing.assert_allclose(list(plain[0].values()), list(bound[0].values()), atol=1e-5)
    assert plain[1] == bound[1]


@without_gpu
@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--port", "0", "--device", "cuda"),
        ("models", "check", "service/starter/tabletop-classifier/1", "--device", "cuda"),
    ],
)
def test_a_missing_gpu_is_told_in_plain_words(command: tuple[str, ...]) -> None:
    done = subprocess.run([PANOPTES, *command], capture_output=True, text=True, timeout=60)

    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert "pip install 'panoptes[gpu]'" in said or "driver" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("option", "says"),
    [(("--device", "metal"), "none of cpu, cuda"), (("--gpus", "first"), "no list of numbers")],
)
def test_a_device_that_nobody_has_is_refused(option: tuple[str, str], says: str) -> None:
    done = subprocess.run([PANOPTES, "serve", *option], capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
