"""The names of ``opentelemetry.sdk.trace``, with provider, tracer and span native.

What has no cost worth saving is upstream's own object, so that isinstance checks and subclasses mean the same.
"""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    Event,
    EventBase,
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
)
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from otel_rs.trace import id_generator, sampling
from otel_rs.trace._processors import SynchronousMultiSpanProcessor
from otel_rs.trace._provider import TracerProvider
from otel_rs.trace._span import NonRecordingSpan, Span
from otel_rs.trace._tracer import Tracer

__all__ = [
    "ConcurrentMultiSpanProcessor",
    "Event",
    "EventBase",
    "IdGenerator",
    "NonRecordingSpan",
    "RandomIdGenerator",
    "ReadableSpan",
    "Resource",
    "Span",
    "SpanLimits",
    "SpanProcessor",
    "SynchronousMultiSpanProcessor",
    "Tracer",
    "TracerProvider",
    "id_generator",
    "sampling",
]
