"""The processors of a provider: the native ones, which take bytes, and the Python ones."""

from __future__ import annotations

import weakref
from typing import Any, TypeVar

from opentelemetry.sdk import trace as sdk

from otel_rs import _native
from otel_rs.trace import _stock
from otel_rs.trace._methods import WithReplaceableMethods

_STEPS = frozenset({"on_start", "_on_ending", "on_end"})

# What these were when the classes were made, whatever is put in their place later.
_native_steps: dict[type[sdk.SpanProcessor], dict[str, Any]] = {}

_holders: weakref.WeakSet[SynchronousMultiSpanProcessor] = weakref.WeakSet()


class NativeSpanProcessor(WithReplaceableMethods, sdk.SpanProcessor):
    """A processor whose steps native code takes, until somebody replaces them, on the class or the object."""

    _called_natively = _STEPS

    # What native code feeds in this processor's place.
    _native_processor: _native.BatchProcessor | None = None

    @staticmethod
    def _methods_changed() -> None:
        for holder in list(_holders):
            holder._sort()


_Class = TypeVar("_Class", bound=type[NativeSpanProcessor])


def with_native_steps(cls: _Class) -> _Class:
    _native_steps[cls] = {name: getattr(cls, name) for name in _STEPS}
    return cls


@with_native_steps
class SynchronousMultiSpanProcessor(NativeSpanProcessor, _stock.SynchronousMultiSpanProcessor):
    """Upstream's class, which also tells the native tracers of every change to its processors."""

    def __init__(self) -> None:
        self._native = _native.Processors()
        super().__init__()
        _holders.add(self)

    @property
    def _span_processors(self) -> tuple[sdk.SpanProcessor, ...]:
        return self._all

    @_span_processors.setter
    def _span_processors(self, processors: tuple[sdk.SpanProcessor, ...]) -> None:
        self._all = tuple(processors)
        self._sort()

    def _sort(self) -> None:
        if not _is_unmodified(self, SynchronousMultiSpanProcessor):
            self._native.set([], [self])
            return
        native = []
        python = []
        for processor in self._all:
            native_processor = _native_processor_of(processor)
            if native_processor is None:
                python.append(processor)
            else:
                native.append(native_processor)
        self._native.set(native, python)


def native_processors(processor: sdk.SpanProcessor) -> _native.Processors:
    """What a tracer feeds for ``processor``; one that is not ours is called as a whole, as Python."""
    if isinstance(processor, SynchronousMultiSpanProcessor) and "_native" in vars(processor):
        return processor._native
    processors = _native.Processors()
    processors.set([], [processor])
    return processors


def _native_processor_of(processor: sdk.SpanProcessor) -> _native.BatchProcessor | None:
    """What may be fed in the processor's place, or None if its own methods have to be called."""
    if isinstance(processor, NativeSpanProcessor):
        ours = next(cls for cls in type(processor).__mro__ if cls in _native_steps)
        if _is_unmodified(processor, ours):
            return processor._native_processor
    return None


def _is_unmodified(processor: sdk.SpanProcessor, ours: type[sdk.SpanProcessor]) -> bool:
    """Whether nobody, by a subclass or a patch, wants to be called with the span."""
    return not any(
        getattr(type(processor), name) is not step or name in vars(processor)
        for name, step in _native_steps[ours].items()
    )
