"""What ``opentelemetry-instrumentation-django`` runs in each request."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from timeit import default_timer
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest
from django.urls import get_resolver, get_urlconf
from django.urls.resolvers import URLPattern, URLResolver
from opentelemetry import context
from opentelemetry.instrumentation import propagators, wsgi
from opentelemetry.instrumentation.django.middleware import otel_middleware as contrib
from opentelemetry.instrumentation.utils import extract_attributes_from_object
from opentelemetry.semconv._incubating.attributes.http_attributes import HTTP_ROUTE, HTTP_TARGET

from otel_rs._imported import is_imported
from otel_rs._native import (
    HTTP_METHODS,
    UseSpan,
    are_attributes_kept,
    exclusion,
    start_internal_or_server_span,
    use_span,
)
from otel_rs.instrument import _wsgi
from otel_rs.instrument._originals import originals

# Releases whose requests and resolvers are what the functions here take them for.
_is_known_django = (4, 2) <= django.VERSION[:2] <= (6, 0)

_Middleware: Any = contrib._DjangoMiddleware
_ACTIVATION = _Middleware._environ_activation_key
_TOKEN = _Middleware._environ_token
_SPAN = _Middleware._environ_span_key
_EXCEPTION = _Middleware._environ_exception_key
_COUNT_ATTRIBUTES = _Middleware._environ_active_request_attr_key
_ATTRIBUTES = _Middleware._environ_duration_attr_key
_START = _Middleware._environ_timer_key
_START_TIME = "opentelemetry-instrumentor-django.starttime_key"


_collect_request_attributes = originals(contrib, "wsgi_collect_request_attributes")
_add_response_attributes = originals(contrib, "add_response_attributes")


_conventions_of = _wsgi.conventions(_collect_request_attributes, _add_response_attributes)


_djangos_get_host = HttpRequest.get_host
_MOST_HOSTS = 256
# The settings that allow hosts, and hosts that they allow.
_allowed: tuple[Any, set[str]] = (None, set())


def _check_host(request: Any, meta: Any) -> None:
    """Raises if the host is not allowed: contrib asks for the request's URL, so that such a request ends there."""
    global _allowed
    host = meta.get("HTTP_HOST")
    if (
        settings.USE_X_FORWARDED_HOST
        or settings.SECURE_PROXY_SSL_HEADER
        or type(host) is not str
        or type(request).get_host is not _djangos_get_host
    ):
        request._current_scheme_host  # noqa: B018
        return
    by = (settings.DEBUG, *settings.ALLOWED_HOSTS)
    allowed_by, hosts = _allowed
    if host in hosts and allowed_by == by:
        return
    request._current_scheme_host  # noqa: B018
    if allowed_by != by or len(hosts) >= _MOST_HOSTS:
        _allowed = (by, {host})
    else:
        hosts.add(host)


def process_request(original: Any) -> Callable[[Any, Any], None]:
    """`_DjangoMiddleware.process_request`: starts the span of a request."""
    if not _is_known_django:
        return original  # type: ignore[no-any-return]

    def process_request(self: Any, request: Any) -> None:
        if contrib._is_asgi_request(request):
            original(self, request)
            return
        meta = request.META
        _check_host(request, meta)
        if (is_excluded := exclusion(self._excluded_urls)) and is_excluded(request.build_absolute_uri("?")):
            return
        request._otel_start_time = time()
        convention = _conventions_of[id(self._sem_conv_opt_in_mode)]
        tracer = self._tracer
        attributes = convention.request_attributes(meta)
        span, token = start_internal_or_server_span(
            tracer=tracer,
            span_name=_span_name(self, request),
            start_time=meta.get(_START_TIME),
            context_carrier=meta,
            context_getter=wsgi.wsgi_getter,
            attributes=attributes,
        )
        count_attributes = convention.counted(attributes)
        meta[_COUNT_ATTRIBUTES] = count_attributes
        meta[_ATTRIBUTES] = attributes
        self._active_request_counter.add(1, count_attributes)
        if span.is_recording():
            captured = convention.capture_request_headers(span, meta)
            traced = self._traced_request_attrs
            # Whatever a sampler or a processor has made of them.
            if traced or captured or not are_attributes_kept(tracer, attributes):
                span.set_attributes(extract_attributes_from_object(request, traced, attributes))
        activation = use_span(span, end_on_exit=True)
        activation.__enter__()
        meta[_START] = default_timer()
        meta[_ACTIVATION] = activation
        meta[_SPAN] = span
        if token:
            meta[_TOKEN] = token
        if _Middleware._otel_request_hook:
            try:
                _Middleware._otel_request_hook(span, request)
            except Exception:
                contrib._logger.exception("Exception raised by request_hook")

    return process_request


def process_view(original: Any) -> Callable[..., None]:
    """`_DjangoMiddleware.process_view`: the route."""
    if not _is_known_django:
        return original  # type: ignore[no-any-return]

    def process_view(self: Any, request: Any, view_func: Any, *args: Any, **kwargs: Any) -> None:
        if (is_excluded := exclusion(self._excluded_urls)) and is_excluded(request.build_absolute_uri("?")):
            return
        meta = request.META
        if _ACTIVATION not in meta or _SPAN not in meta:
            return
        route = getattr(getattr(request, "resolver_match", None), "route", None)
        if not route:
            return
        span = meta[_SPAN]
        if span.is_recording():
            span.set_attribute(HTTP_ROUTE, route)
        convention = _conventions_of[id(self._sem_conv_opt_in_mode)]
        if convention.old:
            meta[_ATTRIBUTES][HTTP_TARGET] = route
        if convention.new:
            meta[_ATTRIBUTES][HTTP_ROUTE] = route

    return process_view


def process_response(original: Any) -> Callable[[Any, Any, Any], Any]:
    """`_DjangoMiddleware.process_response`: ends the span of a request."""
    if not _is_known_django:
        return original  # type: ignore[no-any-return]

    def process_response(self: Any, request: Any, response: Any) -> Any:
        meta = request.META
        activation = meta.get(_ACTIVATION)
        if not isinstance(activation, UseSpan) or contrib._is_asgi_request(request):
            return original(self, request, response)
        if (is_excluded := exclusion(self._excluded_urls)) and is_excluded(request.build_absolute_uri("?")):
            return response
        convention = _conventions_of[id(self._sem_conv_opt_in_mode)]
        del meta[_ACTIVATION]
        span = meta.pop(_SPAN)
        count_attributes = meta.pop(_COUNT_ATTRIBUTES)
        attributes = meta.pop(_ATTRIBUTES)
        start = meta.pop(_START)
        if not convention.put_response_code(span, response.status_code, attributes):
            status = f"{response.status_code} {response.reason_phrase}"
            _add_response_attributes(span, status, response.items(), attributes, convention.mode)
        if convention.wants_response_headers(span):
            convention.capture_response_headers(span, response.items())
        if propagator := propagators._RESPONSE_PROPAGATOR:
            propagator.inject(response)
        exception = meta.pop(_EXCEPTION, None)
        if _Middleware._otel_response_hook:
            try:
                _Middleware._otel_response_hook(span, request, response)
            except Exception:
                contrib._logger.exception("Exception raised by response_hook")
        seconds = max(default_timer() - start, 0)
        convention.record_duration(
            seconds,
            attributes,
            self._duration_histogram_old,
            self._duration_histogram_new,
            target=attributes.get(HTTP_TARGET) or None,
        )
        self._active_request_counter.add(-1, count_attributes)
        if exception:
            activation.__exit__(type(exception), exception, getattr(exception, "__traceback__", None))
        else:
            activation.__exit__(None, None, None)
        if (token := meta.get(_TOKEN)) is not None:
            context.detach(token)
            del meta[_TOKEN]
        return response

    return process_response


# --- The name of a span: resolving a URL without making Django's objects for it ---------------------------------------

_contribs_span_name = _Middleware._get_span_name
_resolvers_resolve = URLResolver.resolve
_patterns_resolve = URLPattern.resolve


class _Unknown(Exception):
    """Something in the URLs' configuration that is not of Django's own classes."""


def _span_name(middleware: Any, request: Any) -> str:
    """`_get_span_name`, unless somebody has put another in its place."""
    method = request.method
    if (
        method in HTTP_METHODS
        and not request.resolver_match
        and type(middleware)._get_span_name is _contribs_span_name
        and URLResolver.resolve is _resolvers_resolve
        and URLPattern.resolve is _patterns_resolve
    ):
        try:
            found = _resolve(get_resolver(get_urlconf()), str(request.path))
        except _Unknown:
            pass
        else:
            route, url_name = found or (None, None)
            return f"{method} {route or url_name}" if route or url_name else method
    name: str = middleware._get_span_name(request)
    return name


def _resolve(resolver: Any, path: str) -> tuple[str, str | None] | None:
    """The route and the name of what a path leads to, as `URLResolver.resolve` finds them."""
    if type(resolver) is not URLResolver:
        raise _Unknown
    match = resolver.pattern.match(path)
    if not match:
        return None
    rest = match[0]
    for pattern in resolver.url_patterns:
        if type(pattern) is URLPattern:
            if pattern.pattern.match(rest):
                return str(pattern.pattern), pattern.pattern.name
        elif found := _resolve(pattern, rest):
            route, url_name = found
            return URLResolver._join_route(str(pattern.pattern), route), url_name
    return None


is_imported(__name__)
