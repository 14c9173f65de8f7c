"""The names of ``opentelemetry.sdk.trace.export``, with the batch processor native for native exporters."""

from opentelemetry.sdk.trace.export import (
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_rs.trace.export._batch import BatchSpanProcessor

__all__ = [
    "BatchSpanProcessor",
    "ConsoleSpanExporter",
    "InMemorySpanExporter",
    "SimpleSpanProcessor",
    "SpanExportResult",
    "SpanExporter",
]
