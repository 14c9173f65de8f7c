"""What ``opentelemetry-instrumentation-httpx`` runs in each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from timeit import default_timer
from typing import Any

from opentelemetry.instrumentation import httpx as contrib
from opentelemetry.instrumentation._semconv import _set_http_network_protocol_version
from opentelemetry.propagate import inject
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import SpanKind

from otel_rs._imported import is_imported
from otel_rs._native import (
    client_request_attributes,
    exclusion,
    is_http_instrumentation_enabled,
    put_response_code,
    selected_attributes,
)
from otel_rs.instrument import _conventions, _http
from otel_rs.instrument._originals import lists_are_known, originals

_redact_url = originals(contrib, "redact_url")


class _TracedRequest:
    """A request and its response, without hooks and captured headers."""

    def __init__(self, request: Any, options: dict[str, Any], span_attributes: Any, labels: Any) -> None:
        self._request = request
        self._options = options
        self._convention = _http.CLIENT[id(options["sem_conv_opt_in_mode"])]
        self._span_attributes = span_attributes
        self._labels = labels

    def span(self) -> Any:
        tracer = self._options["tracer"]
        return tracer.start_as_current_span(
            self._request.method, kind=SpanKind.CLIENT, attributes=self._span_attributes
        )

    def begin(self) -> None:
        request = self._request
        # A copy: contrib leaves the program's own headers alone.
        headers = self._options["module"].Headers(request.headers)
        inject(headers)
        request.headers = headers
        self._start = default_timer()

    def fail(self, span: Any, error: Exception) -> None:
        self._observe(span, getattr(error, "response", None))
        if self._convention.new and span.is_recording():
            span.set_attribute(ERROR_TYPE, type(error).__qualname__)

    def finish(self, span: Any, response: Any) -> None:
        elapsed = max(default_timer() - self._start, 0)
        self._observe(span, response)
        if histogram := self._options["duration_histogram_old"]:
            labels = selected_attributes(self._labels, _conventions.CLIENT_DURATION_OLD)
            histogram.record(round(elapsed * 1000), attributes=labels)
        if histogram := self._options["duration_histogram_new"]:
            labels = selected_attributes(self._labels, _conventions.CLIENT_DURATION_NEW)
            histogram.record(elapsed, attributes=labels)

    def _observe(self, span: Any, response: Any) -> None:
        module, convention, labels = self._options["module"], self._convention, self._labels
        if not isinstance(response, (module.Response, tuple)):
            return
        code, headers, _, _, version = contrib._extract_response(response)
        if put_response_code(span, code, labels, convention.errors_from, convention.old, convention.new):
            if version and convention.new:
                attributes: dict[str, Any] = {}
                _set_http_network_protocol_version(attributes, version.replace("HTTP/", ""), convention.mode)
                labels.update(attributes)
                if span.is_recording():
                    span.set_attributes(attributes)
            return
        contrib._apply_response_client_attributes_to_metrics(span, labels, code, version, convention.mode)
        if span.is_recording():
            contrib._apply_response_client_attributes_to_span(
                span, code, version, convention.mode, module, headers, None, None
            )


def _traced(args: Any, options: dict[str, Any], *hooks: Any) -> _TracedRequest | bool | None:
    """None where contrib's own code has to run, and False where the request has no span."""
    if not is_http_instrumentation_enabled():
        return False
    if hooks != (None, None) or options.get("captured_request_headers") or options.get("captured_response_headers"):
        return None
    request = args[0]
    if type(request) is not options["module"].Request:
        return None
    url = str(request.url)
    is_excluded = exclusion(options["excluded_urls"])
    if is_excluded and is_excluded(url):
        return False
    # Of a host in Punycode httpx has a name of other letters.
    if "://xn--" in url or not (lists_are_known() and _redact_url.are_there()):
        return None
    convention = _http.CLIENT[id(options["sem_conv_opt_in_mode"])]
    attributes = client_request_attributes(request.method, url, None, convention.old, convention.new, False)
    return None if attributes is None else _TracedRequest(request, options, *attributes)


def handle_request(original: Any) -> Callable[..., Any]:
    """`_handle_request_wrapper`: a request of a `Client`."""

    def _handle_request_wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any, **options: Any) -> Any:
        traced = _traced(args, options, options["request_hook"], options["response_hook"])
        if traced is None:
            return original(wrapped, instance, args, kwargs, **options)
        if not isinstance(traced, _TracedRequest):
            return wrapped(*args, **kwargs)
        with traced.span() as span:
            traced.begin()
            try:
                response = wrapped(*args, **kwargs)
            except Exception as error:
                traced.fail(span, error)
                raise
            traced.finish(span, response)
        return response

    return staticmethod(_handle_request_wrapper)


def handle_async_request(original: Any) -> Callable[..., Awaitable[Any]]:
    """`_handle_async_request_wrapper`: a request of an `AsyncClient`."""

    async def _handle_async_request_wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any, **options: Any) -> Any:
        traced = _traced(args, options, options["async_request_hook"], options["async_response_hook"])
        if traced is None:
            return await original(wrapped, instance, args, kwargs, **options)
        if not isinstance(traced, _TracedRequest):
            return await wrapped(*args, **kwargs)
        with traced.span() as span:
            traced.begin()
            try:
                response = await wrapped(*args, **kwargs)
            except Exception as error:
                traced.fail(span, error)
                raise
            traced.finish(span, response)
        return response

    return staticmethod(_handle_async_request_wrapper)


is_imported(__name__)
