"""The Open Inference Protocol over gRPC, spoken to by Triton's own client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

from service.protocols.oip.messages import message
from tests.bundles import write_tiny_classifier
from tests.service.engine.gated import GatedBackend
from tests.serving import Running, picture, running

SIZE_PX = 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(repository, size_px=SIZE_PX)
    write_tiny_classifier(repository, name="slow", size_px=SIZE_PX, matmuls=8)
    with running(repository, grpc_port=0) as started:
        yield started


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[triton.InferenceServerClient]:
    port = server.app.api.state.grpc.port
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as made:
        yield made


@pytest.mark.parametrize(
    "name",
    [
        *("ServerLiveResponse", "ServerReadyResponse", "ServerMetadataResponse"),
        *("ModelReadyRequest", "ModelReadyResponse", "ModelMetadataRequest"),
        *("ModelMetadataResponse", "ModelInferRequest", "ModelInferResponse"),
        *("InferParameter", "InferTensorContents", "ModelConfigRequest", "ModelConfigResponse"),
    ],
)
def test_messages_are_those_of_the_protocol(name: str) -> None:
    _assert_like(message(name).DESCRIPTOR, getattr(service_pb2, name).DESCRIPTOR)


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.get_server_metadata().name == "panoptes"
    metadata = client.get_model_metadata("tiny")
    assert list(metadata.inputs[0].shape) == [-1, SIZE_PX, SIZE_PX, 3]
    assert metadata.outputs[0].name == "probabilities"
    config = client.get_model_config("tiny").config
    assert (config.max_batch_size, list(config.input[0].dims)) == (8, [SIZE_PX, SIZE_PX, 3])
    assert config.output[0].data_type == model_config_pb2.TYPE_FP32
    with pytest.raises(InferenceServerException, match="no model 'none' is ready"):
        client.get_model_metadata("none")


def test_tensors_and_encoded_images(client: triton.InferenceServerClient) -> None:
    pixels = np.zeros((2, SIZE_PX, SIZE_PX, 3), np.uint8)
    pixels[0, ..., 2] = pixels[1, ..., 1] = 255
    image = triton.InferInput("image", list(pixels.shape), "UINT8")
    image.set_data_from_numpy(pixels)
    found = client.infer("tiny", [image], request_id="one")
    assert found.as_numpy("probabilities").argmax(axis=1).tolist() == [2, 1]
    assert found.get_response().id == "one"
    encoded = triton.InferInput("image", [1], "BYTES")
    encoded.set_data_from_numpy(np.array([picture("green", form="JPEG")], dtype=object))
    wanted = triton.InferRequestedOutput("probabilities")
    assert client.infer("tiny", [encoded], outputs=[wanted]).as_numpy("probabilities").argmax() == 1


def test_values_that_did_not_come_as_raw_bytes(server: Running) -> None:
    import grpc

    pixels = np.zeros((1, SIZE_PX, SIZE_PX, 3), np.uint8)
    pixels[..., 1] = 255
    tensor = service_pb2.ModelInferRequest().InferInputTensor(
        name="image", datatype="UINT8", shape=pixels.shape
    )
    tensor.contents.uint_contents.extend(pixels.ravel().tolist())
    asked = service_pb2.ModelInferRequest(model_name="tiny", inputs=[tensor])
    with grpc.insecure_channel(f"127.0.0.1:{server.app.api.state.grpc.port}") as channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        answer = call(asked, timeout=10)
    assert np.frombuffer(answer.raw_output_contents[0], np.float32).argmax() == 1


def test_errors_have_their_codes(client: triton.InferenceServerClient) -> None:
    broken = triton.InferInput("image", [1], "BYTES")
    broken.set_data_from_numpy(np.array([b"no image"], dtype=object))
    with pytest.raises(InferenceServerException) as raised:
        client.infer("tiny", [broken])
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_deadline_that_cannot_be_met_is_refused_at_once(
    client: triton.InferenceServerClient,
) -> None:
    with pytest.raises(InferenceServerException, match="deadline leaves") as raised:
        client.infer("slow", [_pictures(100)], client_timeout=0.3)
    assert raised.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_a_call_that_its_client_gives_up_is_cancelled(
    server: Running, client: triton.InferenceServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = next(lane for lane in server.serving.device.scheduler.lanes if "slow" in lane.name)
    gate = GatedBackend(lane.backend)
    monkeypatch.setattr(lane, "backend", gate)
    ended = threading.Event()
    call = client.async_infer("slow", [_pictures(30)], callback=lambda **_: ended.set())
    gate.wait_until_entered()
    call.cancel()
    assert ended.wait(10)
    _ask_until(server, lambda: lane.queued == 0)  # what waited is given up at once
    assert lane.pending > 0
    gate.open()
    _ask_until(server, lambda: lane.pending == 0)
    labels = {"lane": "slow:1/classify", "outcome": "cancelled"}
    assert server.metric("panoptes_settled_total", **labels) == 30


def _ask_until(server: Running, true: Callable[[], bool]) -> None:
    """Pass the time with requests, each of which the event loop must take a turn for."""
    for _ in range(5000):
        if true():
            return
        assert server.client.get("/livez").status_code == 200
    pytest.fail("it never came to be")


def _pictures(count: int) -> triton.InferInput:
    images = triton.InferInput("image", [count], "BYTES")
    images.set_data_from_numpy(np.array([picture("red")] * count, dtype=object))
    return images


def _assert_like(ours: object, theirs: object) -> None:
    """Every field of ours is theirs, by number, name, type and repetition."""
    for number, field in ours.fields_by_number.items():  # type: ignore[attr-defined]
        other = theirs.fields_by_number[number]  # type: ignore[attr-defined]
        assert (field.name, field.type, field.is_repeated) == (
            other.name,
            other.type,
            other.is_repeated,
        )
        if field.enum_type is not None:
            assert field.enum_type.values_by_name.keys() == other.enum_type.values_by_name.keys()
            for name, value in field.enum_type.values_by_name.items():
                assert value.number == other.enum_type.values_by_name[name].number
        if field.message_type is not None:
            _assert_like(field.message_type, other.message_type)
