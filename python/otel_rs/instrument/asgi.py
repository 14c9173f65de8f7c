"""What ``opentelemetry-instrumentation-asgi`` runs in each request, and with it those of Starlette and FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from timeit import default_timer
from typing import Any, TypeVar

from opentelemetry import context, trace
from opentelemetry.instrumentation import asgi as contrib
from opentelemetry.instrumentation import propagators
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.semconv._incubating.attributes.http_attributes import HTTP_TARGET
from opentelemetry.util.http import normalise_request_header_name

from otel_rs._imported import is_imported
from otel_rs._native import (
    are_attributes_kept,
    asgi_content_length,
    asgi_measure,
    asgi_message_span,
    asgi_request_attributes,
    exclusion,
    is_http_instrumentation_enabled,
    put_response_code,
    selected_attributes,
    start_internal_or_server_span,
    use_span,
)
from otel_rs.instrument import _conventions, _http
from otel_rs.instrument._originals import lists_are_known, originals

_Send = Callable[[dict[str, Any]], Awaitable[None]]
_Receive = Callable[[], Awaitable[dict[str, Any]]]

_Middleware = contrib.OpenTelemetryMiddleware


def request_attributes(original: Any) -> Callable[..., dict[str, Any]]:
    """`collect_request_attributes`."""

    def collect_request_attributes(scope: Any, sem_conv_opt_in_mode: Any = _StabilityMode.DEFAULT) -> dict[str, Any]:
        old, new = _conventions.reports(sem_conv_opt_in_mode)
        attributes = _request_attributes(scope, old, new)
        if attributes is None:
            attributes = original(scope, sem_conv_opt_in_mode)
        return attributes

    return collect_request_attributes


_attribute_functions = originals(contrib, "collect_request_attributes", "get_host_port_url_tuple", "redact_url")
_set_status_code = originals(contrib, "set_status_code")


def _request_attributes(scope: Any, old: bool, new: bool) -> dict[str, Any] | None:
    """None where contrib's own code has to collect them."""
    if not (lists_are_known() and _attribute_functions.are_there()):
        return None
    return asgi_request_attributes(scope, old, new)


def call(original: Any) -> Callable[..., Awaitable[None]]:
    """`OpenTelemetryMiddleware.__call__`: the application, measured."""

    async def __call__(self: Any, scope: Any, receive: _Receive, send: _Send) -> None:
        # A subclass may have other methods.
        if type(self) is not _Middleware:
            return await original(self, scope, receive, send)  # type: ignore[no-any-return]
        start = default_timer()
        kind = scope["type"]
        is_http = kind == "http"
        if not (is_http or kind == "websocket") or not is_http_instrumentation_enabled():
            return await self.app(scope, receive, send)  # type: ignore[no-any-return]
        is_excluded = exclusion(self.excluded_urls)
        if is_excluded and is_excluded(contrib.get_host_port_url_tuple(scope)[2]):
            return await self.app(scope, receive, send)  # type: ignore[no-any-return]

        name, more_attributes = self.default_span_details(scope)
        convention = _http.SERVER[id(self._sem_conv_opt_in_mode)]
        attributes = _request_attributes(scope, convention.old, convention.new)
        if attributes is None:
            attributes = contrib.collect_request_attributes(scope, convention.mode)
        attributes.update(more_attributes)
        tracer = self.tracer
        span, token = start_internal_or_server_span(
            tracer=tracer,
            span_name=name,
            start_time=None,
            context_carrier=scope,
            context_getter=contrib.asgi_getter,
            attributes=attributes,
        )
        count_attributes = convention.select_counted(attributes)
        if is_http:
            self.active_requests_counter.add(1, count_attributes)
        try:
            with use_span(span):
                if span.is_recording():
                    # Whatever a sampler or a processor has made of them.
                    if not are_attributes_kept(tracer, attributes):
                        for key, value in attributes.items():
                            span.set_attribute(key, value)
                    if self.http_capture_headers_server_request:
                        _capture_request_headers(self, span, scope)
                if callable(self.server_request_hook):
                    self.server_request_hook(span, scope)
                await self.app(
                    scope,
                    _receiving(self, name, scope, receive),
                    _sending(self, convention, span, name, scope, send, attributes),
                )
        finally:
            if is_http:
                seconds = default_timer() - start
                self.active_requests_counter.add(-1, count_attributes)
                _measure(self, convention, span, scope, attributes, seconds)
            if token:
                context.detach(token)
            if span.is_recording():
                span.end()
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


def _receiving(middleware: Any, name: str, scope: Any, receive: _Receive) -> _Receive:
    """`_get_otel_receive`: the server's `receive`, with a span for each message."""
    if middleware.exclude_receive_span:
        return receive
    span_name = " ".join((name, scope["type"], "receive"))

    async def otel_receive() -> dict[str, Any]:
        with middleware.tracer.start_as_current_span(span_name) as span:
            message = await receive()
            if callable(middleware.client_request_hook):
                middleware.client_request_hook(span, scope, message)
            if span.is_recording():
                if message["type"] == "websocket.receive":
                    contrib.set_status_code(span, 200, None, middleware._sem_conv_opt_in_mode)
                span.set_attribute("asgi.event.type", message["type"])
        return message

    return _in_place_of(receive, otel_receive)


def _sending(
    middleware: Any,
    convention: _http.Convention,
    server_span: Any,
    name: str,
    scope: Any,
    send: _Send,
    attributes: dict[str, Any],
) -> _Send:
    """`_get_otel_send`: the server's `send`, with a span for each message."""
    expecting_trailers = False
    span_name = "" if middleware.exclude_send_span else " ".join((name, scope["type"], "send"))
    old, new, errors_from = convention.old, convention.new, convention.errors_from
    is_usual = _set_status_code.are_there()

    async def otel_send(message: dict[str, Any]) -> None:
        nonlocal expecting_trailers
        kind = message["type"]
        code = None
        if kind == "http.response.start":
            code = message["status"]
        elif kind == "websocket.send":
            code = 200
        if not middleware.exclude_send_span:
            is_recording = None
            if is_usual and middleware.client_response_hook is None:
                is_recording = asgi_message_span(middleware.tracer, span_name, kind, code, old, new)
            if is_recording is None:
                expecting_trailers = middleware._set_send_span(name, scope, send, message, code, expecting_trailers)
            elif is_recording and kind == "http.response.start":
                expecting_trailers = message.get("trailers", False)
        # Without a code and headers to capture nothing is set.
        if middleware.http_capture_headers_server_response or (
            code and not (is_usual and put_response_code(server_span, code, attributes, errors_from, old, new))
        ):
            middleware._set_server_span(server_span, message, code, attributes)
        if propagator := propagators._RESPONSE_PROPAGATOR:
            within = trace.set_span_in_context(server_span, context.Context())
            propagator.inject(message, context=within, setter=contrib.asgi_setter)
        if "headers" in message:
            length = asgi_content_length(message)
            if length is False:
                length = _content_length(message)
            if length is not None:
                middleware.content_length_header = length
        await send(message)
        if expecting_trailers:
            is_last = kind == "http.response.trailers" and not message.get("more_trailers", False)
        else:
            is_last = kind == "http.response.body" and not message.get("more_body", False)
        if is_last:
            server_span.end()

    return _in_place_of(send, otel_send)


_Called = TypeVar("_Called", bound=Callable[..., Any])


def _in_place_of(original: Any, function: _Called) -> _Called:
    """What `functools.wraps` does, but for the name and the docstring."""
    if attributes := getattr(original, "__dict__", None):
        function.__dict__.update(attributes)
    function.__wrapped__ = original  # type: ignore[attr-defined]
    return function


def _content_length(carrier: Any) -> int | None:
    """By contrib, where the native function does not know."""
    texts = contrib.asgi_getter.get(carrier, "content-length")
    try:
        return int(texts[0]) if texts else None
    except ValueError:
        return None


def _measure(
    middleware: Any, convention: _http.Convention, span: Any, scope: Any, attributes: Any, seconds: float
) -> None:
    """Records a request that has ended."""
    by_old_names = by_new_names = None
    if convention.old:
        by_old_names = selected_attributes(attributes, _conventions.SERVER_DURATION_OLD)
        if target := contrib._collect_target_attribute(scope):
            by_old_names[HTTP_TARGET] = target
    if convention.new:
        by_new_names = selected_attributes(attributes, _conventions.SERVER_DURATION_NEW)
    size = asgi_content_length(scope)
    if size is False:
        size = _content_length(scope)
    asgi_measure(middleware, span, seconds, by_old_names, by_new_names, size)


is_imported(__name__)
