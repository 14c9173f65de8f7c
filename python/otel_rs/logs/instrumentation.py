"""The handler of ``opentelemetry-instrumentation-logging``, natively. Imported where that package is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from otel_rs._imported import is_imported
from otel_rs.batching.steps import with_native_steps
from otel_rs.logs._handler import NativeHandler

if TYPE_CHECKING:
    _Stock = logging.Handler
else:
    from opentelemetry.instrumentation.logging import handler

    _Stock: Any = next(cls for cls in handler.LoggingHandler.__mro__ if cls.__module__ == handler.__name__)


@with_native_steps
class LoggingHandler(NativeHandler, _Stock):
    """Behaves as ``opentelemetry.instrumentation.logging.handler.LoggingHandler``."""

    def _emit_in_python(self, record: logging.LogRecord) -> None:
        _Stock.emit(self, record)


is_imported(__name__)
