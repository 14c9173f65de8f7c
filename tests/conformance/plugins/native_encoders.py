"""A pytest plugin: the native encoders take the place of upstream's, whose tests have test data of all signals.

What they make is caught where a receiver would get it, and is decoded by google's protobuf.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from opentelemetry.exporter.otlp.proto.common import _log_encoder, metrics_encoder, trace_encoder
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_rs.exporter.otlp import http


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def native(exporter: Any, message: Any) -> Any:
    """An encoder that exports to a receiver of its own and returns what it got."""
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    exporter = exporter(endpoint=f"http://127.0.0.1:{server.server_address[1]}")

    def encode(data: Any) -> Any:
        server.body = b""
        assert exporter.export(data).name == "SUCCESS"
        return message.FromString(server.body)

    return encode


trace_encoder.encode_spans = native(http.OTLPSpanExporter, ExportTraceServiceRequest)
metrics_encoder.encode_metrics = native(http.OTLPMetricExporter, ExportMetricsServiceRequest)
_log_encoder.encode_logs = native(http.OTLPLogExporter, ExportLogsServiceRequest)
