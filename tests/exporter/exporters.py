"""The exporters of each protocol and signal, ours and the stock ones, and an item for each signal to export."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from otel_rs import TracerProvider

from .test_otlp_logs import record
from .test_otlp_metrics import data, gauge, number_point

PROTOCOLS = ("http", "grpc")
STOCK_MODULES = {"traces": "trace_exporter", "metrics": "metric_exporter", "logs": "_log_exporter"}
CLASS_NAMES = {"traces": "OTLPSpanExporter", "metrics": "OTLPMetricExporter", "logs": "OTLPLogExporter"}
SIGNALS = tuple(CLASS_NAMES)


def ours(protocol: str, signal: str) -> Any:
    return getattr(import_module(f"otel_rs.exporter.otlp.{protocol}"), CLASS_NAMES[signal])


def stock(protocol: str, signal: str) -> Any:
    module = import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{STOCK_MODULES[signal]}")
    return getattr(module, CLASS_NAMES[signal])


def item(signal: str) -> Any:
    """What ``export`` takes, with one span, data point or log record."""
    if signal == "traces":
        span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
        span.end()
        return [span]
    return data(gauge(number_point(1))) if signal == "metrics" else [record()]
