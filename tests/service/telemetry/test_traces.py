"""Spans are sent to a real HTTP collector and read with OpenTelemetry's own schema."""

from __future__ import annotations

import gzip
import itertools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.bundles import write_tiny_classifier
from tests.serving import picture, running


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            zipped = self.headers.get("Content-Encoding") == "gzip"
            received.append(gzip.decompress(data) if zipped else data)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
        server.shutdown()


def test_a_request_is_a_span_with_its_phases_inside(
    tmp_path: Path, collector: tuple[str, list[bytes]]
) -> None:
    endpoint, received = collector
    write_tiny_classifier(tmp_path)
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    with running(tmp_path, otlp_endpoint=endpoint) as server:
        answer = server.client.post(
            "/classify",
            content=picture(),
            headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
        )
    spans = [
        span
        for data in received
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    by_name = {span.name: span for span in spans}
    assert set(by_name) == {"POST /classify", "queue", "decode", "run", "render"}
    request = by_name["POST /classify"]
    assert request.trace_id.hex() == trace_id
    attributes = {a.key: a.value for a in request.attributes}
    assert attributes["panoptes.request_id"].string_value == answer.headers["x-request-id"]
    assert attributes["http.response.status_code"].int_value == 200
    phases = [by_name[name] for name in ("queue", "decode", "run", "render")]
    assert all(phase.parent_span_id == request.span_id for phase in phases)
    for before, after in itertools.pairwise(phases):
        assert before.end_time_unix_nano == after.start_time_unix_nano
    assert request.start_time_unix_nano <= phases[0].start_time_unix_nano
