"""The simple processor: each record is exported as it is emitted, on the thread that emits it."""

from __future__ import annotations

from opentelemetry.sdk._logs import ReadWriteLogRecord

from otel_rs._shown import shown

# Not its names: under `install` this is imported while that is.
from otel_rs.exporter.otlp import _logs as otlp
from otel_rs.logs.export import _stock


class SimpleLogRecordProcessor(_stock.SimpleLogRecordProcessor):
    """Exports each log record as it is emitted. Behaves as ``opentelemetry.sdk._logs.export``'s.

    The application waits for every export, with the GIL released where the exporter is one of
    ``otel_rs.exporter.otlp``: for tests and scripts.

    Specification: https://opentelemetry.io/docs/specs/otel/logs/sdk/#simple-processor
    """

    def __repr__(self) -> str:
        return shown(self, "exporter", lambda: self._exporter)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Exports the record."""
        native = otlp.native_exporter(self._exporter)
        if native is None or self._shutdown:
            # Not by `super()`: another class may have borrowed this.
            _stock.SimpleLogRecordProcessor.on_emit(self, log_record)
        else:
            # No instrumentation sees what a native exporter does, so there is none to be suppressed meanwhile.
            self._metrics.finish_items(1)
            native.export_logs((log_record,))  # type: ignore[arg-type]  # it reads what both kinds of records have
