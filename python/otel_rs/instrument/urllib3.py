"""What ``opentelemetry-instrumentation-urllib3`` runs in each request."""

from __future__ import annotations

from collections.abc import Callable
from timeit import default_timer
from types import FunctionType
from typing import Any

from opentelemetry import context
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, Context
from opentelemetry.instrumentation import urllib3 as contrib
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.propagate import inject
from opentelemetry.trace import SpanKind
from opentelemetry.util.http.httplib import _STATE_KEY
from urllib3.connectionpool import HTTPConnectionPool
from wrapt import FunctionWrapper

from otel_rs._imported import is_imported
from otel_rs._native import (
    HTTP_METHODS,
    add_pool_attributes,
    exclusion,
    is_http_instrumentation_enabled,
    put_response_code,
    selected_attributes,
)
from otel_rs.instrument import _conventions, _http


def instrument(original: Any) -> Callable[..., None]:
    """`_instrument`: puts a wrapper that makes a span around `HTTPConnectionPool.urlopen`."""

    def _instrument(
        tracer: Any,
        duration_histogram_old: Any,
        duration_histogram_new: Any,
        request_size_histogram_old: Any,
        request_size_histogram_new: Any,
        response_size_histogram_old: Any,
        response_size_histogram_new: Any,
        excluded_urls: Any = None,
        sem_conv_opt_in_mode: Any = _StabilityMode.DEFAULT,
        sensitive_headers: list[str] | None = None,
        **options: Any,
    ) -> None:
        urlopen = vars(HTTPConnectionPool)["urlopen"]
        old = duration_histogram_old, request_size_histogram_old, response_size_histogram_old
        new = duration_histogram_new, request_size_histogram_new, response_size_histogram_new
        original(
            tracer,
            *(histogram for pair in zip(old, new, strict=True) for histogram in pair),
            excluded_urls=excluded_urls,
            sem_conv_opt_in_mode=sem_conv_opt_in_mode,
            sensitive_headers=sensitive_headers,
            **options,
        )
        # With hooks, a filter of URLs and captured headers, or around another one's function, all is contrib's.
        if any(options.values()) or not _is_urllib3s(urlopen):
            return
        installed = vars(HTTPConnectionPool)["urlopen"]
        pools = _Pools(tracer, old, new, sem_conv_opt_in_mode, excluded_urls, installed._self_wrapper)
        HTTPConnectionPool.urlopen = _Urlopen(urlopen, pools.urlopen)  # type: ignore[method-assign]

    return _instrument


class _Urlopen(FunctionWrapper):  # type: ignore[type-arg]
    """urllib3's own method within a request of another library, such as requests, whose span there is: to look it up
    costs a tenth of a call through the wrapper.
    """

    def __get__(self, pool: Any, owner: type | None = None) -> Any:
        if pool is not None and not is_http_instrumentation_enabled():
            return self.__wrapped__.__get__(pool, owner)
        return super().__get__(pool, owner)


def _is_urllib3s(urlopen: Any) -> bool:
    return (
        type(urlopen) is FunctionType
        and urlopen.__globals__["__name__"] == HTTPConnectionPool.__module__
        and urlopen.__code__.co_varnames[:5] == ("self", "method", "url", "body", "headers")
    )


def _arguments(
    method: Any, url: Any, body: Any = None, headers: Any = None, *rest: Any, **options: Any
) -> tuple[Any, Any, Any, Any, bool, dict[str, Any]]:
    """Of `urlopen`."""
    return method, url, body, headers, bool(rest), options


class _Pools:
    """How urllib3 is instrumented, without hooks, a filter of URLs, and captured headers."""

    def __init__(
        self, tracer: Any, old: tuple[Any, ...], new: tuple[Any, ...], mode: Any, excluded_urls: Any, in_contrib: Any
    ) -> None:
        self._tracer = tracer
        self._old, self._new = old, new
        self._convention = _http.CLIENT[id(mode)]
        self._is_excluded = exclusion(excluded_urls)
        self._in_contrib = in_contrib

    def urlopen(self, wrapped: Any, pool: Any, args: Any, kwargs: Any) -> Any:
        if not is_http_instrumentation_enabled():
            return wrapped(*args, **kwargs)
        try:
            method, path, body, headers, is_unusual, options = _arguments(*args, **kwargs)
        except TypeError:
            return wrapped(*args, **kwargs)
        # Within another instrumented request contrib does more.
        is_unusual = is_unusual or _STATE_KEY in context.get_current()
        if is_unusual or method not in HTTP_METHODS or type(path) is not str:
            return self._in_contrib(wrapped, pool, args, kwargs)
        url = f"{_root(pool)}{path}" if path.startswith("/") else path
        if self._is_excluded and self._is_excluded(url):
            return wrapped(*args, **kwargs)
        # A copy: contrib leaves the program's own headers alone.
        headers = headers.copy() if headers is not None else {}
        convention = self._convention
        attributes = {}
        if convention.old:
            attributes["http.method"] = method
        if convention.new:
            attributes["http.request.method"] = method
        if url and convention.old:
            attributes["http.url"] = url
        if url and convention.new:
            attributes["url.full"] = url
        with self._tracer.start_as_current_span(method, kind=SpanKind.CLIENT, attributes=attributes) as span:
            inject(headers)
            # What contrib attaches one by one: whose span gets the peer's address, and that no other span is made.
            marks = {_STATE_KEY: {"need_ip": [span]}, _SUPPRESS_HTTP_INSTRUMENTATION_KEY: True}
            token = context.attach(Context({**context.get_current(), **marks}))
            try:
                start = default_timer()
                response = wrapped(method, path, body, headers, **options)
                elapsed = default_timer() - start
            finally:
                context.detach(token)
            labels: dict[str, Any] = {}
            old, new = convention.old, convention.new
            if not put_response_code(span, response.status, labels, convention.errors_from, old, new):
                contrib._set_status_code_attribute(span, response.status, labels, convention.mode)
            request_size = contrib._get_body_size(body)
            response_size = int(response.headers.get("Content-Length", 0))
            place = (pool.scheme, pool.host, pool.port)
            if not add_pool_attributes(labels, place, method, response.version, convention.old, convention.new):
                contrib._set_metric_attributes(labels, pool, response, method, method, convention.mode)
            if convention.old:
                _record(self._old, round(elapsed * 1000), request_size, response_size, labels, _OLD)
            if convention.new:
                _record(self._new, elapsed, request_size, response_size, labels, _NEW)
        return response


_OLD, _NEW = _conventions.CLIENT_DURATION_OLD, _conventions.CLIENT_DURATION_NEW
_PORTS = {("http", 80), ("https", 443)}


def _root(pool: Any) -> str:
    port = pool.port
    if not port or (pool.scheme, port) in _PORTS:
        return f"{pool.scheme}://{pool.host}"
    return f"{pool.scheme}://{pool.host}:{port}"


def _record(
    histograms: tuple[Any, ...], elapsed: float, request_size: int | None, response_size: int, labels: Any, keys: Any
) -> None:
    duration, requests, responses = histograms
    attributes = selected_attributes(labels, keys)
    duration.record(elapsed, attributes=attributes)
    if request_size is not None:
        requests.record(request_size, attributes=attributes)
    responses.record(response_size, attributes=attributes)


is_imported(__name__)
