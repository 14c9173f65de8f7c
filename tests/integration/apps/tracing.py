"""Sets up tracing, metrics and logs with the package's own names, as a service does. The tests vary where and when it
is called."""

import logging
import os

from opentelemetry import metrics, trace

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPLogExporter, OTLPMetricExporter, OTLPSpanExporter
from otel_rs.logs import LoggerProvider
from otel_rs.logs.export import BatchLogRecordProcessor
from otel_rs.metrics import MeterProvider
from otel_rs.metrics.export import PeriodicExportingMetricReader


def instrument() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    logger_provider = LoggerProvider()
    logger_provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    if os.environ.get("HANDLER") == "sdk":
        from otel_rs.logs import LoggingHandler
    else:
        from otel_rs.logs.instrumentation import LoggingHandler
    logging.getLogger().addHandler(LoggingHandler(logger_provider=logger_provider))


def configured(moment: str) -> bool:
    """Whether this run sets up telemetry at this moment, not at another one or with `opentelemetry-instrument`."""
    return os.environ.get("CONFIGURED") == moment


def instrument_if(moment: str) -> None:
    if configured(moment):
        instrument()
