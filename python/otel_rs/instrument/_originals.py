"""Public functions of contrib's whose work ours do: a program may have others in their place."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from otel_rs._native import Originals
from otel_rs._native import lists_are_known as lists_are_known
from otel_rs.instrument.known_releases import KNOWN

_OURS = "otel_rs.instrument."


def is_known(function: Any) -> bool:
    """Whether a function is contrib's or the API's, or ours in its place."""
    if type(function) is BuiltinFunctionType:
        return function.__module__ in KNOWN
    # Not by `__module__`, which a wrapper copies, nor of another class: wrapt's pretends to be what it wraps.
    if type(function) is not FunctionType:
        return False
    home: str = function.__globals__["__name__"]
    return home in KNOWN or home.startswith(_OURS)


def originals(module: ModuleType, *names: str) -> Originals:
    """What a module of contrib's has by these names. Called, it calls the first."""
    return Originals(vars(module), names, is_known)
