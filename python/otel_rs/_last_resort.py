"""Puts lines of otel-rs on stderr where the program has no handler that shows them.

`logging` does so for every program without a handler. `opentelemetry-instrument` adds one that exports the records,
so that a program which configures no logging would not show why nothing is exported.
"""

from __future__ import annotations

import logging


class LastResort(logging.Handler):
    """`logging.lastResort`, in spite of the handlers that only export; from its level on, or from `least`."""

    def __init__(self, least: int | None = None) -> None:
        super().__init__()
        self._least = least

    def emit(self, record: logging.LogRecord) -> None:
        last_resort = logging.lastResort
        if last_resort is None or self._is_shown(record):
            return
        if record.levelno >= (last_resort.level if self._least is None else self._least):
            last_resort.emit(record)

    def _is_shown(self, record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self and not _exports(handler) for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


def _exports(handler: logging.Handler) -> bool:
    """Whether this is the handler of the SDK or of opentelemetry-instrumentation-logging."""
    return any(kind.__module__.startswith("opentelemetry.") for kind in type(handler).__mro__)


def show_on_stderr(logger: logging.Logger, level: str | None = None) -> None:
    """`level`: what `OTEL_LOG_LEVEL` asks for."""
    least = None if level is None else getattr(logging, level.upper())
    if least is not None:
        logger.setLevel(least)
    if not any(isinstance(handler, LastResort) for handler in logger.handlers):
        logger.addHandler(LastResort(least))
