"""Sets up tracing as a service does that uses the package's own names. The tests vary who calls it, and when."""

import os

from opentelemetry import trace

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter


def instrument() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def configured(moment: str) -> bool:
    """Whether this run sets up its tracing at that moment, rather than at another or by `opentelemetry-instrument`."""
    return os.environ.get("CONFIGURED") == moment


def instrument_if(moment: str) -> None:
    if configured(moment):
        instrument()
