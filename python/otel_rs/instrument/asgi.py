"""What ``opentelemetry-instrumentation-asgi`` runs in each request, and with it those of Starlette and FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import CoroutineType, SimpleNamespace
from typing import Any

from opentelemetry import context, trace
from opentelemetry.instrumentation import asgi as contrib
from opentelemetry.instrumentation import propagators
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.util.http import normalise_request_header_name

from otel_rs._imported import is_imported
from otel_rs._native import AsgiModule, asgi_request_attributes, asgi_span_details
from otel_rs.instrument import _conventions
from otel_rs.instrument._originals import lists_are_known, originals

_Send = Callable[[dict[str, Any]], Awaitable[None]]
_Receive = Callable[[], Awaitable[dict[str, Any]]]

_Middleware = contrib.OpenTelemetryMiddleware


def request_attributes(original: Any) -> Callable[..., dict[str, Any]]:
    """`collect_request_attributes`."""

    def collect_request_attributes(scope: Any, sem_conv_opt_in_mode: Any = _StabilityMode.DEFAULT) -> dict[str, Any]:
        attributes = None
        if lists_are_known() and _attribute_functions.are_there():
            attributes = asgi_request_attributes(scope, *_conventions.reports(sem_conv_opt_in_mode))
        if attributes is None:
            attributes = original(scope, sem_conv_opt_in_mode)
        return attributes

    return collect_request_attributes


def span_details(original: Any) -> Callable[[Any], tuple[str, dict[str, Any]]]:
    """`get_default_span_details`."""

    def get_default_span_details(scope: Any) -> tuple[str, dict[str, Any]]:
        details = asgi_span_details(scope) if _sanitize_method.are_there() else None
        return original(scope) if details is None else details

    return get_default_span_details


def call(original: Any) -> Callable[..., Awaitable[None]]:
    """`OpenTelemetryMiddleware.__call__`: the application, measured.

    A coroutine function of Python, by which servers know an application of ASGI 3.
    """

    async def __call__(self: Any, scope: Any, receive: _Receive, send: _Send) -> Any:
        # A subclass may have other methods.
        if type(self) is not _Middleware:
            return await original(self, scope, receive, send)
        request, awaitable = _begin(self, scope, receive, send)
        if request is None:
            return await awaitable
        try:
            await awaitable
        except BaseException as exception:
            request.end(exception)
            raise
        request.end()
        return None

    return __call__


def _capture_request_headers(middleware: Any, span: Any, scope: Any) -> None:
    if span.kind == trace.SpanKind.SERVER:
        headers = contrib.collect_custom_headers_attributes(
            scope,
            middleware.http_capture_headers_sanitize_fields,
            middleware.http_capture_headers_server_request,
            normalise_request_header_name,
        )
        if headers:
            span.set_attributes(headers)


async def _received(middleware: Any, span_name: str, scope: Any, receive: _Receive) -> dict[str, Any]:
    """`otel_receive`."""
    with middleware.tracer.start_as_current_span(span_name) as span:
        message = await receive()
        if callable(middleware.client_request_hook):
            middleware.client_request_hook(span, scope, message)
        if span.is_recording():
            if message["type"] == "websocket.receive":
                contrib.set_status_code(span, 200, None, middleware._sem_conv_opt_in_mode)
            span.set_attribute("asgi.event.type", message["type"])
    return message


async def _finished(sent: Awaitable[None], span: Any) -> None:
    """`otel_send`, with the last message of a response."""
    await sent
    span.end()


async def _awaiting(sent: Awaitable[None]) -> None:
    """`otel_send`, where the server's returns no coroutine."""
    await sent


def _inject(propagator: Any, message: dict[str, Any], span: Any) -> None:
    """The context of a response, for who gets it."""
    within = trace.set_span_in_context(span, context.Context())
    propagator.inject(message, context=within, setter=contrib.asgi_setter)


def _content_length(carrier: Any) -> int | None:
    """By contrib, where the native function does not know."""
    texts = contrib.asgi_getter.get(carrier, "content-length")
    try:
        return int(texts[0]) if texts else None
    except ValueError:
        return None


async def _receive_pattern() -> None: ...


async def _send_pattern(message: Any) -> None: ...


_attribute_functions = originals(contrib, "collect_request_attributes", "get_host_port_url_tuple", "redact_url")
_sanitize_method = originals(contrib, "sanitize_method")
_begin = AsgiModule(
    SimpleNamespace(
        contrib=vars(contrib),
        propagators=vars(propagators),
        attributes=_attribute_functions,
        set_status_code=originals(contrib, "set_status_code"),
        target=originals(contrib, "_collect_target_attribute"),
        conventions=[
            SimpleNamespace(mode=mode, old=old, new=new, counted=_conventions.counted(mode))
            for mode in _StabilityMode
            for old, new in (_conventions.reports(mode),)
        ],
        duration_old=_conventions.SERVER_DURATION_OLD,
        duration_new=_conventions.SERVER_DURATION_NEW,
        coroutine=CoroutineType,
        capture_request_headers=_capture_request_headers,
        content_length=_content_length,
        inject=_inject,
        received=_received,
        finished=_finished,
        awaiting=_awaiting,
        receive_pattern=_receive_pattern,
        send_pattern=_send_pattern,
    )
).begin


is_imported(__name__)
