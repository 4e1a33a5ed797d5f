"""The Open Inference Protocol over HTTP, spoken to by Triton's own client and by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton

from tests.bundles import write_tiny_classifier, write_tiny_detector
from tests.serving import Running, picture, running
from tests.towers import write_tiny_clip

SIZE_PX = 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(repository, size_px=SIZE_PX)
    write_tiny_classifier(repository, version=2, labels=("blue", "red"), size_px=SIZE_PX)
    write_tiny_detector(repository)
    with running(repository) as started:
        yield started


@pytest.fixture
def client(server: Running) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as made:
        yield made


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    assert not client.is_model_ready("tiny", "7")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["name"] == "panoptes"
    metadata = client.get_model_metadata("tiny", "1")
    assert metadata["inputs"] == [
        {"name": "image", "datatype": "UINT8", "shape": [-1, SIZE_PX, SIZE_PX, 3]}
    ]
    assert metadata["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}]
    config = client.get_model_config("tiny", "1")
    assert (config["max_batch_size"], config["input"][0]["dims"]) == (8, [SIZE_PX, SIZE_PX, 3])
    index = client.get_model_repository_index()
    assert {(row["name"], row["version"], row["state"]) for row in index} == {
        ("tiny", "1", "READY"),
        ("tiny", "2", "READY"),
        ("finder", "1", "READY"),
    }


@pytest.mark.parametrize("binary", [True, False])
def test_uint8_tensors_as_bytes_and_as_json(
    client: triton.InferenceServerClient, binary: bool
) -> None:
    pixels = np.zeros((3, SIZE_PX, SIZE_PX, 3), np.uint8)
    for row in range(3):
        pixels[row, :, :, row] = 255  # red, green, blue
    image = triton.InferInput("image", list(pixels.shape), "UINT8")
    image.set_data_from_numpy(pixels, binary_data=binary)
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary)
    result = client.infer("tiny", [image], "1", [wanted], request_id="seven")
    probabilities = result.as_numpy("probabilities")
    assert probabilities.argmax(axis=1).tolist() == [0, 1, 2]
    assert result.get_response()["id"] == "seven"
    assert result.get_response()["model_version"] == "1"


def test_without_a_version_the_newest_answers(client: triton.InferenceServerClient) -> None:
    result = client.infer("tiny", [_encoded("red")])
    assert result.get_response()["model_version"] == "2"
    assert result.as_numpy("probabilities").argmax() == 1


def test_encoded_images_are_answered_as_the_image_endpoint_answers(
    server: Running, client: triton.InferenceServerClient
) -> None:
    jpeg = picture("green", size=(640, 480), form="JPEG")
    ours = server.client.post("/classify?model=tiny:1", content=jpeg).json()
    found = client.infer("tiny", [_bytes([jpeg])], "1").as_numpy("probabilities")
    best = ours["images"][0]["predictions"][0]
    assert found[0, best["index"]] == pytest.approx(best["score"], abs=1e-6)


def test_inputs_that_a_request_leaves_out_are_those_of_the_endpoint(
    server: Running, client: triton.InferenceServerClient
) -> None:
    png = picture("red")
    ours = server.client.post("/detect", content=png).json()["images"][0]
    result = client.infer("finder", [_bytes([png])])
    assert int(result.as_numpy("count").ravel()[0]) == len(ours["detections"]) == 1
    threshold = triton.InferInput("score_threshold", [1, 1], "FP32")
    threshold.set_data_from_numpy(np.full((1, 1), 2.0, np.float32))
    none = client.infer("finder", [_bytes([png]), threshold])
    assert int(none.as_numpy("count").ravel()[0]) == 0


def test_a_request_of_many_rows_shares_batches(
    server: Running, client: triton.InferenceServerClient
) -> None:
    colours = ["red", "green", "blue"] * 5
    result = client.infer("tiny", [_bytes([picture(colour) for colour in colours])], "1")
    assert result.as_numpy("probabilities").argmax(axis=1).tolist() == [0, 1, 2] * 5


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([], "must be equal, and not empty"),
        ([{"name": "pixels", "datatype": "UINT8", "shape": [1], "data": [1]}], "no input 'pixels'"),
        ([{"name": "image", "datatype": "UINT8", "shape": [1, 2], "data": [1, 2]}], "it takes"),
        ([{"name": "image", "datatype": "FP32", "shape": [1], "data": [1]}], "is uint8 here"),
        ([{"name": "image", "datatype": "UINT8", "shape": [3], "data": [1]}], "1 values where"),
        ([{"name": "image", "datatype": "UINT8", "shape": [1], "data": [999]}], "not UINT8"),
        ([{"name": "image", "datatype": "FP8", "shape": [1], "data": [1]}], "not spoken here"),
        ([{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["x"]}], "image"),
        ([{"name": "image", "datatype": "UINT8", "shape": [-1], "data": []}], "no shape"),
        (7, "list of inputs"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(server: Running, inputs: object, said: str) -> None:
    answer = server.client.post("/v2/models/tiny/infer", json={"inputs": inputs})
    assert 400 <= answer.status_code < 500
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("length", "size", "said"),
    [("9999", 4, "not a length"), ("x", 4, "not a length"), (None, 99, "beyond the body")],
)
def test_raw_tensors_must_lie_within_the_body(
    server: Running, length: str | None, size: int, said: str
) -> None:
    head = (
        b'{"inputs":[{"name":"image","datatype":"UINT8","shape":[1],'
        b'"parameters":{"binary_data_size":%d}}]}' % size
    )
    headers = {"Inference-Header-Content-Length": length or str(len(head))}
    answer = server.client.post("/v2/models/tiny/infer", content=head + b"1234", headers=headers)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_a_deadline_that_cannot_be_met_is_refused_or_expires(server: Running) -> None:
    image = {"name": "image", "datatype": "UINT8", "shape": [1, SIZE_PX, SIZE_PX, 3]}
    image["data"] = [0] * (SIZE_PX * SIZE_PX * 3)
    document = {"inputs": [image], "parameters": {"timeout": 1}}
    answer = server.client.post("/v2/models/tiny/infer", json=document)
    assert answer.status_code in (429, 504)
    assert "deadline" in answer.json()["error"]


def test_a_graph_of_several_goes_by_its_role_and_reads_texts(tmp_path: Path) -> None:
    write_tiny_clip(tmp_path)
    with (
        running(tmp_path) as server,
        triton.InferenceServerClient(server.url.removeprefix("http://")) as client,
    ):
        (name,) = {row["name"].partition(".")[0] for row in client.get_model_repository_index()}
        assert client.is_model_ready(f"{name}.image")
        assert not client.is_model_ready(name)
        texts = triton.InferInput("tokens", [2], "BYTES")
        texts.set_data_from_numpy(np.array([b"red", b"blue"], dtype=object))
        words = client.infer(f"{name}.text", [texts]).as_numpy("embedding")
        images = _bytes([picture("red"), picture("blue")])
        seen = client.infer(f"{name}.image", [images]).as_numpy("embedding")
    assert (seen @ words.T).argmax(axis=1).tolist() == [0, 1]


def _encoded(colour: str) -> triton.InferInput:
    return _bytes([picture(colour)])


def _bytes(images: list[bytes]) -> triton.InferInput:
    tensor = triton.InferInput("image", [len(images)], "BYTES")
    tensor.set_data_from_numpy(np.array(images, dtype=object))
    return tensor
