"""What ``opentelemetry-instrumentation-dbapi`` runs for each statement, and the drivers' instrumentations with it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from opentelemetry.instrumentation import dbapi as contrib
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.trace import SpanKind
from wrapt import ObjectProxy

from otel_rs._imported import is_imported
from otel_rs._native import dbapi_method, is_instrumentation_enabled
from otel_rs.instrument import _conventions
from otel_rs.instrument._originals import is_known, originals

_contrib = SimpleNamespace(
    namespace=vars(contrib),
    get_traced_cursor_proxy=originals(contrib, "get_traced_cursor_proxy"),
    cursor_tracer=contrib.CursorTracer,
    is_known=is_known,
    leading_comment=re.compile(r"^/\*.*?\*/"),
    init_proxy=ObjectProxy.__init__,
    names=[
        SimpleNamespace(mode=mode, system=_names.system, name=_names.name, statement=_names.statement)
        for mode in _StabilityMode
        if not (_names := _conventions.DATABASES[id(mode)]).new
    ],
)


def native_method(class_name: str, name: str) -> Callable[[Any], Any]:
    """What makes a native method of one of contrib's classes."""
    return lambda _original: dbapi_method(class_name, name, _contrib)


connection_attribute: Callable[[Any], Any] = native_method("TracedConnectionProxy", "__getattribute__")
connection_cursor: Callable[[Any], Any] = native_method("TracedConnectionProxy", "cursor")
cursor_init: Callable[[Any], Any] = native_method("TracedCursorProxy", "__init__")
cursor_execute: Callable[[Any], Any] = native_method("TracedCursorProxy", "execute")
cursor_executemany: Callable[[Any], Any] = native_method("TracedCursorProxy", "executemany")
cursor_callproc: Callable[[Any], Any] = native_method("TracedCursorProxy", "callproc")
tracer_init: Callable[[Any], Any] = native_method("CursorTracer", "__init__")


def operation_name(original: Any) -> Callable[..., str]:
    """`CursorTracer.get_operation_name`."""

    def get_operation_name(self: Any, cursor: Any, args: Any) -> str:
        query = args[0] if args else None
        if type(query) is str and query and not query.startswith("/*"):
            return query.split(None, 1)[0]
        name: str = original(self, cursor, args)
        return name

    return get_operation_name


def populate_span(_original: Any) -> Callable[..., None]:
    """`CursorTracer._populate_span`."""

    def _populate_span(self: Any, span: Any, cursor: Any, *args: Any) -> None:
        if not span.is_recording():
            return
        integration = self._db_api_integration
        statement = self.get_statement(cursor, args)
        keys = _conventions.DATABASES[id(integration._sem_conv_opt_in_mode_db)]
        attributes: dict[str, Any] = {}
        if system := integration.database_system:
            attributes.update(dict.fromkeys(keys.system, system))
        if name := integration.database:
            attributes.update(dict.fromkeys(keys.name, name))
        if statement is not None:
            attributes.update(dict.fromkeys(keys.statement, statement))
        attributes.update(integration.span_attributes)
        if integration.capture_parameters and len(args) > 1:
            attributes["db.statement.parameters"] = str(args[1])
        span.set_attributes(attributes)

    return _populate_span


def traced_execution(original: Any) -> Callable[..., Any]:
    """`CursorTracer.traced_execution`."""

    def traced_execution(self: Any, cursor: Any, query_method: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_instrumentation_enabled():
            return query_method(*args, **kwargs)
        if self._commenter_enabled:
            return original(self, cursor, query_method, *args, **kwargs)
        integration = self._db_api_integration
        operation = self.get_operation_name(cursor, args)
        name = operation or integration.database or integration.name
        with integration._tracer.start_as_current_span(name, kind=SpanKind.CLIENT) as span:
            # A driver's tracer may have its own.
            if span.is_recording():
                self._populate_span(span, cursor, *args)
            if not _conventions.DATABASES[id(integration._sem_conv_opt_in_mode_db)].new:
                return query_method(*args, **kwargs)
            start = time.perf_counter()
            failure = None
            try:
                return query_method(*args, **kwargs)
            except Exception as error:
                failure = error
                raise
            finally:
                self._record_metrics(cursor, operation, start, failure)

    return traced_execution


is_imported(__name__)
