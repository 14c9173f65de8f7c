"""What comes in the place of the functions that contrib's instrumentations run in each request."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from otel_rs.installation.lazy import LazyClass, Replacement
from otel_rs.instrument.known_releases import are_known
from otel_rs.settings.reading import read
from otel_rs.settings.table import NATIVE_INSTRUMENTATIONS

_logger = logging.getLogger("otel_rs")

_PREFIX = "opentelemetry.instrumentation."
_UTIL_HTTP = "opentelemetry.util.http"
_CONTEXT = "opentelemetry.context"
_PROPAGATION = "opentelemetry.trace.propagation"
# Modules where the functions are, if their name is not the instrumentation's.
_PLACES = {
    "context": _CONTEXT,
    "django": f"{_PREFIX}django.middleware.otel_middleware",
    "util_http": _UTIL_HTTP,
}
# Where else they are, in modules that are imported before.
_TAKEN_BY = {
    "context": {
        "opentelemetry.baggage": ("get_value", "set_value"),
        "opentelemetry.trace": ("get_current_span", "set_span_in_context"),
        _PROPAGATION: ("get_current_span", "set_span_in_context"),
    }
}
_HTTP = (f"{_PREFIX}_semconv", f"{_PREFIX}utils", _UTIL_HTTP, f"{_UTIL_HTTP}.constants")


class _Function(LazyClass):
    """Makes a function of contrib's, where its module and those that it relies on are known."""

    def __init__(self, module: str, name: str, place: str, *relies_on: str) -> None:
        super().__init__(f"otel_rs.instrument.{module}", name)
        self._known = (place, *relies_on)

    def is_there_for(self, place: str) -> bool:
        if not are_known(*self._known):
            return True
        try:
            return super().is_there_for(place)
        except Exception:
            # `__call__` says why.
            return True

    def __call__(self, original: Any) -> Any:
        if not are_known(*self._known):
            return original
        try:
            return self.native()(original)
        except Exception as error:
            # What is instrumented is of a release that has other names than those that were read.
            _report_unusable(self.module, f"{type(error).__name__}: {error}")
            return original


@cache
def _report_unusable(module: str, why: str) -> None:
    _logger.warning("%s cannot be used with what is installed (%s): contrib's own code runs.", module, why)


# By instrumentation, or a module of one: what it relies on beside its own module, and which function of ours comes in
# the place of which.
_FUNCTIONS = {
    "asgi": (
        (f"{_PREFIX}propagators", *_HTTP),
        {
            "OpenTelemetryMiddleware.__call__": "call",
            "collect_request_attributes": "request_attributes",
            "get_default_span_details": "span_details",
        },
    ),
    "asyncpg": (
        _HTTP[:2],
        {
            "_hydrate_span_from_args": "hydrate_span",
            "AsyncPGInstrumentor._do_execute": "execute",
            "AsyncPGInstrumentor._do_cursor_execute": "cursor_execute",
            "AsyncPGInstrumentor._do_prepared_execute": "prepared_execute",
        },
    ),
    "celery": (
        (f"{_PREFIX}celery.utils",),
        {
            "utils.set_attributes_from_context": "context_attributes",
            "CeleryInstrumentor._trace_prerun": "task_prerun",
            "CeleryInstrumentor._trace_before_publish": "before_publish",
        },
    ),
    "context": (
        (f"{_CONTEXT}.contextvars_context", _PROPAGATION),
        dict.fromkeys(("get_current", "attach", "detach", "get_value", "set_value"), "function"),
    ),
    "dbapi": (
        _HTTP[:2],
        {
            "TracedConnectionProxy.__getattribute__": "connection_attribute",
            "TracedConnectionProxy.cursor": "connection_cursor",
            "TracedCursorProxy.__init__": "cursor_init",
            "TracedCursorProxy.execute": "cursor_execute",
            "TracedCursorProxy.executemany": "cursor_executemany",
            "TracedCursorProxy.callproc": "cursor_callproc",
            "CursorTracer.__init__": "tracer_init",
            "CursorTracer.get_operation_name": "operation_name",
            "CursorTracer._populate_span": "populate_span",
            "CursorTracer.traced_execution": "traced_execution",
        },
    ),
    "django": (
        (f"{_PREFIX}wsgi", f"{_PREFIX}propagators", *_HTTP),
        {
            "_DjangoMiddleware.process_request": "process_request",
            "_DjangoMiddleware.process_view": "process_view",
            "_DjangoMiddleware.process_response": "process_response",
        },
    ),
    "fastapi": (
        (f"{_PREFIX}asgi", f"{_PREFIX}propagators", *_HTTP),
        {"_get_route_details": "route_details", "_get_default_span_details": "span_details"},
    ),
    "flask": (
        (f"{_PREFIX}wsgi", f"{_PREFIX}propagators", *_HTTP),
        {
            "_rewrapped_app": "wsgi_app",
            "_wrapped_before_request": "before_request",
            "_wrapped_teardown_request": "teardown_request",
        },
    ),
    "grpc._client": (
        (f"{_PREFIX}grpc._utilities", f"{_PREFIX}utils"),
        {
            "OpenTelemetryClientInterceptor._start_span": "start_span",
            "OpenTelemetryClientInterceptor._intercept": "intercept",
            "_make_future_done_callback": "done_callback",
        },
    ),
    "grpc._server": (
        (),
        {
            "OpenTelemetryServerInterceptor._start_span": "start_span",
            "OpenTelemetryServerInterceptor._set_remote_context": "remote_context",
        },
    ),
    "httpx": (
        _HTTP,
        {
            "_BaseHTTPXClientInstrumentor._handle_request_wrapper": "handle_request",
            "_BaseHTTPXClientInstrumentor._handle_async_request_wrapper": "handle_async_request",
        },
    ),
    "redis": (
        (f"{_PREFIX}redis.util", *_HTTP[:2]),
        {
            "_traced_execute_factory": "traced_execute",
            "_traced_execute_pipeline_factory": "traced_pipeline",
            "_async_traced_execute_factory": "async_traced_execute",
            "_async_traced_execute_pipeline_factory": "async_traced_pipeline",
        },
    ),
    "requests": ((*_HTTP, f"{_UTIL_HTTP}.httplib"), {"_instrument": "instrument"}),
    "sqlalchemy": (
        (f"{_PREFIX}sqlalchemy.engine", *_HTTP[:2]),
        {
            "EngineTracer._before_cur_exec": "before_cursor_execute",
            "EngineTracer._operation_name": "operation_name",
            "EngineTracer._add_idle_to_connection_usage": "idle_connections",
            "EngineTracer._add_used_to_connection_usage": "used_connections",
            "_wrap_connect": "wrap_connect",
        },
    ),
    "starlette": (
        (f"{_PREFIX}asgi", f"{_PREFIX}propagators", *_HTTP),
        {"_get_route_details": "route_details", "_get_default_span_details": "span_details"},
    ),
    "urllib": (_HTTP, {"_instrument": "instrument"}),
    "urllib3": ((*_HTTP, f"{_UTIL_HTTP}.httplib"), {"_instrument": "instrument"}),
    "util_http": (
        (f"{_UTIL_HTTP}.constants",),
        {
            "sanitize_method": "method",
            "get_custom_headers": "custom_headers",
            "detect_synthetic_user_agent": "synthetic_type",
        },
    ),
    "utils": (
        (_CONTEXT,),
        {
            "is_instrumentation_enabled": "instrumentation_enabled",
            "is_http_instrumentation_enabled": "http_instrumentation_enabled",
            "_start_internal_or_server_span": "start_span",
        },
    ),
    "wsgi": (
        _HTTP,
        {"collect_request_attributes": "request_attributes", "OpenTelemetryMiddleware.__call__": "call"},
    ),
}


def instrumentations() -> dict[str, dict[str, Replacement]]:
    """By module name and attribute, as `otel_rs.installation.replacements`."""
    replacements: dict[str, dict[str, Replacement]] = {}
    wanted = read(NATIVE_INSTRUMENTATIONS).value
    for name, (relies_on, functions) in _FUNCTIONS.items():
        if name.partition(".")[0] not in wanted:
            continue
        place = _PLACES.get(name, f"{_PREFIX}{name}")
        module = name.replace(".", "")
        replacements[place] = {
            attribute: _Function(module, function, place, *relies_on) for attribute, function in functions.items()
        }
        for taker, taken in _TAKEN_BY.get(name, {}).items():
            replacements[taker] = {each: _Function(name, "function", place, *relies_on) for each in taken}
    return replacements
