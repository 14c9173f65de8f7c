"""What a program records, without what differs in each run; and a log of what the SDK and contrib warned of.

With the argument `otlp`, spans are sent to a receiver: there are shorter ways where no Python code sees a span.
"""

from __future__ import annotations

import http.server
import json
import logging
import re
import sys
import threading
from typing import Any

import otel_rs

otel_rs.install()

from opentelemetry import metrics, trace  # noqa: E402
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: E402
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402
from opentelemetry.sdk.trace.sampling import Sampler  # noqa: E402

_OpenTelemetrySemanticConventionStability._initialize()

_exporter = InMemorySpanExporter()
_reader = InMemoryMetricReader()
_received = ExportTraceServiceRequest()
_warnings: list[str] = []
seen: list[Any] = []
"""What hooks and handlers of the program saw."""


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _warnings.append(f"{record.name}: {record.getMessage()}")


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        _received.MergeFromString(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _sending() -> BatchSpanProcessor:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return BatchSpanProcessor(OTLPSpanExporter(f"http://127.0.0.1:{server.server_port}/v1/traces"))


def set_up(sampler: Sampler | None = None) -> None:
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(_sending() if "otlp" in sys.argv else SimpleSpanProcessor(_exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider(metric_readers=[_reader]))
    logging.getLogger().addHandler(_Warnings(logging.WARNING))


def print_recorded(port: int | None = None, **natives: Any) -> None:
    """`natives`: functions of contrib's, of which the module says whose they are. `port`: of this run alone."""
    spans = _received_spans() if "otlp" in sys.argv else _finished_spans()
    names = {span["id"]: span["name"] for span in spans}
    for span in spans:
        span["parent"] = names.get(span["parent"], span["parent"])
        del span["id"]
    recorded = json.dumps(
        {
            "native": {name: function.__module__ for name, function in natives.items()},
            "spans": spans,
            "metrics": sorted(_points(), key=repr),
            "seen": seen,
            "warnings": _warnings,
        },
        default=list,
        sort_keys=True,
    )
    # Ids that contrib writes into statements.
    recorded = re.sub("00-[0-9a-f]{32}-[0-9a-f]{16}", "traceparent", recorded)
    recorded = re.sub("at 0x[0-9a-f]+", "somewhere", recorded)
    sys.stdout.write(recorded.replace(str(port), "12345") if port else recorded)


def _finished_spans() -> list[dict[str, Any]]:
    return [
        {
            "id": span.context.span_id,
            "name": span.name,
            "kind": span.kind.name,
            "parent": span.parent and span.parent.span_id,
            # Their order, too.
            "attributes": list((span.attributes or {}).items()),
            "status": [span.status.status_code.name, span.status.description],
            "events": [[event.name, _with_stack(dict(event.attributes or {}))] for event in span.events],
            "scope": [span.instrumentation_scope.name, span.instrumentation_scope.schema_url],
        }
        for span in _exporter.get_finished_spans()
    ]


def _received_spans() -> list[dict[str, Any]]:
    trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]
    # Several exports may be under way at once.
    received = [
        (span, scope.scope)
        for resource in _received.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    return [
        {
            "id": span.span_id.hex(),
            "name": span.name,
            "kind": span.kind,
            "parent": span.parent_span_id.hex(),
            "attributes": {attribute.key: str(attribute.value) for attribute in span.attributes},
            "dropped": span.dropped_attributes_count,
            "status": str(span.status),
            "events": [event.name for event in span.events],
            "scope": str(scope),
        }
        for span, scope in sorted(received, key=lambda pair: pair[0].start_time_unix_nano)
    ]


_FRAME = re.compile(r'File "(.*)", line \d+, in (\S+)')
_TELEMETRY = ("/opentelemetry/", "/otel_rs/", "contextlib.py")


def _with_stack(attributes: dict[str, Any]) -> dict[str, Any]:
    """Of a traceback, the functions that are not telemetry's."""
    if stack := attributes.pop("exception.stacktrace", None):
        frames = _FRAME.findall(stack)
        attributes["stack"] = [name for file, name in frames if not any(each in file for each in _TELEMETRY)]
    return attributes


def _points() -> list[Any]:
    data = _reader.get_metrics_data()
    if data is None:
        return []
    return [
        [
            metric.name,
            metric.unit,
            # Their order, too.
            list(point.attributes.items()),
            getattr(point, "count", None) or getattr(point, "value", None),
            # How many depends on the time that requests take.
            {exemplar.trace_id is not None for exemplar in point.exemplars},
        ]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
