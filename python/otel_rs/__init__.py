"""OpenTelemetry for Python at native cost.

The names here are those of ``opentelemetry.sdk.trace`` and ``opentelemetry.sdk.trace.export``; see ``otel_rs.trace``,
``otel_rs.trace.export`` and ``otel_rs.exporter.otlp``. Importing the package changes nothing in other packages;
``install`` does.
"""

from otel_rs._installation import install, uninstall
from otel_rs.trace import TracerProvider
from otel_rs.trace.export import BatchSpanProcessor, SimpleSpanProcessor

__all__ = ["BatchSpanProcessor", "SimpleSpanProcessor", "TracerProvider", "install", "uninstall"]
