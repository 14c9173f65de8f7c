"""The names of ``opentelemetry.sdk.trace.export.in_memory_span_exporter``."""

from opentelemetry.sdk.trace.export.in_memory_span_exporter import *  # noqa: F403
