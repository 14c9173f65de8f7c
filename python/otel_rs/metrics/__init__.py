"""The metrics SDK: ``opentelemetry.sdk.metrics`` in names and behaviour, with native measurements."""

from otel_rs._imported import is_imported
from otel_rs.metrics._meter import Meter
from otel_rs.metrics._provider import MeterProvider

__all__ = ["Meter", "MeterProvider"]

is_imported(__name__)
