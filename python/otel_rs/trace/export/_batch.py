"""The batch processor: a native batch processor for a native exporter, a Python thread for any other."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.sdk._shared_internal._processor_metrics import create_processor_metrics
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.sdk.trace import export as sdk
from opentelemetry.semconv._incubating.attributes.otel_attributes import OtelComponentTypeValues

from otel_rs import _native
from otel_rs.exporter.otlp._spans import follow_exporter, native_exporter
from otel_rs.settings import read
from otel_rs.settings.kinds import Number
from otel_rs.settings.reading import batch_size, choose
from otel_rs.settings.table import (
    BSP_EXPORT_TIMEOUT,
    BSP_MAX_CONCURRENT_EXPORTS,
    BSP_MAX_EXPORT_BATCH_SIZE,
    BSP_MAX_QUEUE_BYTES,
    BSP_MAX_QUEUE_SIZE,
    BSP_SCHEDULE_DELAY,
    INTERNAL_METRICS,
    MAX_MILLIS,
    MAX_REQUEST_BYTES,
)
from otel_rs.trace import _stock
from otel_rs.trace._processors import NativeSpanProcessor, with_native_steps
from otel_rs.trace.export._native_worker import NativeBatchProcessor
from otel_rs.trace.export._python_worker import PythonBatchProcessor
from otel_rs.trace.export._successive import SuccessiveProcessors

if TYPE_CHECKING:
    from otel_rs.trace.export._metrics import BatchProcessorMetrics

_DEFAULT_FLUSH_TIMEOUT_MILLIS = 30_000


# Arguments may have fractions, and any size.
_ANY_DELAY = Number(unit="milliseconds", minimum=0, above_minimum=True, whole=False, infinite=True)
_ANY_TIMEOUT = Number(unit="milliseconds", minimum=0, whole=False, infinite=True)


class _Sizes(NamedTuple):
    max_queue_size: int
    schedule_delay_millis: float
    max_export_batch_size: int
    export_timeout_millis: float


def _python_batches(
    span_exporter: sdk.SpanExporter, sizes: _Sizes, meter_provider: MeterProvider | None
) -> PythonBatchProcessor:
    return PythonBatchProcessor(
        span_exporter,
        min(sizes.schedule_delay_millis, MAX_MILLIS),  # a thread cannot wait for longer
        sizes.max_export_batch_size,
        sizes.export_timeout_millis,
        sizes.max_queue_size,
        "Span",
        create_processor_metrics(
            "traces",
            OtelComponentTypeValues.BATCHING_SPAN_PROCESSOR,
            meter_provider or get_meter_provider(),
            capacity=sizes.max_queue_size,
            enabled=read(INTERNAL_METRICS).value,
        ),
    )


@with_native_steps
class BatchSpanProcessor(NativeSpanProcessor, _stock.BatchSpanProcessor):
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
        sizes = self._sizes(max_queue_size, schedule_delay_millis, max_export_batch_size, export_timeout_millis)
        self._batch_processor: NativeBatchProcessor | PythonBatchProcessor | SuccessiveProcessors  # type: ignore[assignment]
        if max_concurrent_exports is not None and max_concurrent_exports <= 0:
            raise ValueError("max_concurrent_exports must be a positive integer.")
        concurrent_exports = choose(BSP_MAX_CONCURRENT_EXPORTS, "max_concurrent_exports", max_concurrent_exports).value
        self._python_batches = partial(_python_batches, span_exporter, sizes, meter_provider)
        if native := native_exporter(span_exporter):
            self._batch_processor = self._native_batches(
                span_exporter, native, sizes, concurrent_exports, meter_provider
            )
            follow_exporter(span_exporter, self)
        else:
            self._batch_processor = self._python_batches()

    def _sizes(
        self,
        max_queue_size: int | None,
        schedule_delay_millis: float | None,
        max_export_batch_size: int | None,
        export_timeout_millis: float | None,
    ) -> _Sizes:
        """From the arguments and the environment. Arguments that upstream refuses raise in its words."""
        self._validate_arguments(
            1 if max_queue_size is None else max_queue_size,
            1 if schedule_delay_millis is None else schedule_delay_millis,
            1 if max_export_batch_size is None else min(max_export_batch_size, 1),
        )
        queue = choose(BSP_MAX_QUEUE_SIZE, "max_queue_size", max_queue_size)
        batch = choose(BSP_MAX_EXPORT_BATCH_SIZE, "max_export_batch_size", max_export_batch_size)
        if not (batch.from_variable or queue.from_variable):
            self._validate_arguments(queue.value, 1, batch.value)
        return _Sizes(
            queue.value,
            choose(BSP_SCHEDULE_DELAY, "schedule_delay_millis", schedule_delay_millis, argument_kind=_ANY_DELAY).value,
            batch_size(batch, queue),
            choose(
                BSP_EXPORT_TIMEOUT, "export_timeout_millis", export_timeout_millis, argument_kind=_ANY_TIMEOUT
            ).value,
        )

    def _native_batches(
        self,
        span_exporter: sdk.SpanExporter,
        native: _native.OtlpExporter,
        sizes: _Sizes,
        max_concurrent_exports: int,
        meter_provider: MeterProvider | None,
    ) -> NativeBatchProcessor:
        self._native_processor = _native.BatchProcessor(
            native,
            *sizes,
            read(BSP_MAX_QUEUE_BYTES).value,
            min(read(MAX_REQUEST_BYTES).value, native.max_request_size or sys.maxsize),
            max_concurrent_exports,
        )
        metrics: BatchProcessorMetrics | None = None
        if read(INTERNAL_METRICS).value:
            # Not imported where nobody measures.
            from otel_rs.trace.export import _metrics

            metrics = _metrics.BatchProcessorMetrics(self._native_processor, meter_provider, sizes.max_queue_size)
        return NativeBatchProcessor(span_exporter, self._native_processor, metrics)

    def exporter_left_native(self) -> None:
        """The exporter is a Python one from now on: the stock exporter exports in its place."""
        before = self._batch_processor
        if isinstance(before, NativeBatchProcessor) and not before.is_shut_down():
            self._batch_processor = SuccessiveProcessors(before, self._python_batches())
            self._native_processor = None
            self._methods_changed()

    @property
    def span_exporter(self) -> sdk.SpanExporter:
        # Upstream's worker serves every signal.
        return self._batch_processor._exporter  # type: ignore[return-value]

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        pass

    def _on_ending(self, span: Span) -> None:
        pass

    def on_end(self, span: ReadableSpan) -> None:
        """Takes an ended span, if it is sampled. A native tracer does not call this."""
        if span.context and span.context.trace_flags.sampled:
            self._batch_processor.emit(span)

    def shutdown(self, timeout_millis: float = _DEFAULT_FLUSH_TIMEOUT_MILLIS) -> None:
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
            timeout_millis = _DEFAULT_FLUSH_TIMEOUT_MILLIS
        return self._batch_processor.force_flush(timeout_millis)

    def counts(self) -> dict[str, int]:
        """What became of the spans: ``created`` = ``exported`` + ``rejected`` + ``failed`` + ``dropped`` + ``pending``.

        ``rejected`` the receiver refused in a request that it took; ``failed`` were in exports that failed; ``dropped``
        found no room, came after the shutdown, were left at its deadline, or were too large for the receiver each by
        itself. Of the ``pending``, ``in_flight`` are in exports under way.

        With a Python exporter they are by the results that it returns.
        """
        return self._batch_processor.counts()
