"""A pytest plugin: the native encoders replace upstream's, whose tests have data of all signals.

A receiver gets the encoded requests, and google's protobuf decodes them.
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
    """Returns an encoder that exports to its own receiver and returns what arrives."""
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
