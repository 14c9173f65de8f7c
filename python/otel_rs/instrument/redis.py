"""What ``opentelemetry-instrumentation-redis`` runs for each command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from opentelemetry.instrumentation import redis as contrib
from opentelemetry.instrumentation._semconv import (
    _get_semconv_opt_in_modes,
    _OpenTelemetryStabilitySignalType,
)
from opentelemetry.instrumentation.redis.util import _build_span_meta_data_for_pipeline, _extract_conn_attributes
from opentelemetry.trace import SpanKind, StatusCode

from otel_rs._imported import is_imported
from otel_rs._native import is_instrumentation_enabled
from otel_rs.instrument import _conventions

_DATABASE = _OpenTelemetryStabilitySignalType.DATABASE
_HTTP = _OpenTelemetryStabilitySignalType.HTTP

_LONGEST_QUERY = 1000
_MOST_SERVERS = 64
# Of these contrib records more.
_SEARCHES = ("FT.SEARCH", "FT.CREATE", "redis.search", "redis.create_index")

Wrapper = Callable[[Any, Any, Any, Any], Any]
_Servers = dict[tuple[Any, ...], dict[str, Any]]


class _Spans:
    """The spans of one instrumentation's commands."""

    def __init__(self, tracer: Any, request_hook: Any = None, response_hook: Any = None) -> None:
        self._start = tracer.start_as_current_span
        self._request_hook = request_hook if callable(request_hook) else None
        self._response_hook = response_hook if callable(response_hook) else None
        self._modes = _get_semconv_opt_in_modes((_DATABASE, _HTTP))
        self._statement_keys = _conventions.DATABASES[id(self._modes[_DATABASE])].statement
        self._servers: _Servers = {}

    def start(self, name: str) -> Any:
        return self._start(name, kind=SpanKind.CLIENT)

    def begin_command(self, span: Any, instance: Any, args: Any, kwargs: Any) -> None:
        if span.is_recording():
            self._describe(span, instance, _query(args), "db.redis.args_length", len(args))
        if self._request_hook:
            contrib._execute_hook(self._request_hook, span, instance, args, kwargs)

    def begin_pipeline(self, span: Any, instance: Any, query: str, commands: Any) -> None:
        if span.is_recording():
            self._describe(span, instance, query, "db.redis.pipeline_length", len(commands))

    def finish(self, span: Any, instance: Any, response: Any) -> None:
        if self._response_hook:
            contrib._execute_hook(self._response_hook, span, instance, response)

    def _describe(self, span: Any, instance: Any, query: str, length_key: str, length: int) -> None:
        attributes: dict[str, Any] = dict.fromkeys(self._statement_keys, query)
        attributes[length_key] = length
        options = getattr(getattr(instance, "connection_pool", None), "connection_kwargs", None)
        if options is not None:
            attributes.update(self._of_server(options))
        span.set_attributes(attributes)

    def _of_server(self, options: Any) -> dict[str, Any]:
        get = options.get
        server = (get("db"), "path" in options, get("path"), get("host", "localhost"), get("port", 6379))
        try:
            known = self._servers.get(server)
        except TypeError:
            return self._attributes_of(options)
        if known is None:
            known = self._attributes_of(options)
            if len(self._servers) >= _MOST_SERVERS:
                self._servers.clear()
            self._servers[server] = known
        return known

    def _attributes_of(self, options: Any) -> dict[str, Any]:
        attributes: dict[str, Any] = _extract_conn_attributes(options, self._modes[_DATABASE], self._modes[_HTTP])
        return attributes


def _query(args: tuple[Any, ...]) -> str:
    query = f"{args[0]}{' ?' * (len(args) - 1)}"
    return query if len(query) <= _LONGEST_QUERY else f"{query[: _LONGEST_QUERY - 3]}..."


def _is_usual(args: tuple[Any, ...]) -> bool:
    return bool(args) and type(args[0]) is str and args[0] != "" and args[0] not in _SEARCHES


def traced_execute(original: Any) -> Callable[..., Wrapper]:
    """`_traced_execute_factory`."""

    def _traced_execute_factory(tracer: Any, request_hook: Any = None, response_hook: Any = None) -> Wrapper:
        in_contrib = original(tracer, request_hook, response_hook)
        spans = _Spans(tracer, request_hook, response_hook)

        def execute_command(func: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            if not _is_usual(args):
                return in_contrib(func, instance, args, kwargs)
            if not is_instrumentation_enabled():
                return func(*args, **kwargs)
            with spans.start(args[0]) as span:
                spans.begin_command(span, instance, args, kwargs)
                response = func(*args, **kwargs)
                spans.finish(span, instance, response)
                return response

        return execute_command

    return _traced_execute_factory


def async_traced_execute(original: Any) -> Callable[..., Wrapper]:
    """`_async_traced_execute_factory`."""

    def _async_traced_execute_factory(tracer: Any, request_hook: Any = None, response_hook: Any = None) -> Wrapper:
        in_contrib = original(tracer, request_hook, response_hook)
        spans = _Spans(tracer, request_hook, response_hook)

        async def execute_command(func: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            if not _is_usual(args):
                return await in_contrib(func, instance, args, kwargs)
            if not is_instrumentation_enabled():
                return await func(*args, **kwargs)
            with spans.start(args[0]) as span:
                spans.begin_command(span, instance, args, kwargs)
                response = await func(*args, **kwargs)
                spans.finish(span, instance, response)
                return response

        return execute_command

    return _async_traced_execute_factory


def traced_pipeline(_original: Any) -> Callable[..., Wrapper]:
    """`_traced_execute_pipeline_factory`."""

    def _traced_execute_pipeline_factory(tracer: Any, request_hook: Any = None, response_hook: Any = None) -> Wrapper:
        spans = _Spans(tracer, request_hook, response_hook)

        def execute_pipeline(func: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            if not is_instrumentation_enabled():
                return func(*args, **kwargs)
            commands, query, name = _build_span_meta_data_for_pipeline(instance)
            response = failure = None
            with spans.start(name) as span:
                spans.begin_pipeline(span, instance, query, commands)
                try:
                    response = func(*args, **kwargs)
                except redis.WatchError as error:
                    span.set_status(StatusCode.UNSET)
                    failure = error
                spans.finish(span, instance, response)
            if failure:
                raise failure
            return response

        return execute_pipeline

    return _traced_execute_pipeline_factory


def async_traced_pipeline(_original: Any) -> Callable[..., Wrapper]:
    """`_async_traced_execute_pipeline_factory`."""

    def _async_traced_execute_pipeline_factory(
        tracer: Any, request_hook: Any = None, response_hook: Any = None
    ) -> Wrapper:
        spans = _Spans(tracer, request_hook, response_hook)

        async def execute_pipeline(func: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            if not is_instrumentation_enabled():
                return await func(*args, **kwargs)
            commands, query, name = _build_span_meta_data_for_pipeline(instance)
            response = failure = None
            with spans.start(name) as span:
                spans.begin_pipeline(span, instance, query, commands)
                try:
                    response = await func(*args, **kwargs)
                except redis.WatchError as error:
                    span.set_status(StatusCode.UNSET)
                    failure = error
                spans.finish(span, instance, response)
            if failure:
                raise failure
            return response

        return execute_pipeline

    return _async_traced_execute_pipeline_factory


is_imported(__name__)
