"""The Python classes of native spans.

They exist for isinstance: native code makes their instances, and the native class comes first, so that nothing of the
Python classes behind it runs for what the native one has.
"""

from __future__ import annotations

import copy
import logging
import threading
from typing import Any

from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.sampling import Sampler

from otel_rs import _native
from otel_rs._methods import LendableMethods, WithReplaceableMethods
from otel_rs.trace import _stock
from otel_rs.trace._span_dict import SpanDict, own_dict

_logger = logging.getLogger(__name__)


class Span(WithReplaceableMethods, _native.Span, _stock.Span, metaclass=LendableMethods):
    """A recorded span. Behaves as ``opentelemetry.sdk.trace.Span``; made by ``Tracer.start_span``.

    Specification: https://opentelemetry.io/docs/specs/otel/trace/api/#span
    """

    __slots__ = ()

    _called_natively = frozenset({"end", "is_recording"})
    _upstream = _stock.Span
    _methods_changed = staticmethod(_native.look_up_methods)

    def start(self, start_time: int | None = None, parent_context: Context | None = None) -> None:
        """Upstream's tracer calls it; ours has started the span already."""
        if not isinstance(self, _native.Span):  # borrowed by another class
            _stock.Span.start(self, start_time, parent_context)
            return
        _logger.warning("Calling start() on a started span.")

    def __copy__(self) -> sdk.ReadableSpan:
        return self._readable_span()

    def __deepcopy__(self, memo: dict[int, Any]) -> sdk.ReadableSpan:
        return copy.deepcopy(self._readable_span(), memo)

    def _add_event(self, event: sdk.EventBase) -> None:
        self.add_event(event.name, event.attributes, event.timestamp)

    def _add_link(self, link: trace_api.Link) -> None:
        self.add_link(link.context, link.attributes)

    # Upstream's names for what it keeps in every span.

    _trace_config = None
    _record_end_metrics = None

    @property
    def __dict__(self) -> SpanDict:  # type: ignore[override]
        return SpanDict(self)

    @property
    def _lock(self) -> threading.Lock:
        """Code of the program may hold it to be alone among its own; native code does not take it."""
        lock: threading.Lock = own_dict(self).setdefault("_lock", threading.Lock())
        return lock

    @_lock.setter
    def _lock(self, lock: threading.Lock) -> None:
        own_dict(self)["_lock"] = lock

    @property
    def _limits(self) -> sdk.SpanLimits:
        return self._tracer._span_limits

    @property
    def _sampler(self) -> Sampler:  # type: ignore[override]
        return self._tracer.sampler

    @property
    def _span_processor(self) -> sdk.SpanProcessor:  # type: ignore[override]
        return self._tracer.span_processor


class NonRecordingSpan(_native.NonRecordingSpan, trace_api.NonRecordingSpan):
    """A span that the sampler dropped: it passes its context on and records nothing."""

    __slots__ = ()

    def __init__(self, *args: object) -> None:
        """Does nothing: the context was given to the native part."""
