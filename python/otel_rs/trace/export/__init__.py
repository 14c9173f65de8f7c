"""The names of ``opentelemetry.sdk.trace.export``, with processors that serve native exporters natively."""

from opentelemetry.sdk.trace.export import (
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_rs.trace.export._batch import BatchSpanProcessor
from otel_rs.trace.export._simple import SimpleSpanProcessor

__all__ = [
    "BatchSpanProcessor",
    "ConsoleSpanExporter",
    "InMemorySpanExporter",
    "SimpleSpanProcessor",
    "SpanExportResult",
    "SpanExporter",
]
