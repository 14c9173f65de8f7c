"""What ``opentelemetry-instrumentation-urllib`` runs in each request."""

from __future__ import annotations

import functools
from collections.abc import Callable
from timeit import default_timer
from typing import Any
from urllib.request import OpenerDirector, Request

from opentelemetry import context
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, Context
from opentelemetry.instrumentation import urllib as contrib
from opentelemetry.instrumentation._semconv import _set_http_network_protocol_version, _StabilityMode
from opentelemetry.propagate import inject
from opentelemetry.semconv._incubating.attributes.http_attributes import HTTP_URL
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import SpanKind

from otel_rs._imported import is_imported
from otel_rs._native import (
    HTTP_METHODS,
    exclusion,
    is_http_instrumentation_enabled,
    is_plain_url,
    put_response_code,
    selected_attributes,
)
from otel_rs.instrument import _conventions, _http
from otel_rs.instrument._originals import lists_are_known, originals

_redact_url = originals(contrib, "redact_url")


def instrument(original: Any) -> Callable[..., None]:
    """`_instrument`: puts an `open` that makes a span into `OpenerDirector`."""

    def _instrument(
        tracer: Any,
        histograms: dict[str, Any],
        request_hook: Any = None,
        response_hook: Any = None,
        excluded_urls: Any = None,
        sem_conv_opt_in_mode: Any = _StabilityMode.DEFAULT,
        captured_request_headers: list[str] | None = None,
        captured_response_headers: list[str] | None = None,
        sensitive_headers: list[str] | None = None,
    ) -> None:
        opener_open = OpenerDirector.open
        original(
            tracer,
            histograms,
            request_hook,
            response_hook,
            excluded_urls,
            sem_conv_opt_in_mode,
            captured_request_headers,
            captured_response_headers,
            sensitive_headers,
        )
        if callable(request_hook) or callable(response_hook) or captured_request_headers or captured_response_headers:
            return
        openers = _Openers(tracer, histograms, sem_conv_opt_in_mode, opener_open, OpenerDirector.open)
        is_excluded = exclusion(excluded_urls)

        @functools.wraps(opener_open)
        def instrumented_open(opener: Any, fullurl: Any, data: Any = None, timeout: Any = None) -> Any:
            if isinstance(fullurl, str):
                # The first value of a header is sent.
                request = Request(fullurl, data, headers=dict(reversed(opener.addheaders)))
            else:
                request = fullurl
            if not is_http_instrumentation_enabled() or (is_excluded and is_excluded(request.full_url)):
                return opener_open(opener, request, data=data, timeout=timeout)
            return openers.open(opener, request, data, timeout)

        instrumented_open.opentelemetry_instrumentation_urllib_applied = True  # type: ignore[attr-defined]
        OpenerDirector.open = instrumented_open  # type: ignore[method-assign, assignment]

    return _instrument


class _Openers:
    """How urllib is instrumented, without hooks and captured headers."""

    def __init__(self, tracer: Any, histograms: dict[str, Any], mode: Any, opener_open: Any, in_contrib: Any) -> None:
        self._tracer = tracer
        self._convention = convention = _http.CLIENT[id(mode)]
        # The old ones first, each with a duration, the request's size and the response's.
        found = list(histograms.values())
        self._old = found[:3] if convention.old else []
        self._new = found[-3:] if convention.new else []
        self._open = opener_open
        self._in_contrib = in_contrib

    def open(self, opener: Any, request: Any, data: Any, timeout: Any) -> Any:
        method, url = request.get_method(), request.full_url
        if method not in HTTP_METHODS or not (is_plain_url(url) and lists_are_known() and _redact_url.are_there()):
            return self._in_contrib(opener, request, data, timeout)
        body = getattr(request, "data", None)
        request_size = 0 if body is None else len(body)
        convention = self._convention
        labels = {}
        if convention.old:
            labels["http.method"] = method
        if convention.new:
            labels["http.request.method"] = method
        if convention.old:
            labels["http.url"] = url
        if convention.new:
            labels["url.full"] = url
        with self._tracer.start_as_current_span(method, kind=SpanKind.CLIENT, attributes=labels) as span:
            inject(getattr(request, "headers", {}))
            token = context.attach(Context({**context.get_current(), _SUPPRESS_HTTP_INSTRUMENTATION_KEY: True}))
            failure = None
            start = default_timer()
            try:
                response = self._open(opener, request, data=data, timeout=timeout)
            except Exception as error:
                failure = error
                response = getattr(error, "file", None)
            finally:
                elapsed = default_timer() - start
                context.detach(token)
            response_size = 0
            if response is not None:
                response_size = int(response.headers.get("Content-Length", 0))
                self._observe(span, response, labels)
            if failure is not None and convention.new:
                labels[ERROR_TYPE] = type(failure).__qualname__
                span.set_attribute(ERROR_TYPE, labels[ERROR_TYPE])
            if self._old:
                attributes = selected_attributes(labels, _conventions.CLIENT_DURATION_OLD)
                attributes[HTTP_URL] = url
                _record(self._old, (round(elapsed * 1000), request_size, response_size), attributes)
            if self._new:
                attributes = selected_attributes(labels, _conventions.CLIENT_DURATION_NEW)
                _record(self._new, (elapsed, request_size, response_size), attributes)
            if failure is not None:
                raise failure.with_traceback(failure.__traceback__)
        return response

    def _observe(self, span: Any, response: Any, labels: dict[str, Any]) -> None:
        convention = self._convention
        code = response.getcode()
        old, new = convention.old, convention.new
        if code and not put_response_code(span, code, labels, convention.errors_from, old, new):
            contrib._set_status_code_attribute(span, code, labels, convention.mode)
        version = str(getattr(response, "version", ""))
        if version:
            # What contrib makes of it: 1.1 of the number 10, too.
            _set_http_network_protocol_version(labels, f"{version[:1]}.{version[:-1]}", convention.mode)


def _record(histograms: list[Any], values: tuple[float, int, int], attributes: dict[str, Any]) -> None:
    for histogram, value in zip(histograms, values, strict=True):
        histogram.record(value, attributes=attributes)


is_imported(__name__)
