"""`otel-rs view`, started as a developer starts it; google's protobuf encodes the requests."""

from __future__ import annotations

import base64
import gzip
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

DEADLINE = 20.0
TRACE_ID = bytes.fromhex("5b8aa5a2d2c872e8321cf37308d69df2")
ROOT_ID = bytes.fromhex("5fb397be34d26b51")
CHILD_ID = bytes.fromhex("93564f51e1abe1c2")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="ended by POSIX signals")


class Lines:
    """The lines of a pipe, each read with a deadline."""

    def __init__(self, pipe: IO[str]) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def next(self) -> str | None:
        """The next line, or None at the end of the pipe."""
        return self._lines.get(timeout=DEADLINE)

    def rest(self) -> list[str]:
        return list(iter(self.next, None))


class View:
    """A running `otel-rs view`; this class reads its stdout unless `stdout` is passed."""

    def __init__(self, *options: str, http: str = "127.0.0.1:0", stdout: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "otel_rs.cli", "view", "--grpc", "127.0.0.1:0", "--http", http, *options],
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self.process.stderr is not None
        self.err = Lines(self.process.stderr)
        if self.process.stdout is not None:
            self.out = Lines(self.process.stdout)

    def port(self, protocol: str) -> int:
        line = self.err.next() or ""
        match = re.fullmatch(rf"otel-rs view: listening on {protocol} 127\.0\.0\.1:(\d+)", line)
        assert match, line
        return int(match[1])

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextmanager
def started(*options: str, stdout: int = subprocess.PIPE) -> Iterator[tuple[View, str]]:
    """A viewer that listens, and the URL of its HTTP server. It must write nothing more to stderr."""
    view = View(*options, stdout=stdout)
    try:
        view.port("grpc")
        yield view, f"http://127.0.0.1:{view.port('http')}"
    finally:
        view.process.kill()
        view.process.wait(DEADLINE)
    assert view.err.rest() == []


def post(url: str, body: bytes, **headers: str) -> bytes:
    headers = {"Content-Type": "application/x-protobuf"} | {k.replace("_", "-"): v for k, v in headers.items()}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, body, headers), timeout=DEADLINE) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == headers["Content-Type"]
        return response.read()


def a_trace() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "my-service"
    spans = resource_spans.scope_spans.add().spans
    root = spans.add(
        trace_id=TRACE_ID,
        span_id=ROOT_ID,
        name="GET /server_request",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=1_000_000_000,
        end_time_unix_nano=1_012_300_000,
        flags=0x101,
    )
    root.attributes.add(key="http.request.method").value.string_value = "GET"
    root.attributes.add(key="http.response.status_code").value.int_value = 200
    child = spans.add(
        trace_id=TRACE_ID,
        span_id=CHILD_ID,
        parent_span_id=ROOT_ID,
        name="render",
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=1_001_000_000,
        end_time_unix_nano=1_002_000_000,
        flags=0x101,
        status=Status(code=Status.STATUS_CODE_ERROR, message="boom"),
    )
    child.attributes.add(key="data").value.bytes_value = b"\xfb\xff"
    child.attributes.add(key="nan").value.double_value = float("inf")
    child.attributes.add(key="map").value.kvlist_value.values.add(key="k").value.array_value.values.add().int_value = -1
    child.events.add(name="exception", time_unix_nano=2**63)
    child.links.add(trace_id=TRACE_ID, span_id=ROOT_ID, flags=0x301)
    return request


def test_a_trace_is_printed_as_a_tree_once_it_is_quiet() -> None:
    with started() as (view, url):
        response = post(f"{url}/v1/traces", a_trace().SerializeToString())
        assert ExportTraceServiceResponse.FromString(response) == ExportTraceServiceResponse()
        assert [view.out.next() for _ in range(3)] == [
            f"trace {TRACE_ID.hex()}  my-service  2 spans  12.3 ms",
            "└─ GET /server_request  SERVER  12.3 ms  http.request.method=GET http.response.status_code=200",
            "   └─ render  INTERNAL  1.0 ms  ERROR: boom  data=<2 bytes> nan=inf map={k=[-1]}  1 event  1 link",
        ]
        assert view.end() == 0
        assert view.out.rest() == []


def test_json_is_one_line_a_request_that_protobuf_reads_back() -> None:
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="size")
    metric.histogram.data_points.add(count=2**63, sum=1.5, bucket_counts=[1, 2], explicit_bounds=[float("inf")])
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(severity_number=9, trace_id=TRACE_ID)
    with started("--json") as (view, url):
        for signal_name, request in (("traces", a_trace()), ("metrics", metrics), ("logs", logs)):
            body = gzip.compress(request.SerializeToString())
            post(f"{url}/v1/{signal_name}", body, Content_Encoding="gzip")
            line = view.out.next() or ""
            assert json_format.ParseDict(with_ids_in_base64(json.loads(line)), type(request)()) == request
        assert view.end() == 0
        assert view.out.rest() == []


def with_ids_in_base64(document: Any) -> Any:
    """Converts OTLP/JSON to protobuf's JSON mapping, where ids are base64 instead of hexadecimal."""
    if isinstance(document, list):
        return [with_ids_in_base64(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode()
        if key in ("traceId", "spanId", "parentSpanId")
        else with_ids_in_base64(value)
        for key, value in document.items()
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_prints_pending_traces_and_ends_the_viewer(number: int) -> None:
    with started() as (view, url):
        orphan = a_trace()
        del orphan.resource_spans[0].scope_spans[0].spans[0]
        post(f"{url}/v1/traces", orphan.SerializeToString())
        assert view.end(number) == 0
        lines = view.out.rest()
        assert len(lines) == 2
        assert lines[1].endswith(f"(parent {ROOT_ID.hex()} elsewhere)")


def test_it_ends_quietly_when_its_output_pipe_is_closed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with started("--json", stdout=writer) as (view, url):
            post(f"{url}/v1/traces", a_trace().SerializeToString())
            assert view.process.wait(DEADLINE) == 0
    finally:
        os.close(writer)


def test_a_refused_request_carries_an_rpc_status() -> None:
    with started() as (view, url):
        with pytest.raises(urllib.error.HTTPError) as error:
            post(f"{url}/v1/traces", b"\x0a\x7fnot protobuf")
        with error.value as response:
            assert response.code == 400
            # Field 1 of google.rpc.Status is the code, 3 is INVALID_ARGUMENT.
            assert response.read()[:2] == b"\x08\x03"
        assert view.end() == 0


def test_an_address_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        view = View(http=address)
        assert view.process.wait(DEADLINE) == 1
    assert view.err.rest() == [f"otel-rs view: cannot listen on http {address}: address in use"]
    assert view.out.rest() == []


@pytest.mark.parametrize("address", ["4317", "localhost", "localhost:x", "localhost:65536", ":1"])
def test_an_invalid_address_prints_the_usage(address: str) -> None:
    view = View(http=address)
    assert view.process.wait(DEADLINE) == 2
    assert f"{address!r} is neither HOST:PORT nor 'off'" in view.err.rest()[-1]
    assert view.out.rest() == []
