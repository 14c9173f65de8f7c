"""Upstream's classes that `install` replaces, whatever is in their place when this is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import Logger, LoggerProvider, LoggingHandler, SynchronousMultiLogRecordProcessor
else:
    from opentelemetry.sdk import _logs

    def of_upstream(found: Any) -> Any:
        """The native class has upstream's among its bases, and so has one of the program's own."""
        bases = found.__mro__ if isinstance(found, type) else (found,)
        return next((base for base in bases if base.__module__.startswith(_logs.__name__ + ".")), found)

    Logger = of_upstream(_logs.Logger)
    LoggerProvider = of_upstream(_logs.LoggerProvider)
    LoggingHandler = of_upstream(_logs.LoggingHandler)
    SynchronousMultiLogRecordProcessor = of_upstream(_logs.SynchronousMultiLogRecordProcessor)

__all__ = [
    "Logger",
    "LoggerProvider",
    "LoggingHandler",
    "SynchronousMultiLogRecordProcessor",
]
