"""What a program records between two moments, in memory."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider, set_logger_provider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter, ObservableUpDownCounter, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_rs.logs import LoggerProvider
from otel_rs.logs.export import SimpleLogRecordProcessor
from otel_rs.metrics import MeterProvider
from otel_rs.testing.recorded import LogLine, Node, Point, Record, trees
from otel_rs.trace import TracerProvider
from otel_rs.trace.export import SimpleSpanProcessor

_DELTA: dict[type, AggregationTemporality] = dict.fromkeys(
    (Counter, UpDownCounter, Histogram, ObservableCounter, ObservableUpDownCounter), AggregationTemporality.DELTA
)


class Telemetry:
    """`with Telemetry() as telemetry`: what the process records meanwhile, on any thread and in any task.

    The global providers are used if the program has set them, else made. They stay for the process: a tracer that a
    module keeps in a variable belongs to one provider for ever. The metrics of a provider that the program has set are
    not seen.
    """

    _memory: _Memory

    def __repr__(self) -> str:
        if not hasattr(self, "_memory"):
            return "Telemetry()"
        return f"Telemetry(spans={len(self.spans())}, logs={len(self.logs())})"

    def __enter__(self) -> Telemetry:
        self._memory = _memory()
        self.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets what was recorded so far."""
        self._memory.spans.clear()
        self._memory.logs.clear()
        self._memory.points()

    def spans(self) -> list[Any]:
        """The spans that have ended, as `ReadableSpan`, in the order of their ends."""
        return list(self._memory.spans.get_finished_spans())

    def traces(self) -> list[Node]:
        """The same as trees, with the log records under their spans."""
        logs = [(span_id, log) for span_id, log in self._log_records()]
        return trees(map(_record, self.spans()), logs)

    def logs(self) -> list[LogLine]:
        """The log records, in the order in which they were emitted."""
        return [log for _, log in self._log_records()]

    def metrics(self) -> dict[str, list[Point]]:
        """What was measured since the last call, or since the beginning."""
        return self._memory.points()

    def _log_records(self) -> list[tuple[str | None, LogLine]]:
        records = (each.log_record for each in self._memory.logs.get_finished_logs())
        return [
            (
                f"{record.span_id:016x}" if record.span_id else None,
                LogLine(record.body, record.severity_text, dict(record.attributes or {})),
            )
            for record in records
        ]


class _Memory:
    """Of the process: the exporters behind the global providers."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.logs = InMemoryLogRecordExporter()
        self.reader: InMemoryMetricReader | None = None
        self._keep_spans()
        self._keep_logs()
        self._keep_metrics()

    def _keep_spans(self) -> None:
        provider: Any = trace.get_tracer_provider()
        if not hasattr(provider, "add_span_processor"):
            provider = TracerProvider(shutdown_on_exit=False)
            trace.set_tracer_provider(provider)
        provider.add_span_processor(SimpleSpanProcessor(self.spans))

    def _keep_logs(self) -> None:
        provider: Any = get_logger_provider()
        if not hasattr(provider, "add_log_record_processor"):
            provider = LoggerProvider(shutdown_on_exit=False)
            set_logger_provider(provider)
        provider.add_log_record_processor(SimpleLogRecordProcessor(self.logs))

    def _keep_metrics(self) -> None:
        if not hasattr(metrics.get_meter_provider(), "force_flush"):
            self.reader = InMemoryMetricReader(preferred_temporality=_DELTA)
            metrics.set_meter_provider(MeterProvider([self.reader], shutdown_on_exit=False))

    def points(self) -> dict[str, list[Point]]:
        data = self.reader.get_metrics_data() if self.reader is not None else None
        found: dict[str, list[Point]] = {}
        for of_resource in data.resource_metrics if data is not None else ():
            for of_scope in of_resource.scope_metrics:
                for metric in of_scope.metrics:
                    points = [_point(each) for each in metric.data.data_points]
                    found.setdefault(metric.name, []).extend(points)
        return found


_made: _Memory | None = None
_lock = threading.Lock()


def _memory() -> _Memory:
    global _made
    with _lock:
        if _made is None:
            _made = _Memory()
        return _made


def _record(span: Any) -> Record:
    context, parent = span.get_span_context(), span.parent
    node = Node(
        span.name,
        span.kind.name.lower(),
        span.status.status_code.name.lower(),
        dict(span.attributes or {}),
        [event.name for event in span.events],
    )
    parent_id = f"{parent.span_id:016x}" if parent is not None else None
    return Record(f"{context.trace_id:032x}", f"{context.span_id:016x}", parent_id, span.start_time, node)


def _point(point: Any) -> Point:
    attributes = dict(point.attributes or {})
    if hasattr(point, "value"):
        return Point(attributes, point.value)
    return Point(attributes, point.sum, point.count)
