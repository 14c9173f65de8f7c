"""Methods that somebody replaces on one of our classes or objects: native code does not look them up unless told to."""

from __future__ import annotations

import abc

from otel_rs import _native

_CALLED_NATIVELY = frozenset({"start_span", "end"})


class ReplaceableMethods(abc.ABCMeta):
    """Of classes whose methods native code calls without looking them up."""

    def __setattr__(cls, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in _CALLED_NATIVELY:
            _native.look_up_methods()


class WithReplaceableMethods(metaclass=ReplaceableMethods):
    """Objects whose methods native code calls without looking them up."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in _CALLED_NATIVELY:
            _native.look_up_methods()
