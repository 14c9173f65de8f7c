"""Sets up tracing with the package's own names, as a service does. The tests vary where and when it is called."""

import os

from opentelemetry import trace

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter


def instrument() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def configured(moment: str) -> bool:
    """Whether this run sets up tracing at this moment, not at another one or with `opentelemetry-instrument`."""
    return os.environ.get("CONFIGURED") == moment


def instrument_if(moment: str) -> None:
    if configured(moment):
        instrument()
