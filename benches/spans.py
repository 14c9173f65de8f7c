"""The spans that are measured."""

from itertools import repeat
from typing import Any

from opentelemetry.trace import SpanKind

# The default attributes of opentelemetry-instrumentation-flask; with the two that it sets later, 331 bytes on the wire.
HTTP_NAME = "GET /orders/{id}"
HTTP_ATTRIBUTES = {
    "http.method": "GET",
    "http.scheme": "http",
    "http.target": "/orders/42",
    "http.host": "shop:8080",
    "net.host.port": 8080,
    "net.peer.ip": "10.0.0.7",
    "http.user_agent": "curl/8.5",
    "http.flavor": "1.1",
}


def bare(tracer: Any, count: int) -> None:
    for _ in repeat(None, count):
        tracer.start_span("span").end()


def current(tracer: Any, count: int) -> None:
    for _ in repeat(None, count):
        with tracer.start_as_current_span("span"):
            pass


def http(tracer: Any, count: int) -> None:
    for _ in repeat(None, count):
        with tracer.start_as_current_span(HTTP_NAME, kind=SpanKind.SERVER, attributes=HTTP_ATTRIBUTES) as span:
            span.set_attribute("http.route", "/orders/{id}")
            span.set_attribute("http.status_code", 200)
