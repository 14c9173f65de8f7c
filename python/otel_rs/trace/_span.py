"""The Python classes of native spans.

They exist for isinstance: native code makes their instances, and the native class comes first, so that nothing of the
Python classes behind it runs for what the native one has.
"""

from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk

from otel_rs import _native


class Span(_native.Span, sdk.Span):
    """A recorded span. Behaves as ``opentelemetry.sdk.trace.Span``; made by ``Tracer.start_span``.

    Specification: https://opentelemetry.io/docs/specs/otel/trace/api/#span
    """

    __slots__ = ()


class NonRecordingSpan(_native.NonRecordingSpan, trace_api.NonRecordingSpan):
    """A span that the sampler dropped: it passes its context on and records nothing."""

    __slots__ = ()

    def __init__(self, *args: object) -> None:
        """Does nothing: the context was given to the native part."""
