"""The Python classes of native spans.

They exist for isinstance: native code makes their instances, and the native class comes first, so that nothing of the
Python classes behind it runs for what the native one has.
"""

from __future__ import annotations

import logging

from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk

from otel_rs import _native

_logger = logging.getLogger(__name__)


class Span(_native.Span, sdk.Span):
    """A recorded span. Behaves as ``opentelemetry.sdk.trace.Span``; made by ``Tracer.start_span``.

    Specification: https://opentelemetry.io/docs/specs/otel/trace/api/#span
    """

    __slots__ = ()

    def start(self, start_time: int | None = None, parent_context: Context | None = None) -> None:
        """Upstream's tracer calls it; ours has started the span already."""
        _logger.warning("Calling start() on a started span.")

    def _add_event(self, event: sdk.EventBase) -> None:
        self.add_event(event.name, event.attributes, event.timestamp)

    def _add_link(self, link: trace_api.Link) -> None:
        self.add_link(link.context, link.attributes)


class NonRecordingSpan(_native.NonRecordingSpan, trace_api.NonRecordingSpan):
    """A span that the sampler dropped: it passes its context on and records nothing."""

    __slots__ = ()

    def __init__(self, *args: object) -> None:
        """Does nothing: the context was given to the native part."""
