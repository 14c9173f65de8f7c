"""The processors of a tracer provider."""

from __future__ import annotations

from opentelemetry.sdk import trace as sdk

from otel_rs.batching.steps import Holder, NativeProcessor, with_native_steps
from otel_rs.trace import _stock

STEPS = frozenset({"on_start", "_on_ending", "on_end"})


class NativeSpanProcessor(NativeProcessor, sdk.SpanProcessor):
    """A span processor whose steps native code takes."""

    _called_natively = STEPS


@with_native_steps
class SynchronousMultiSpanProcessor(Holder, NativeSpanProcessor, _stock.SynchronousMultiSpanProcessor):
    """Upstream's class, which also tells the native tracers of every change to its processors."""

    def __init__(self) -> None:
        self._hold()
        super().__init__()

    @property
    def _span_processors(self) -> tuple[sdk.SpanProcessor, ...]:
        return self._all

    @_span_processors.setter
    def _span_processors(self, processors: tuple[sdk.SpanProcessor, ...]) -> None:
        self._set_all(processors)
