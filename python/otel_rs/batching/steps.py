"""The processors of a provider: the native ones, which take bytes, and the Python ones."""

from __future__ import annotations

import weakref
from typing import Any, ClassVar, TypeVar

from otel_rs import _native
from otel_rs._methods import WithReplaceableMethods

# What these were when the classes were made, whatever is put in their place later.
_native_steps: dict[type, dict[str, Any]] = {}

_holders: weakref.WeakSet[Holder] = weakref.WeakSet()


class NativeProcessor(WithReplaceableMethods):
    """A processor whose steps native code takes, until somebody replaces them, on the class or the object."""

    # What native code feeds in this processor's place.
    _native_processor: _native.BatchProcessor | None = None

    @staticmethod
    def _methods_changed() -> None:
        for holder in list(_holders):
            holder._sort()


_Class = TypeVar("_Class", bound=type[WithReplaceableMethods])


def with_native_steps(cls: _Class) -> _Class:
    _native_steps[cls] = {name: getattr(cls, name) for name in cls._called_natively}
    return cls


class Holder(NativeProcessor):
    """Holds processors, and tells native code of every change to them."""

    # Whether all of them are called as Python if one is, each in its turn.
    _in_order: ClassVar[bool] = False

    _native: _native.Processors
    _all: tuple[Any, ...]

    def _hold(self) -> None:
        self._native = _native.Processors()
        self._all = ()
        _holders.add(self)

    def _set_all(self, processors: tuple[Any, ...]) -> None:
        self._all = tuple(processors)
        self._sort()

    def _sort(self) -> None:
        native = []
        python = []
        for processor in self._all:
            native_processor = _native_processor_of(processor)
            if native_processor is None:
                python.append(processor)
            else:
                native.append(native_processor)
        if (python and self._in_order) or not is_unmodified(self):
            self._native.set([], [self])
        else:
            self._native.set(native, python)


def native_processors(processor: Any) -> _native.Processors:
    """What native code feeds for ``processor``; one that is not ours is called as a whole, as Python."""
    if isinstance(processor, Holder) and "_native" in vars(processor):
        return processor._native
    processors = _native.Processors()
    processors.set([], [processor])
    return processors


def _native_processor_of(processor: Any) -> _native.BatchProcessor | None:
    """What may be fed in the processor's place, or None if its own methods have to be called."""
    if isinstance(processor, NativeProcessor) and is_unmodified(processor):
        return processor._native_processor
    return None


def is_unmodified(thing: WithReplaceableMethods, names: frozenset[str] | None = None) -> bool:
    """Whether nobody, by a subclass or a patch, wants to be called in native code's place, for one of these methods."""
    ours = next(cls for cls in type(thing).__mro__ if cls in _native_steps)
    return not any(
        getattr(type(thing), name) is not step or name in vars(thing)
        for name, step in _native_steps[ours].items()
        if names is None or name in names
    )
