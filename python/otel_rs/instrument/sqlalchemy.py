"""What ``opentelemetry-instrumentation-sqlalchemy`` runs for each statement and each use of a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.instrumentation._semconv import (
    _get_semconv_opt_in_modes,
    _OpenTelemetryStabilitySignalType,
    _set_db_system,
)
from opentelemetry.instrumentation.sqlalchemy import engine as contrib
from opentelemetry.trace import SpanKind

from otel_rs._imported import is_imported
from otel_rs._native import is_instrumentation_enabled
from otel_rs.instrument import _conventions

_DATABASE = _OpenTelemetryStabilitySignalType.DATABASE
_HTTP = _OpenTelemetryStabilitySignalType.HTTP
_KNOWN = "_otel_rs_known"
# Databases of which contrib asks a cursor for the name.
_NAMED_BY_CURSOR = ("postgres", "mysql", "mssql", "sqlserver")


class _Known:
    """What is the same for all statements of an engine."""

    def __init__(self, tracer: Any, connection: Any, cursor: Any, url: Any) -> None:
        self.url = url
        self.vendor = vendor = tracer.vendor
        modes = tracer._sem_conv_opt_in_mode_db, tracer._sem_conv_opt_in_mode_http
        self.attributes, found = contrib._get_attributes_from_url(url, *modes)
        self.is_of_cursor = not found and vendor == "postgresql"
        if not found and not self.is_of_cursor:
            self.attributes = contrib._get_attributes_from_cursor_or_conn(
                vendor, connection, cursor, self.attributes, *modes
            )
        self.is_named_by_cursor = any(name in vendor.lower() for name in _NAMED_BY_CURSOR)
        if not self.is_named_by_cursor:
            self.name = contrib._get_db_name_from_cursor_or_conn(vendor, connection, cursor)
        self.keys = keys = _conventions.DATABASES[id(modes[0])]
        self.system = dict.fromkeys(keys.system, vendor)


def before_cursor_execute(original: Any) -> Callable[..., tuple[Any, Any]]:
    """`EngineTracer._before_cur_exec`: starts the span of a statement."""

    def _before_cur_exec(
        self: Any, conn: Any, cursor: Any, statement: Any, params: Any, context: Any, _executemany: Any
    ) -> tuple[Any, Any]:
        url = conn.engine.url
        # Before SQLAlchemy 1.4 a URL could be changed.
        if self.enable_commenter or not isinstance(url, tuple):
            return original(self, conn, cursor, statement, params, context, _executemany)  # type: ignore[no-any-return]
        if not is_instrumentation_enabled():
            return statement, params
        known = self.__dict__.get(_KNOWN)
        if known is None or known.url is not url or known.vendor is not self.vendor:
            known = self.__dict__[_KNOWN] = _Known(self, conn, cursor, url)
        if known.is_named_by_cursor:
            name = contrib._get_db_name_from_cursor_or_conn(self.vendor, conn, cursor)
        else:
            name = known.name
        operation = self._operation_name(name, statement)
        span = self.tracer.start_span(operation, kind=SpanKind.CLIENT)
        if span.is_recording():
            attributes = dict(known.attributes)
            if known.is_of_cursor:
                attributes = contrib._get_attributes_from_cursor_or_conn(
                    self.vendor,
                    conn,
                    cursor,
                    attributes,
                    self._sem_conv_opt_in_mode_db,
                    self._sem_conv_opt_in_mode_http,
                )
            if statement is not None:
                attributes.update(dict.fromkeys(known.keys.statement, statement))
            attributes.update(known.system)
            if operation:
                attributes.update(dict.fromkeys(known.keys.operation, operation))
            span.set_attributes(attributes)
        context._otel_span = span
        return statement, params

    return _before_cur_exec


def operation_name(original: Any) -> Callable[..., str]:
    """`EngineTracer._operation_name`."""

    def _operation_name(self: Any, db_name: Any, statement: Any) -> str:
        if type(statement) is not str or statement.startswith("/*") or type(db_name) is not str or not db_name:
            name: str = original(self, db_name, statement)
            return name
        words = statement.split(None, 1)
        return f"{words[0]} {db_name}" if words else db_name

    return _operation_name


def connections(state: str) -> Callable[[Any], Callable[[Any, int], None]]:
    """`EngineTracer._add_..._to_connection_usage`: counts the connections in one state."""

    def made(_original: Any) -> Callable[[Any, int], None]:
        def add_to_connection_usage(self: Any, value: int) -> None:
            if is_instrumentation_enabled():
                self.connections_usage.add(value, {**self._engine_attrs, "state": state})

        return add_to_connection_usage

    return made


idle_connections: Callable[[Any], Callable[[Any, int], None]] = connections("idle")
used_connections: Callable[[Any], Callable[[Any, int], None]] = connections("used")


def wrap_connect(_original: Any) -> Callable[[Any], Callable[..., Any]]:
    """`_wrap_connect`: a span for `Engine.connect`."""

    def _wrap_connect(tracer: Any) -> Callable[..., Any]:
        modes = _get_semconv_opt_in_modes((_DATABASE, _HTTP))
        # Of the engine that connected last.
        last: tuple[Any, Any, dict[str, Any]] = (None, None, {})

        def attributes_of(url: Any, name: Any) -> dict[str, Any]:
            nonlocal last
            last_url, last_name, attributes = last
            if last_url is not url or last_name is not name or not isinstance(url, tuple):
                attributes, _ = contrib._get_attributes_from_url(url, modes[_DATABASE], modes[_HTTP])
                _set_db_system(attributes, contrib._normalize_vendor(name), modes[_DATABASE])
                last = (url, name, attributes)
            return attributes

        def connect(func: Any, module: Any, args: Any, kwargs: Any) -> Any:
            if not is_instrumentation_enabled():
                return func(*args, **kwargs)
            with tracer.start_as_current_span("connect", kind=SpanKind.CLIENT) as span:
                if span.is_recording():
                    span.set_attributes(attributes_of(module.url, module.name))
                return func(*args, **kwargs)

        return connect

    return _wrap_connect


is_imported(__name__)
