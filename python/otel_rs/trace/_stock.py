"""Upstream's classes that `install` replaces, whatever is in their place when this is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span, SynchronousMultiSpanProcessor, Tracer, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
else:
    from opentelemetry.sdk import trace
    from opentelemetry.sdk.trace import export

    def _upstreams(found: Any) -> Any:
        """The native class has upstream's among its bases, and so has one of the program's own."""
        bases = found.__mro__ if isinstance(found, type) else (found,)
        return next((base for base in bases if base.__module__ in (trace.__name__, export.__name__)), found)

    Span = _upstreams(trace.Span)
    SynchronousMultiSpanProcessor = _upstreams(trace.SynchronousMultiSpanProcessor)
    Tracer = _upstreams(trace.Tracer)
    TracerProvider = _upstreams(trace.TracerProvider)
    BatchSpanProcessor = _upstreams(export.BatchSpanProcessor)
    SimpleSpanProcessor = _upstreams(export.SimpleSpanProcessor)

__all__ = [
    "BatchSpanProcessor",
    "SimpleSpanProcessor",
    "Span",
    "SynchronousMultiSpanProcessor",
    "Tracer",
    "TracerProvider",
]
