"""The exporters of metrics and logs: a program that exports spans alone does not import the SDK's metrics and logs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_MODULES = {"OTLPLogExporter": "_logs", "OTLPMetricExporter": "_metrics"}


def when_asked_for(package: str) -> Callable[[str], Any]:
    """A ``__getattr__`` for the package, which imports what it is asked for."""

    def imported(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{_MODULES[name]}"), name)

    return imported
