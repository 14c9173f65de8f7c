"""Methods that native code calls, or leaves out, without looking them up: here it learns that somebody replaced one."""

from __future__ import annotations

import abc
from collections.abc import Callable
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
