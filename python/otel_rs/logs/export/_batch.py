"""The batch processor of log records."""

from __future__ import annotations

from math import inf

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk._logs import ReadWriteLogRecord
from opentelemetry.sdk._logs import export as sdk
from opentelemetry.semconv._incubating.attributes.otel_attributes import OtelComponentTypeValues

from otel_rs import _native
from otel_rs.batching.processor import DEFAULT_FLUSH_TIMEOUT_MILLIS, Batching, Signal, Sizes
from otel_rs.batching.steps import with_native_steps

# Not its names: under `install` this is imported while that is.
from otel_rs.exporter.otlp import _logs as otlp
from otel_rs.logs._processors import NativeLogRecordProcessor
from otel_rs.logs.export import _stock
from otel_rs.settings.table import (
    BLRP_EXPORT_TIMEOUT,
    BLRP_MAX_CONCURRENT_EXPORTS,
    BLRP_MAX_EXPORT_BATCH_SIZE,
    BLRP_MAX_QUEUE_BYTES,
    BLRP_MAX_QUEUE_SIZE,
    BLRP_SCHEDULE_DELAY,
)

_LOG_RECORDS = Signal(
    name="logs",
    exporting="Log",
    component=OtelComponentTypeValues.BATCHING_LOG_PROCESSOR,
    failure=sdk.LogRecordExportResult.FAILURE,
    push=_native.BatchProcessor.push_log_record,
    max_queue_size=BLRP_MAX_QUEUE_SIZE,
    schedule_delay=BLRP_SCHEDULE_DELAY,
    max_export_batch_size=BLRP_MAX_EXPORT_BATCH_SIZE,
    export_timeout=BLRP_EXPORT_TIMEOUT,
    max_queue_bytes=BLRP_MAX_QUEUE_BYTES,
    max_concurrent_exports=BLRP_MAX_CONCURRENT_EXPORTS,
    # Each line that an export logs would be the next record.
    run_export=_native.call_unexported,
)


@with_native_steps
class BatchLogRecordProcessor(Batching, NativeLogRecordProcessor, _stock.BatchLogRecordProcessor):  # type: ignore[misc]
    """Collects log records and exports them in batches. Behaves as ``opentelemetry.sdk._logs.export``'s.

    Args:
        exporter: Where log records go. One of ``otel_rs.exporter.otlp`` is served natively: no Python object of a
            record is kept and exporting never takes the GIL. Any other is called from a Python thread.
        schedule_delay_millis: Longest time between two exports. Default: ``OTEL_BLRP_SCHEDULE_DELAY``, 1000.
        max_export_batch_size: Records of one export. Default: ``OTEL_BLRP_MAX_EXPORT_BATCH_SIZE``, 512. With a native
            exporter a batch ends earlier where its request would be longer than ``OTEL_RS_EXPORTER_MAX_REQUEST_BYTES``
            (before compression), 3.5 MiB; one that the receiver finds too large is sent in parts.
        export_timeout_millis: Longest time for one export, with a native exporter. Default:
            ``OTEL_BLRP_EXPORT_TIMEOUT``, 30000.
        max_queue_size: Records that may wait; more are dropped and counted. Default: ``OTEL_BLRP_MAX_QUEUE_SIZE``,
            2048. Waiting records take at most ``OTEL_RS_BLRP_MAX_QUEUE_BYTES``, 64 MiB, with a native exporter.
        meter_provider: For the processor's own metrics, where ``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED`` is true.
            Default: the global one.
        max_concurrent_exports: Exports under way at a time, with a native exporter. Default:
            ``OTEL_RS_BLRP_MAX_CONCURRENT_EXPORTS``, 2.

    Raises:
        ValueError: A size, delay or number is not positive, or a batch would be larger than the queue.

    Specification: https://opentelemetry.io/docs/specs/otel/logs/sdk/#batching-processor
    """

    _signal = _LOG_RECORDS

    def __init__(
        self,
        exporter: sdk.LogRecordExporter,
        schedule_delay_millis: float | None = None,
        max_export_batch_size: int | None = None,
        export_timeout_millis: float | None = None,
        max_queue_size: int | None = None,
        *,
        meter_provider: MeterProvider | None = None,
        max_concurrent_exports: int | None = None,
    ) -> None:
        self._begin(
            exporter,
            otlp.native_exporter(exporter),
            Sizes(max_queue_size, schedule_delay_millis, max_export_batch_size, export_timeout_millis),
            meter_provider,
            max_concurrent_exports,
        )

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Takes a record. A native logger does not call this."""
        if isinstance(self, BatchLogRecordProcessor) and self._native_processor is not None:
            # As it is now: what is changed later is not sent.
            self._native_processor.push_log_record(log_record)
        else:
            _stock.BatchLogRecordProcessor.on_emit(self, log_record)

    def shutdown(self, timeout_millis: float = DEFAULT_FLUSH_TIMEOUT_MILLIS) -> None:
        """Exports what is left, within ``timeout_millis``, and shuts the exporter down. Later records are dropped."""
        if not isinstance(self, BatchLogRecordProcessor):  # borrowed by another class
            _stock.BatchLogRecordProcessor.shutdown(self)
            return
        # At the exit the logs come first; a receiver that hangs leaves half of the time for the other signals.
        left = _native.bounded_by_exit(inf)
        self._batch_processor.shutdown(timeout_millis if left == inf else min(timeout_millis, left / 2))

    def force_flush(self, timeout_millis: float | None = DEFAULT_FLUSH_TIMEOUT_MILLIS) -> bool:
        """Exports everything that was emitted so far.

        Args:
            timeout_millis: How long to wait for it. Default: 30000.

        Returns:
            False if that was not done in time, or after ``shutdown``.
        """
        if not isinstance(self, BatchLogRecordProcessor):  # borrowed by another class
            return _stock.BatchLogRecordProcessor.force_flush(self, timeout_millis)
        if timeout_millis is None:
            timeout_millis = DEFAULT_FLUSH_TIMEOUT_MILLIS
        return self._batch_processor.force_flush(timeout_millis)
