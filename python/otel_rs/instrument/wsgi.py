"""What ``opentelemetry-instrumentation-wsgi`` runs in each request."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from timeit import default_timer
from typing import Any

from opentelemetry import context
from opentelemetry.instrumentation import wsgi as contrib
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace.status import Status, StatusCode

from otel_rs._imported import is_imported
from otel_rs._native import (
    HTTP_METHODS,
    WsgiConvention,
    start_internal_or_server_span,
    use_span,
    wsgi_request_attributes,
)
from otel_rs.instrument import _conventions
from otel_rs.instrument._originals import lists_are_known, originals
from otel_rs.instrument._wsgi import CONVENTIONS


def request_attributes(original: Any) -> Callable[..., dict[str, Any]]:
    """`collect_request_attributes`, for instrumentations that call it."""

    def collect_request_attributes(environ: Any, sem_conv_opt_in_mode: Any = _StabilityMode.DEFAULT) -> dict[str, Any]:
        old, new = _conventions.reports(sem_conv_opt_in_mode)
        attributes = wsgi_request_attributes(environ, old, new) if lists_are_known() else None
        # A mapping that is empty would be another one than a request's.
        return attributes or original(environ, sem_conv_opt_in_mode)

    return collect_request_attributes


_contribs_start_response = contrib.OpenTelemetryMiddleware._create_start_response


def call(original: Any) -> Callable[..., Iterable[Any]]:
    """`OpenTelemetryMiddleware.__call__`: the application, measured and in a span."""

    def __call__(self: Any, environ: Any, start_response: Any) -> Iterable[Any]:
        if self._create_start_response is not _contribs_start_response:
            return original(self, environ, start_response)  # type: ignore[no-any-return]
        convention = CONVENTIONS[id(self._sem_conv_opt_in_mode)]
        attributes = convention.request_attributes(environ)
        count_attributes = convention.counted(attributes)
        span, token = start_internal_or_server_span(
            tracer=self.tracer,
            span_name=_span_name(environ),
            start_time=None,
            context_carrier=environ,
            context_getter=contrib.wsgi_getter,
            attributes=attributes,
        )
        if span.is_recording():
            convention.capture_request_headers(span, environ)
        if self.request_hook:
            self.request_hook(span, environ)
        response_hook = self.response_hook
        if response_hook:
            response_hook = functools.partial(response_hook, span, environ)
        start = default_timer()
        self.active_requests_counter.add(1, count_attributes)
        try:
            with use_span(span):
                start_response = _observed(start_response, span, response_hook, attributes, convention)
                iterable = self.wsgi(environ, start_response)
                return _ending(iterable, span, token)
        except Exception as error:
            if convention.new:
                attributes[ERROR_TYPE] = type(error).__qualname__
                if span.is_recording():
                    span.set_attribute(ERROR_TYPE, attributes[ERROR_TYPE])
                span.set_status(Status(StatusCode.ERROR, str(error)))
            span.end()
            if token is not None:
                context.detach(token)
            raise
        finally:
            seconds = max(default_timer() - start, 0)
            convention.record_duration(
                seconds, attributes, self.duration_histogram_old, self.duration_histogram_new, span
            )
            self.active_requests_counter.add(-1, count_attributes)

    return __call__


_default_span_name = originals(contrib, "get_default_span_name")


def _span_name(environ: Any) -> str:
    """`get_default_span_name`, unless somebody has put another in its place."""
    method, path = environ.get("REQUEST_METHOD"), environ.get("PATH_INFO")
    if method in HTTP_METHODS and path and _default_span_name.are_there():
        return f"{method} {path.strip()}".rstrip()
    return contrib.get_default_span_name(environ)


def _observed(
    start_response: Any, span: Any, hook: Any, attributes: dict[str, Any], convention: WsgiConvention
) -> Callable[..., Any]:
    def observed_start_response(status: str, response_headers: Any, *args: Any, **kwargs: Any) -> Any:
        convention.add_response_attributes(span, status, response_headers, attributes)
        if hook:
            hook(status, response_headers)
        return start_response(status, response_headers, *args, **kwargs)

    return functools.update_wrapper(observed_start_response, start_response)


def _ending(iterable: Iterable[Any], span: Any, token: Any) -> Iterator[Any]:
    """`_end_span_after_iterating`."""
    try:
        with use_span(span):
            yield from iterable
    finally:
        close = getattr(iterable, "close", None)
        if close:
            close()
        span.end()
        if token is not None:
            context.detach(token)


is_imported(__name__)
