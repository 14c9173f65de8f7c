"""What `otel-rs view` prints."""

from __future__ import annotations

import gzip
import json
import socket

import grpc
import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from ..support.viewer import TRACE_ID, a_trace, posix_only, post, started, with_ids_in_base64

pytestmark = posix_only


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


def test_doubles_that_json_has_no_number_for_are_taken() -> None:
    attributes = [{"key": text, "value": {"doubleValue": text}} for text in ("NaN", "Infinity", "-Infinity")]
    attributes.append({"key": "text", "value": {"stringValue": "NaN"}})
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "x", "attributes": attributes}]}]}]}
    with started() as (view, url):
        post(f"{url}/v1/traces", json.dumps(body).encode(), Content_Type="application/json")
        assert view.end() == 0
        assert view.out.rest()[-1].endswith("NaN=NaN Infinity=inf -Infinity=-inf text=NaN")


def test_it_takes_what_the_stock_exporters_send_compressed() -> None:
    resource = Resource({"service.name": "stock"})
    with started() as (view, url):
        exporters: list[SpanExporter] = [
            *(HttpExporter(f"{url}/v1/traces", compression=compression) for compression in HttpCompression),
            *(
                GrpcExporter(f"http://127.0.0.1:{view.grpc_port}", insecure=True, compression=compression)
                for compression in grpc.Compression
            ),
        ]
        for exporter in exporters:
            provider = TracerProvider(resource=resource)
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            provider.get_tracer("t").start_span(f"span {exporters.index(exporter)}").end()
            provider.shutdown()
        assert view.end() == 0
        lines = "\n".join(view.out.rest())
        assert [f"└─ span {number} " in lines for number in range(6)] == [True] * 6


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_it_listens_on_the_loopback_of_ipv6() -> None:
    with started("--json", "--http", "[::1]:0") as (view, url):
        url = url.replace("127.0.0.1", "[::1]")
        post(f"{url}/v1/traces", a_trace().SerializeToString())
        post(f"{url}/v1/traces", a_trace().SerializeToString(), Host="localhost")
        assert view.end() == 0
        assert len(view.out.rest()) == 2


def test_strange_times_ids_and_parents_are_printed() -> None:
    request = a_trace()
    spans = request.resource_spans[0].scope_spans[0].spans
    del spans[:]
    spans.add(name="ends first", start_time_unix_nano=5, end_time_unix_nano=1)
    spans.add(name="no time", span_id=b"1")
    spans.add(name="all of time", span_id=b"22", end_time_unix_nano=2**64 - 1)
    spans.add(
        name="at the end of time", span_id=b"x" * 1000, start_time_unix_nano=2**64 - 1, end_time_unix_nano=2**64 - 1
    )
    spans.add(name="its own parent", span_id=b"4" * 8, parent_span_id=b"4" * 8)
    spans.add(name="one", span_id=b"5" * 8, parent_span_id=b"6" * 8)
    spans.add(name="two", span_id=b"6" * 8, parent_span_id=b"5" * 8)
    spans.add(name="x" * 100_000, span_id=b"7" * 8, parent_span_id=b"")
    with started() as (view, url):
        post(f"{url}/v1/traces", request.SerializeToString())
        assert view.end() == 0
        lines = view.out.rest()
    assert lines[0].startswith("trace (no trace id)  my-service  8 spans")
    for text in ("ends before it starts", "0 ns", "18446744073.71 s", "in a cycle", "x" * 120 + "…"):
        assert any(text in line for line in lines[1:]), text
    assert len(lines) == 9
    assert max(map(len, lines)) < 300


# More than what may wait.
DEPTH = 50_000


def test_a_chain_that_is_very_deep_is_printed() -> None:
    with started() as (view, url):
        for start in range(0, DEPTH, DEPTH // 2):
            request = ExportTraceServiceRequest()
            spans = request.resource_spans.add().scope_spans.add().spans
            for number in range(start, start + DEPTH // 2):
                parent = number.to_bytes(8, "big") if number else b""
                spans.add(trace_id=TRACE_ID, span_id=(number + 1).to_bytes(8, "big"), parent_span_id=parent)
            post(f"{url}/v1/traces", request.SerializeToString())
        printed = 0
        while printed < DEPTH:
            printed += "(no name)" in (view.out.next() or "")
        assert view.end() == 0
