"""Requests of many kinds to a Flask application."""

from __future__ import annotations

import logging
import sys
from functools import partial

from own_sampler import OwnSampler
from recorded import print_recorded, seen, set_up
from replaced import add_to_lists, replace
from wsgi_requests import send

set_up(OwnSampler() if "sampler" in sys.argv else None)

import flask  # noqa: E402
from opentelemetry import context, trace  # noqa: E402
from opentelemetry.instrumentation import flask as contrib  # noqa: E402
from opentelemetry.instrumentation import wsgi  # noqa: E402
from opentelemetry.instrumentation.propagators import (  # noqa: E402
    TraceResponsePropagator,
    set_global_response_propagator,
)

OPTIONS = sys.argv[1:]


def request_hook(span: trace.Span, environ: dict[str, object]) -> None:
    seen.append(["request hook", span.is_recording(), environ["PATH_INFO"]])
    span.set_attribute("http.method", "of the hook")


def response_hook(span: trace.Span, status: str, headers: list[tuple[str, str]]) -> None:
    seen.append(["response hook", span and span.is_recording(), status])
    headers.append(("x-hook", "1"))


class Debug(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        seen.append(["logged", record.getMessage()])


contrib._logger.addHandler(Debug())
contrib._logger.setLevel(logging.DEBUG)
hooks = {"request_hook": request_hook, "response_hook": response_hook} if "hooks" in OPTIONS else {}
if "excluded" in OPTIONS:
    hooks["excluded_urls"] = "items/8,health"
if "propagator" in OPTIONS:
    set_global_response_propagator(TraceResponsePropagator())
replace(wsgi, "add_response_attributes", "collect_request_attributes")
replace(contrib, "get_default_span_name")
add_to_lists()
contrib.FlaskInstrumentor().instrument(enable_commenter="no commenter" not in OPTIONS, **hooks)

app = flask.Flask(__name__)


@app.route("/items/<int:number>")
def item(number: int) -> str:
    seen.append(["comment", context.get_value("SQLCOMMENTER_ORM_TAGS_AND_VALUES")])
    seen.append(["current", trace.get_current_span().is_recording()])
    return f"item {number}"


@app.route("/broken")
def broken() -> str:
    raise ValueError("on purpose")


@app.route("/status/<int:code>")
def status(code: int) -> tuple[str, int]:
    return "", code


@app.route("/stream")
def stream() -> flask.Response:
    return flask.Response(flask.stream_with_context(iter(["a", "b"])))


@app.route("/inner")
def inner() -> str:
    with app.test_request_context("/items/9"):
        pass
    return flask.current_app.test_client().get("/items/3").text


request = partial(send, app)

for path in ("/items/7", "/items/8", "/health", "/missing", "/broken", "/stream", "/inner", "/items/x?sig=1&a=b"):
    request(path)
for code in (100, 201, 302, 404, 500, 503, 999):
    request(f"/status/{code}")
for changes in (
    {"REQUEST_METHOD": "POST"},
    {"REQUEST_METHOD": "get"},
    {"REQUEST_METHOD": "BREW"},
    {"HTTP_HOST": None},
    {"HTTP_HOST": ""},
    {"SERVER_PORT": "443", "wsgi.url_scheme": "https"},
    {"SERVER_PORT": "0"},
    {"REMOTE_ADDR": None, "REMOTE_PORT": None},
    {"REMOTE_PORT": "0"},
    {"REMOTE_PORT": "no port"},
    {"REMOTE_HOST": "client.example"},
    {"REMOTE_HOST": "10.1.2.3"},
    {"HTTP_USER_AGENT": None},
    {"HTTP_USER_AGENT": "Mozilla/5.0 (compatible; GoogleBot/2.1)"},
    {"HTTP_USER_AGENT": "xAlwaysOn"},
    {"HTTP_USER_AGENT": "caf\xe9"},
    {"HTTP_USER_AGENT": "\udc80"},
    {"SERVER_PROTOCOL": "HTTP/2"},
    {"SERVER_PROTOCOL": "http/1.0"},
    {"SERVER_PROTOCOL": "SPDY"},
    {"SERVER_PROTOCOL": ""},
    {"RAW_URI": None, "REQUEST_URI": "/items/7?x=1", "QUERY_STRING": "x=1"},
    {"RAW_URI": None},
    {"RAW_URI": "", "REQUEST_URI": "/items/7"},
    {"RAW_URI": None, "QUERY_STRING": "sig=secret", "HTTP_HOST": "user:password@shop.example"},
    {"HTTP_TRACEPARENT": None},
    {"SERVER_NAME": None},
):
    request("/items/7", **changes)
with trace.get_tracer("test").start_as_current_span("outer"):
    request("/items/7")
app.test_client().get("/items/2")
with app.test_request_context("/items/4"):
    app.preprocess_request()
with trace.get_tracer("test").start_as_current_span("outer"), app.test_request_context("/items/7"):
    app.preprocess_request()
    app.do_teardown_request()
    app.do_teardown_request(ValueError("once more"))
print_recorded(
    wsgi_app=contrib._rewrapped_app,
    before=contrib._wrapped_before_request,
    teardown=contrib._wrapped_teardown_request,
)
