"""Methods of native classes that somebody replaces or borrows.

Native code calls some methods, or leaves them out, without looking them up: here it learns that somebody replaced one.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from types import GetSetDescriptorType, MethodDescriptorType
from typing import Any, ClassVar, TypeVar

from otel_rs import _native


def _notice(cls: Any, name: str) -> None:
    # The class is being made while it has no `_called_natively` yet.
    if name in getattr(cls, "_called_natively", ()):
        cls._methods_changed()


class ReplaceableMethods(abc.ABCMeta):
    """The class of classes whose methods somebody, a tracing tool or a test, may replace."""

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        _notice(cls, name)

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        _notice(cls, name)


class WithReplaceableMethods(metaclass=ReplaceableMethods):
    """Objects whose methods somebody may replace, on the object or on its class."""

    __slots__ = ()

    _called_natively: ClassVar[frozenset[str]] = frozenset()
    # Called after one of these was replaced or put back.
    _methods_changed: ClassVar[Callable[[], None]]

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        _notice(type(self), name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        _notice(type(self), name)


_Class = TypeVar("_Class", bound=type)


def lends(native: type, upstream: type) -> Callable[[_Class], _Class]:
    """Lets other classes borrow what a class inherits from the native one, as they may from upstream's.

    With an object of theirs upstream's function or property runs.
    """

    def lend(cls: _Class) -> _Class:
        for name, attribute in vars(native).items():
            if isinstance(attribute, (MethodDescriptorType, GetSetDescriptorType)) and hasattr(upstream, name):
                # Not by `setattr`: nobody has replaced it.
                type.__setattr__(cls, name, _native.borrowable(attribute, getattr(upstream, name)))
        return cls

    return lend
