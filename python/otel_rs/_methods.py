"""Methods of native classes that somebody replaces or borrows.

Native code calls some methods, or leaves them out, without looking them up: here it learns that somebody replaced one.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import cache, wraps
from types import GetSetDescriptorType, MethodDescriptorType
from typing import Any, ClassVar


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


class LendableMethods(ReplaceableMethods):
    """The class of classes whose methods and properties another class may borrow: ``class Mine: end = Span.end``.

    A native method refuses an object of another class. So whoever asks the class for one gets a function that runs
    upstream's with such an object. Objects find their methods without this class, as fast as ever.
    """

    _upstream: type

    def __getattribute__(cls, name: str) -> Any:
        found = super().__getattribute__(name)
        if isinstance(found, (MethodDescriptorType, GetSetDescriptorType)):
            upstream = getattr(super().__getattribute__("_upstream"), name, found)
            return found if upstream is found else _lent(found, upstream)
        return found


@cache
def _lent(native: MethodDescriptorType | GetSetDescriptorType, upstream: Any) -> Any:
    native_class = native.__objclass__

    def chosen(thing: Any) -> Any:
        # Not `isinstance`: a proxy says that it is of the class of what it wraps.
        return native if issubclass(type(thing), native_class) else upstream

    if isinstance(native, GetSetDescriptorType):
        return property(lambda thing: chosen(thing).__get__(thing))

    @wraps(upstream)
    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return chosen(self)(self, *arguments, **keywords)

    return method
