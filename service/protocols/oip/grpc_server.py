"""The Open Inference Protocol over gRPC, on a port of its own and the same event loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np

from service.errors import PanoptesError, RequestError
from service.protocols.health import Readiness
from service.protocols.oip.catalogue import find
from service.protocols.oip.datatypes import (
    BYTES,
    Tensor,
    dtype_of,
    from_buffer,
    from_list,
    name_of,
    to_buffer,
)
from service.protocols.oip.inference import Answer, Input, deadline_after, infer
from service.protocols.oip.messages import SERVICE, message
from service.protocols.oip.rest import server_metadata
from service.protocols.serving import Serving, Terms

log = logging.getLogger(__name__)

Method = Callable[[Any, Any], Awaitable[Any]]

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "FP32": "fp32_contents",
}
"""Where a tensor's values are that did not come as raw bytes; FP16 has no place but there."""


class GrpcServer:
    """Starts nothing until `start`; a call that its client gives up cancels its jobs."""

    def __init__(self, serving: Serving, readiness: Readiness) -> None:
        self._serving = serving
        self._readiness = readiness
        self._server: Any = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        most = self._serving.settings.max_body_bytes
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", most),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # two servers on one port are a mistake
            ]
        )
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                self._answering(method, "Live" in name or "Ready" in name),
                request_deserializer=message(f"{name}Request").FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            )
            for name, method in self._methods().items()
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, methods),)
        )
        self.port = self._server.add_insecure_port(f"{host}:{port}")
        await self._server.start()
        log.info("gRPC listens on %s:%d", host, self.port)

    async def stop(self, grace_s: float) -> None:
        if self._server is not None:
            await self._server.stop(grace_s)

    def _methods(self) -> dict[str, Method]:
        return {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._metadata,
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "ModelInfer": self._infer,
        }

    def _answering(self, method: Method, is_open: bool) -> Method:
        async def answer(request: Any, context: Any) -> Any:
            try:
                admitted = self._serving.guard.enter(None if is_open else "infer", _keys(context))
                try:
                    return await method(request, context)
                finally:
                    admitted.leave()
            except PanoptesError as error:
                code = _CODES.get(error.status, grpc.StatusCode.INTERNAL)
                await context.abort(code, error.detail)

        return answer

    async def _live(self, request: Any, context: Any) -> Any:
        return message("ServerLiveResponse")(live=True)

    async def _ready(self, request: Any, context: Any) -> Any:
        return message("ServerReadyResponse")(ready=await self._readiness.why_not() is None)

    async def _model_ready(self, request: Any, context: Any) -> Any:
        find(self._serving.registry, request.name, request.version)
        return message("ModelReadyResponse")(ready=True)

    async def _metadata(self, request: Any, context: Any) -> Any:
        return message("ServerMetadataResponse")(**server_metadata())

    async def _model_metadata(self, request: Any, context: Any) -> Any:
        served = find(self._serving.registry, request.name, request.version)
        return message("ModelMetadataResponse")(**served.metadata())

    async def _model_config(self, request: Any, context: Any) -> Any:
        served = find(self._serving.registry, request.name, request.version)
        return message("ModelConfigResponse")(config=served.config())

    async def _infer(self, request: Any, context: Any) -> Any:
        answer = await infer(
            self._serving,
            request.model_name,
            request.model_version,
            _read_inputs(request),
            [output.name for output in request.outputs],
            terms=Terms(
                self._deadline(request, context), self._serving.priority(dict(_keys(context)))
            ),
        )
        return _write_answer(answer, request.id)

    def _deadline(self, request: Any, context: Any) -> float:
        """The earlier of what the call and what its parameters say."""
        default_ms = self._serving.settings.deadline_ms
        timeout = request.parameters.get("timeout")
        by_parameter = deadline_after(timeout and timeout.int64_param, default_ms)
        left_s = context.time_remaining()
        return by_parameter if left_s is None else min(by_parameter, time.monotonic() + left_s)


def _keys(context: Any) -> list[tuple[bytes, bytes]]:
    """A call's metadata as headers; what is not text is no key."""
    return [
        (name.encode(), value.encode("latin-1", "replace"))
        for name, value in context.invocation_metadata() or ()
        if isinstance(value, str)
    ]


def _read_inputs(request: Any) -> list[Input]:
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise RequestError(f"{len(raw)} raw tensors where {len(request.inputs)} are described")
    return [
        Input(
            tensor.name,
            tuple(tensor.shape),
            from_buffer(raw[i], tensor.datatype, tensor.shape) if raw else _contents(tensor),
        )
        for i, tensor in enumerate(request.inputs)
    ]


def _contents(tensor: Any) -> Tensor:
    if tensor.datatype == BYTES:
        return list(tensor.contents.bytes_contents)
    dtype_of(tensor.datatype)
    if (field := _CONTENTS.get(tensor.datatype)) is None:
        raise RequestError(f"{tensor.datatype} comes as raw_input_contents only")
    values = np.asarray(getattr(tensor.contents, field))
    return from_list(values, tensor.datatype, tensor.shape)


def _write_answer(answer: Answer, request_id: str) -> Any:
    outputs = [
        {"name": name, "datatype": name_of(array.dtype.name), "shape": list(array.shape)}
        for name, array in answer.outputs.items()
    ]
    return message("ModelInferResponse")(
        model_name=answer.served.name,
        model_version=answer.served.version,
        id=request_id,
        outputs=outputs,
        raw_output_contents=[to_buffer(array) for array in answer.outputs.values()],
    )
