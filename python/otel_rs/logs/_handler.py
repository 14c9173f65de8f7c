"""The handlers of Python's ``logging``: upstream's, from a record to bytes in one native step."""

from __future__ import annotations

import logging
import weakref
from contextlib import suppress
from typing import Any

from opentelemetry._logs import LoggerProvider as ApiLoggerProvider
from opentelemetry._logs import get_logger

from otel_rs import _native
from otel_rs._methods import WithReplaceableMethods
from otel_rs.batching.steps import is_unmodified, with_native_steps
from otel_rs.logs import _stock
from otel_rs.logs._logger import Logger
from otel_rs.logs._provider import LoggerProvider

# What upstream's `emit` calls.
_TRANSLATES = frozenset({"_translate", "_get_attributes"})
# What `logging.Handler.handle` calls.
_HANDLES = frozenset({"emit", "filter", "acquire", "release"})
# What upstream's `emit` reads of the handler.
_ATTRIBUTES = frozenset({"formatter", "_logger_provider", "_log_code_attributes"})

_handlers: weakref.WeakSet[NativeHandler] = weakref.WeakSet()


class NativeHandler(WithReplaceableMethods, _native.LoggingHandler):
    """Base of the handlers. A subclass with its own way to translate a record is called in Python, and one with its own
    way to handle it in Python and with its lock."""

    _called_natively = _TRANSLATES | _HANDLES
    _of_sdk = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(cls, cls._of_sdk)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _handlers.add(self)
        self._look()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _ATTRIBUTES:
            found = vars(self)
            self._set_attributes(
                found.get("formatter") or None,
                found.get("_logger_provider"),
                bool(found.get("_log_code_attributes")),
            )

    def _look(self) -> None:
        # A class's own attributes of these names may be anything.
        has_own = any(hasattr(type(self), name) for name in _ATTRIBUTES)
        self._set_native(is_unmodified(self, _TRANSLATES) and not has_own, not is_unmodified(self, _HANDLES))

    @staticmethod
    def _methods_changed() -> None:
        for handler in list(_handlers):
            handler._look()

    def flush(self) -> None:
        """Has everything exported soon, and waits for nothing: without the thread that upstream's starts for it, if no
        processor is Python's."""
        provider = vars(self).get("_logger_provider")
        if isinstance(provider, LoggerProvider) and provider._start_flush():
            return
        # No thread can be started at the exit, when the provider has flushed. `logging.shutdown` goes on with the other
        # handlers.
        with suppress(RuntimeError):
            super().flush()  # type: ignore[misc]  # upstream's

    def _emit_in_python(self, record: logging.LogRecord) -> None:
        raise NotImplementedError

    def _handle_in_python(self, record: logging.LogRecord) -> Any:
        return logging.Handler.handle(self, record)  # type: ignore[arg-type]  # upstream's is one


@with_native_steps
class LoggingHandler(NativeHandler, _stock.LoggingHandler):
    """Sends the records of Python's ``logging``. Behaves as ``opentelemetry.sdk._logs.LoggingHandler``, which upstream
    has deprecated for the one of ``opentelemetry-instrumentation-logging``.

    Args:
        level: The lowest level that it takes.
        logger_provider: Default: the global one.
    """

    _of_sdk = True

    def _emit_in_python(self, record: logging.LogRecord) -> None:
        _stock.LoggingHandler.emit(self, record)


def native_logger(provider: ApiLoggerProvider, name: str) -> tuple[Logger | None, bool]:
    """The logger that a handler may use without calling it, and whether it is the one of that name from now on."""
    logger = get_logger(name, logger_provider=provider)
    is_lasting = (
        isinstance(provider, LoggerProvider)
        and type(provider).get_logger is _stock.LoggerProvider.get_logger
        and "get_logger" not in vars(provider)
    )
    return (logger if type(logger) is Logger else None), is_lasting


def handle_error(handler: logging.Handler, record: logging.LogRecord, error: Exception) -> None:
    """As the handlers of Python's `logging` do."""
    try:
        raise error
    except Exception:
        handler.handleError(record)
