"""The batch processor of spans."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.sdk.trace import export as sdk
from opentelemetry.semconv._incubating.attributes.otel_attributes import OtelComponentTypeValues

from otel_rs import _native
from otel_rs.batching.processor import DEFAULT_FLUSH_TIMEOUT_MILLIS, Batching, Signal, Sizes
from otel_rs.batching.steps import with_native_steps
from otel_rs.exporter.otlp._spans import native_exporter
from otel_rs.settings.table import (
    BSP_EXPORT_TIMEOUT,
    BSP_MAX_CONCURRENT_EXPORTS,
    BSP_MAX_EXPORT_BATCH_SIZE,
    BSP_MAX_QUEUE_BYTES,
    BSP_MAX_QUEUE_SIZE,
    BSP_SCHEDULE_DELAY,
)
from otel_rs.trace import _stock
from otel_rs.trace._processors import NativeSpanProcessor

_SPANS = Signal(
    name="traces",
    exporting="Span",
    component=OtelComponentTypeValues.BATCHING_SPAN_PROCESSOR,
    failure=sdk.SpanExportResult.FAILURE,
    push=_native.BatchProcessor.push_span,
    max_queue_size=BSP_MAX_QUEUE_SIZE,
    schedule_delay=BSP_SCHEDULE_DELAY,
    max_export_batch_size=BSP_MAX_EXPORT_BATCH_SIZE,
    export_timeout=BSP_EXPORT_TIMEOUT,
    max_queue_bytes=BSP_MAX_QUEUE_BYTES,
    max_concurrent_exports=BSP_MAX_CONCURRENT_EXPORTS,
)


@with_native_steps
class BatchSpanProcessor(Batching, NativeSpanProcessor, _stock.BatchSpanProcessor):  # type: ignore[misc]
    """Collects ended spans and exports them in batches. Behaves as ``opentelemetry.sdk.trace.export``'s.

    Args:
        span_exporter: Where spans go. One of ``otel_rs.exporter.otlp`` is served natively: no Python object of a span
            is kept and exporting never takes the GIL. Any other is called from a Python thread.
        max_queue_size: Spans that may wait; more are dropped and counted. Default: ``OTEL_BSP_MAX_QUEUE_SIZE``, 2048.
            Waiting spans take at most ``OTEL_RS_BSP_MAX_QUEUE_BYTES``, 64 MiB, with a native exporter.
        schedule_delay_millis: Longest time between two exports. Default: ``OTEL_BSP_SCHEDULE_DELAY``, 5000.
        max_export_batch_size: Spans of one export. Default: ``OTEL_BSP_MAX_EXPORT_BATCH_SIZE``, 512. With a native
            exporter a batch ends earlier where its request would be longer than ``OTEL_RS_EXPORTER_MAX_REQUEST_BYTES``
            (before compression), 3.5 MiB; one that the receiver finds too large is sent in parts.
        export_timeout_millis: Longest time for one export, with a native exporter. Default:
            ``OTEL_BSP_EXPORT_TIMEOUT``, 30000.
        meter_provider: For the processor's own metrics, where ``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED`` is true.
            Default: the global one.
        max_concurrent_exports: Exports under way at a time, with a native exporter. Default:
            ``OTEL_RS_BSP_MAX_CONCURRENT_EXPORTS``, 2.

    Raises:
        ValueError: A size, delay or number is not positive, or a batch would be larger than the queue.

    Specification: https://opentelemetry.io/docs/specs/otel/trace/sdk/#batching-processor
    """

    _signal = _SPANS

    def __init__(
        self,
        span_exporter: sdk.SpanExporter,
        max_queue_size: int | None = None,
        schedule_delay_millis: float | None = None,
        max_export_batch_size: int | None = None,
        export_timeout_millis: float | None = None,
        *,
        meter_provider: MeterProvider | None = None,
        max_concurrent_exports: int | None = None,
    ) -> None:
        self._begin(
            span_exporter,
            native_exporter(span_exporter),
            Sizes(max_queue_size, schedule_delay_millis, max_export_batch_size, export_timeout_millis),
            meter_provider,
            max_concurrent_exports,
        )

    @property
    def span_exporter(self) -> sdk.SpanExporter:
        exporter: sdk.SpanExporter = self._batch_processor._exporter  # type: ignore[assignment]
        return exporter

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        pass

    def _on_ending(self, span: Span) -> None:
        pass

    def on_end(self, span: ReadableSpan) -> None:
        """Takes an ended span, if it is sampled. A native tracer does not call this."""
        if span.context and span.context.trace_flags.sampled:
            self._batch_processor.emit(span)

    def shutdown(self, timeout_millis: float = DEFAULT_FLUSH_TIMEOUT_MILLIS) -> None:
        """Exports what is left, within ``timeout_millis``, and shuts the exporter down. Later spans are dropped."""
        if not isinstance(self, BatchSpanProcessor):  # borrowed by another class
            _stock.BatchSpanProcessor.shutdown(self)
            return
        self._batch_processor.shutdown(timeout_millis)

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        """Exports everything that has ended so far.

        Args:
            timeout_millis: How long to wait for it. Default: 30000.

        Returns:
            False if that was not done in time, or after ``shutdown``.
        """
        if not isinstance(self, BatchSpanProcessor):  # borrowed by another class
            return _stock.BatchSpanProcessor.force_flush(self, timeout_millis)
        if timeout_millis is None:
            timeout_millis = DEFAULT_FLUSH_TIMEOUT_MILLIS
        return self._batch_processor.force_flush(timeout_millis)
