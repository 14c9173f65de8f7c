"""What ``opentelemetry-instrumentation-asyncpg`` runs for each statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry.instrumentation import asyncpg as contrib
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import Status, StatusCode

from otel_rs._imported import is_imported
from otel_rs._native import is_instrumentation_enabled
from otel_rs.instrument import _conventions

_comment_remover = contrib.AsyncPGInstrumentor._leading_comment_remover
_MOST_SERVERS = 64
_servers: dict[tuple[Any, ...], dict[str, Any]] = {}


def hydrate_span(original: Any) -> Callable[..., dict[str, Any]]:
    """`_hydrate_span_from_args`: the attributes of a statement."""

    def _hydrate_span_from_args(
        connection: Any, query: Any, parameters: Any, semconv_opt_in_mode: Any = _StabilityMode.DEFAULT
    ) -> dict[str, Any]:
        attributes = dict(_of_server(original, connection, semconv_opt_in_mode))
        if query is not None:
            attributes.update(dict.fromkeys(_conventions.DATABASES[id(semconv_opt_in_mode)].statement, query))
        if parameters is not None and len(parameters) > 0:
            attributes["db.statement.parameters"] = str(parameters)
        return attributes

    return _hydrate_span_from_args


def _of_server(original: Any, connection: Any, mode: Any) -> dict[str, Any]:
    """What is the same for all statements of a connection."""
    parameters = getattr(connection, "_params", None)
    server = (
        id(mode),
        getattr(parameters, "database", None),
        getattr(parameters, "user", None),
        getattr(connection, "_addr", None),
    )
    try:
        known = _servers.get(server)
    except TypeError:
        return original(connection, None, None, mode)  # type: ignore[no-any-return]
    if known is None:
        known = original(connection, None, None, mode)
        if len(_servers) >= _MOST_SERVERS:
            _servers.clear()
        _servers[server] = known
    return known


def _operation(instrumentor: Any, query: Any) -> str:
    """The first word of a statement, behind the comment that it may begin with."""
    remover = instrumentor._leading_comment_remover
    if remover is not _comment_remover or type(query) is not str or query[:1] == "/":
        query = remover.sub("", query)
    words: list[str] = query.split(None, 1)
    return words[0] if words else ""


def _note_failure(instrumentor: Any, span: Any, error: Exception) -> None:
    if span.is_recording():
        span.set_status(Status(StatusCode.ERROR))
        if _conventions.DATABASES[id(instrumentor._semconv_opt_in_mode)].new:
            span.set_attribute(ERROR_TYPE, type(error).__qualname__)


async def _traced(
    instrumentor: Any,
    name: str,
    attributes: dict[str, Any],
    func: Callable[..., Awaitable[Any]],
    args: Any,
    kwargs: Any,
    is_of_cursor: bool = False,
) -> Any:
    with instrumentor._tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes) as span:
        try:
            return await func(*args, **kwargs)
        except Exception as error:
            # The span does not see that a cursor is at its end.
            if not (is_of_cursor and isinstance(error, StopAsyncIteration)):
                _note_failure(instrumentor, span, error)
                raise
    raise StopAsyncIteration


def execute(_original: Any) -> Callable[..., Awaitable[Any]]:
    """`AsyncPGInstrumentor._do_execute`: a statement of a connection."""

    async def _do_execute(self: Any, func: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if not is_instrumentation_enabled():
            return await func(*args, **kwargs)
        query = args[0]
        name = _operation(self, query or getattr(getattr(instance, "_params", None), "database", "postgresql"))
        attributes = contrib._hydrate_span_from_args(
            instance, query, args[1:] if self.capture_parameters else None, self._semconv_opt_in_mode
        )
        return await _traced(self, name, attributes, func, args, kwargs)

    return _do_execute


def cursor_execute(_original: Any) -> Callable[..., Awaitable[Any]]:
    """`AsyncPGInstrumentor._do_cursor_execute`: a step of a cursor."""

    async def _do_cursor_execute(self: Any, func: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if not is_instrumentation_enabled():
            return await func(*args, **kwargs)
        connection, query = instance._connection, instance._query
        name = _operation(self, query or getattr(getattr(connection, "_params", None), "database", "postgresql"))
        attributes = contrib._hydrate_span_from_args(
            connection, query, instance._args if self.capture_parameters else None, self._semconv_opt_in_mode
        )
        return await _traced(self, f"CURSOR: {name}", attributes, func, args, kwargs, is_of_cursor=True)

    return _do_cursor_execute


def prepared_execute(_original: Any) -> Callable[..., Awaitable[Any]]:
    """`AsyncPGInstrumentor._do_prepared_execute`: a statement that was prepared."""

    async def _do_prepared_execute(self: Any, func: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if not is_instrumentation_enabled():
            return await func(*args, **kwargs)
        query = instance._query or ""
        attributes = contrib._hydrate_span_from_args(
            instance._connection, query, args if self.capture_parameters else None, self._semconv_opt_in_mode
        )
        return await _traced(self, _operation(self, query), attributes, func, args, kwargs)

    return _do_prepared_execute


is_imported(__name__)
