"""What the OTLP log exporters have in common."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from otel_rs import _native
from otel_rs.exporter.otlp._exporter import Arguments, NativeExporter, native_part
from otel_rs.exporter.otlp._feedback import LOG_EXPORT_LOGGER
from otel_rs.exporter.otlp._stock import stock_class_for


class NativeLogExporter(NativeExporter, LogRecordExporter):
    """Base of the OTLP log exporters."""

    _shutdown_logger = logging.getLogger(LOG_EXPORT_LOGGER)
    _signal = "logs"

    def __init__(self, arguments: Arguments, meter_provider: MeterProvider | None) -> None:
        self._prepare(arguments, meter_provider)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Sends the records and waits for the outcome, retries included, with the GIL released.

        Records of the logger ``otel_rs.export.logs``, which tell of log exports that failed, are left out.
        """
        if not isinstance(self, NativeLogExporter):  # borrowed by another class
            of_stock: LogRecordExportResult = stock_class_for(self, "logs").export(self, batch)
            return of_stock
        if self._stock_exports():
            result: LogRecordExportResult = self._export_by_stock(batch, len(batch))
            return result
        if self._native.is_shut_down():
            if not all(_is_of_log_export(record) for record in batch):
                self._refuses_after_shutdown()
            return LogRecordExportResult.FAILURE
        return LogRecordExportResult.SUCCESS if self._native.export_logs(batch) else LogRecordExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Takes no more records; an export under way goes on, but is not tried again."""
        if not isinstance(self, NativeLogExporter):  # borrowed by another class
            stock_class_for(self, "logs").shutdown(self)
            return
        self._shut_down()

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Nothing is kept here: True."""
        return True


def native_exporter(exporter: object) -> _native.OtlpExporter | None:
    """The native part that a processor may use in the exporter's place, unless Python has to be called."""
    return native_part(exporter, NativeLogExporter)


def _is_of_log_export(record: ReadableLogRecord) -> bool:
    scope = record.instrumentation_scope
    return scope is not None and scope.name == LOG_EXPORT_LOGGER
