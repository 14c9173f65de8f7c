"""`otel-rs view`, started as a developer starts it; google's protobuf encodes the requests."""

from __future__ import annotations

import base64
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

DEADLINE = 20.0
TRACE_ID = bytes.fromhex("5b8aa5a2d2c872e8321cf37308d69df2")
ROOT_ID = bytes.fromhex("5fb397be34d26b51")
CHILD_ID = bytes.fromhex("93564f51e1abe1c2")

posix_only = pytest.mark.skipif(os.name == "nt", reason="ended by POSIX signals")


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
        line = self._lines.get(timeout=DEADLINE)
        if line is None:
            self._lines.put(None)
        return line

    def rest(self) -> list[str]:
        return list(iter(self.next, None))


class View:
    """A running `otel-rs view`; this class reads its stdout unless `stdout` is passed."""

    def __init__(
        self,
        *options: str,
        http: str = "127.0.0.1:0",
        stdout: int = subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "otel_rs.cli", "view", "--grpc", "127.0.0.1:0", "--http", http, *options],
            env={**os.environ, **(environment or {})},
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self.process.stderr is not None
        self.err = Lines(self.process.stderr)
        if self.process.stdout is not None:
            self.out = Lines(self.process.stdout)

    grpc_port: int

    def peak_mebibytes(self) -> int:
        """The most that was ever resident; Linux tells."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match
        return int(match[1]) >> 10

    def port(self, protocol: str) -> int:
        line = self.err.next() or ""
        match = re.fullmatch(rf"otel-rs view: listening on {protocol} \S+:(\d+)", line)
        assert match, line
        return int(match[1])

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextmanager
def started(
    *options: str, stdout: int = subprocess.PIPE, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[View, str]]:
    """A viewer that listens, and the URL of its HTTP server. The test must read all that it writes to stderr."""
    view = View(*options, stdout=stdout, environment=environment)
    try:
        view.grpc_port = view.port("grpc")
        yield view, f"http://127.0.0.1:{view.port('http')}"
    finally:
        view.process.kill()
        view.process.wait(DEADLINE)
    assert view.err.rest() == []


@contextmanager
def started_web(*options: str) -> Iterator[tuple[View, str, str]]:
    """A viewer with a page, the page's URL and that of the HTTP server."""
    with started("--web", "0", *options) as (view, url):
        match = re.fullmatch(r"otel-rs view: the page is at (http://127\.0\.0\.1:\d+)/", view.err.next() or "")
        assert match
        yield view, match[1], url


def post(url: str, body: bytes, timeout: float = DEADLINE, **headers: str) -> bytes:
    headers = {"Content-Type": "application/x-protobuf"} | {k.replace("_", "-"): v for k, v in headers.items()}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, body, headers), timeout=timeout) as response:
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
