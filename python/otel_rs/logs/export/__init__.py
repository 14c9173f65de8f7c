"""The names of ``opentelemetry.sdk._logs.export``, with processors that serve native exporters natively."""

from opentelemetry.sdk._logs.export import (
    ConsoleLogRecordExporter,
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
)

from otel_rs._imported import is_imported
from otel_rs.logs.export._batch import BatchLogRecordProcessor
from otel_rs.logs.export._simple import SimpleLogRecordProcessor

__all__ = [
    "BatchLogRecordProcessor",
    "ConsoleLogRecordExporter",
    "InMemoryLogRecordExporter",
    "LogRecordExportResult",
    "LogRecordExporter",
    "SimpleLogRecordProcessor",
]

is_imported(__name__)
