"""Sets up tracing and metrics with the package's own names, as a service does. The tests vary where and when it is
called."""

import os

from opentelemetry import metrics, trace

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPMetricExporter, OTLPSpanExporter
from otel_rs.metrics import MeterProvider
from otel_rs.metrics.export import PeriodicExportingMetricReader


def instrument() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))


def configured(moment: str) -> bool:
    """Whether this run sets up telemetry at this moment, not at another one or with `opentelemetry-instrument`."""
    return os.environ.get("CONFIGURED") == moment


def instrument_if(moment: str) -> None:
    if configured(moment):
        instrument()
