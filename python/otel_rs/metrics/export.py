"""The periodic reader of ``opentelemetry.sdk.metrics.export``, native for a native exporter."""

from otel_rs._imported import is_imported
from otel_rs.metrics._reader import PeriodicExportingMetricReader

__all__ = ["PeriodicExportingMetricReader"]

is_imported(__name__)
