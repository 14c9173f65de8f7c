"""What the instrumentations of WSGI applications have in common: attributes of requests and responses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation import wsgi
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.trace import SpanKind
from opentelemetry.util.http import (
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST,
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE,
)

from otel_rs._native import Originals, WsgiConvention
from otel_rs.instrument import _conventions
from otel_rs.instrument._environment import reader
from otel_rs.instrument._originals import originals

_collect_request_attributes = originals(wsgi, "collect_request_attributes")
_add_response_attributes = originals(wsgi, "add_response_attributes")
_set_span_in_context = originals(trace, "set_span_in_context")


def _capture_request_headers(span: Any, environ: Any) -> bool:
    """Those that the program names, of a span that is recorded. Returns whether there are any."""
    if span.kind != SpanKind.SERVER:
        return False
    headers = wsgi.collect_custom_request_headers_attributes(environ)
    if headers:
        span.set_attributes(headers)
    return bool(headers)


def _capture_response_headers(span: Any, headers: Any) -> None:
    """Those that the program names, of a span that is recorded."""
    if span.kind == SpanKind.SERVER:
        captured = wsgi.collect_custom_response_headers_attributes(headers)
        if captured:
            span.set_attributes(captured)


_REQUEST_HEADERS = SimpleNamespace(
    names=reader(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST), capture=_capture_request_headers
)
_RESPONSE_HEADERS = SimpleNamespace(
    names=reader(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE), capture=_capture_response_headers
)


def conventions(
    collect_request_attributes: Originals = _collect_request_attributes,
    add_response_attributes: Originals = _add_response_attributes,
) -> dict[int, WsgiConvention]:
    """What depends on the mode of the semantic conventions, with contrib's functions for what is unusual.

    By the modes' identity: to hash a member of an enumeration is a call of Python.
    """
    return {
        id(mode): WsgiConvention(
            mode,
            *_conventions.reports(mode),
            SimpleNamespace(
                counted=_conventions.counted(mode),
                duration_old=_conventions.SERVER_DURATION_OLD,
                duration_new=_conventions.SERVER_DURATION_NEW,
            ),
            collect_request_attributes,
            add_response_attributes,
            _set_span_in_context,
            _REQUEST_HEADERS,
            _RESPONSE_HEADERS,
        )
        for mode in _StabilityMode
    }


CONVENTIONS = conventions()
