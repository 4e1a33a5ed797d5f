"""The large images, really built: as far as they can be tried where there is no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docker.engine import HARDENED, PICTURE, Engine, why_not

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]
CUDA = ("libcudart.so.13", "libcublas.so.13", "libcudnn.so.9", "libcufft.so.12")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="module")
def gpu(engine: Engine) -> str:
    return _built(engine, "gpu")


@pytest.fixture(scope="module")
def train(engine: Engine) -> str:
    return _built(engine, "train")


@pytest.fixture(scope="module")
def cpu(engine: Engine) -> str:
    return _built(engine, "cpu")


def _built(engine: Engine, target: str) -> str:
    tag = f"localhost/panoptes:{target}"
    engine.build(target, tag)
    print(f"{target}: {engine.inspect_image(tag)['Size'] / 1e6:.0f} MB")
    return tag


def _python(engine: Engine, tag: str, code: str) -> str:
    entrypoint = ("--entrypoint", "/opt/panoptes/bin/python")
    return engine.podman("run", "--rm", *HARDENED, *entrypoint, tag, "-c", code)


@pytest.mark.skipif(bool(why_not("gpu")), reason=why_not("gpu") or "")
def test_the_gpu_image_has_what_cuda_takes_and_no_torch(engine: Engine, gpu: str) -> None:
    loaded = f"import ctypes; [ctypes.CDLL(name) for name in {CUDA}]"
    _python(engine, gpu, loaded)  # found without a variable that says where
    providers = "import onnxruntime; print(onnxruntime.get_available_providers())"
    assert "CUDAExecutionProvider" in _python(engine, gpu, providers)
    find = "import importlib.util; print(importlib.util.find_spec('torch'))"
    assert _python(engine, gpu, find).strip() == "None"


@pytest.mark.skipif(bool(why_not("gpu")), reason=why_not("gpu") or "")
def test_without_a_driver_the_gpu_image_says_so(engine: Engine, gpu: str) -> None:
    refused = engine.try_podman("run", "--rm", *HARDENED, gpu)
    assert refused.returncode == 1
    assert "NVIDIA's driver is not installed" in refused.stderr


@pytest.mark.skipif(bool(why_not("gpu")), reason=why_not("gpu") or "")
def test_the_gpu_image_serves_from_the_processor_where_it_may(engine: Engine, gpu: str) -> None:
    with engine.serving(gpu, PANOPTES_ALLOW_CPU="true") as (_, client):
        answer = client.post("/classify", content=PICTURE)
    assert answer.json()["images"][0]["predictions"][0]["label"] == "red ball"


@pytest.mark.skipif(bool(why_not("train")), reason=why_not("train") or "")
def test_what_the_train_image_exports_the_server_serves(
    engine: Engine, train: str, cpu: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    volume = ("--volume", f"{tmp_path}:/data")
    commands = (
        "train classifier tiny --steps 4 --out /data/run",
        "export classifier /data/run/best --name mine --repository /data/bundles --evaluate none",
    )
    for command in commands:
        engine.podman(
            "run", "--rm", "--network", "none", *HARDENED, *volume, train, *command.split()
        )
    environment = {"PANOPTES_REPOSITORIES": '["/data/bundles"]'}
    with engine.serving(cpu, *volume, **environment) as (_, client):
        answer = client.post("/classify", content=PICTURE)
    assert answer.json()["model"] == "mine:1"
