"""Requests of many kinds to a Django application."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from own_sampler import OwnSampler
from recorded import print_recorded, seen, set_up
from replaced import add_to_lists, replace
from wsgi_requests import send

OPTIONS = sys.argv[1:]
sampler = OwnSampler() if "sampler" in OPTIONS else ALWAYS_OFF if "unsampled" in OPTIONS else None
set_up(sampler)

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse  # noqa: E402
from django.urls import URLPattern, include, path, re_path  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import django as instrumentation  # noqa: E402
from opentelemetry.instrumentation.django.middleware import otel_middleware as contrib  # noqa: E402
from opentelemetry.instrumentation.propagators import (  # noqa: E402
    TraceResponsePropagator,
    set_global_response_propagator,
)


def short_circuit(get_response: Any) -> Any:
    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path == "/early":
            return HttpResponse("early", status=202)
        if request.path == "/other-urls":
            request.urlconf = (path("other-urls", item, name="other"),)
        return get_response(request)

    return middleware


class OwnPattern(URLPattern):
    """Something that is not of Django's own classes."""


def item(request: HttpRequest, number: int = 0, **_: object) -> HttpResponse:
    span = trace.get_current_span()
    seen.append(["view", number, span.is_recording(), sorted(key for key in request.META if "opentel" in key)])
    return HttpResponse(f"item {number}", headers={"content-language": "de"})


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("on purpose")


def status(request: HttpRequest, code: int) -> HttpResponse:
    return HttpResponse(status=code)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(["a", "b"])


def unknown_reason(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=299, reason="")


async def awaited(request: HttpRequest) -> HttpResponse:
    return HttpResponse("awaited")


inner = [
    path("", item),
    path("<int:number>/", item, name="number"),
    re_path(r"^old/(?P<number>[0-9]+)$", item, name="old"),
    path("deeper/<slug:name>/", include([re_path(r"^(\d+)/$", lambda request, *_, **__: item(request))])),
]
urlpatterns = [
    path("items/<int:number>", item, name="item"),
    path("broken", broken),
    path("status/<int:code>", status),
    path("stream", stream),
    path("reason", unknown_reason),
    path("awaited", awaited),
    path("inner/", include((inner, "inner"), namespace="inner")),
    re_path(r"^again/", include(inner)),
    re_path(r"", include([path("in-nothing", item)])),
    re_path(r"^$", item, name="root"),
    re_path(r"", include([re_path("", include([]))]) if "no patterns" in OPTIONS else include([path("x", item)])),
]
if "own pattern" in OPTIONS:
    from django.urls.resolvers import RoutePattern

    urlpatterns.insert(1, OwnPattern(RoutePattern("own", name="own", is_endpoint=True), item))

settings.configure(
    ALLOWED_HOSTS=["shop.example", "testserver", "127.0.0.1"],
    ROOT_URLCONF="__main__",
    SECRET_KEY="test",
    LOGGING_CONFIG=None,
    MIDDLEWARE=("__main__.short_circuit", "django.middleware.common.CommonMiddleware"),
)


def request_hook(span: trace.Span, request: HttpRequest) -> None:
    seen.append(["request hook", span.is_recording(), request.path])
    span.set_attribute("http.method", "of the hook")
    if "9" in request.path:
        raise ValueError("of the hook")


def response_hook(span: trace.Span, request: HttpRequest, response: HttpResponse) -> None:
    seen.append(["response hook", span.is_recording(), response.status_code])
    response["x-hook"] = "1"
    if "9" in request.path:
        raise ValueError("of the hook")


hooks: dict[str, Any] = {"request_hook": request_hook, "response_hook": response_hook} if "hooks" in OPTIONS else {}
if "excluded" in OPTIONS:
    hooks["excluded_urls"] = "items/8,status"
if "propagator" in OPTIONS:
    set_global_response_propagator(TraceResponsePropagator())
if "own name" in OPTIONS:
    contrib._DjangoMiddleware._get_span_name = staticmethod(lambda request: f"my {request.path}")
replace(contrib, "add_response_attributes", "wsgi_collect_request_attributes")
add_to_lists()
instrumentation.DjangoInstrumentor().instrument(**hooks)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.test import RequestFactory, override_settings  # noqa: E402

app = WSGIHandler()

request = partial(send, app)

for each in (
    "/items/7",
    "/items/8",
    "/items/9",
    "/missing",
    "/broken",
    "/stream",
    "/early",
    "/reason",
    "/awaited",
    "/own",
    "/other-urls",
):
    request(each)
for each in (
    "/",
    "/inner/",
    "/inner/4/",
    "/inner/old/5",
    "/inner/deeper/a/6/",
    "/again/",
    "/again/old/7",
    "/in-nothing",
):
    request(each)
for each in ("/items/x?sig=1&a=b", "//items/7", "/inner/4", "/x", "", "/caf\xc3\xa9", "/\xff"):
    request(each)
for code in (100, 201, 302, 404, 499, 500, 503, 999):
    request(f"/status/{code}")
for changes in (
    {"REQUEST_METHOD": "POST"},
    {"REQUEST_METHOD": "get"},
    {"REQUEST_METHOD": " get "},
    {"REQUEST_METHOD": "BREW"},
    {"HTTP_HOST": None},
    {"HTTP_HOST": "evil.example"},
    {"HTTP_HOST": "[bad"},
    {"HTTP_HOST": "evil.example"},
    {"SERVER_PORT": "443", "wsgi.url_scheme": "https"},
    {"SERVER_PORT": "0"},
    {"REMOTE_ADDR": None, "REMOTE_PORT": None},
    {"REMOTE_PORT": "no port"},
    {"HTTP_USER_AGENT": "Mozilla/5.0 (compatible; GoogleBot/2.1)"},
    {"HTTP_USER_AGENT": "Mozilla/5.0"},
    {"SERVER_PROTOCOL": "SPDY"},
    {"RAW_URI": None, "REQUEST_URI": "/items/7?x=1", "QUERY_STRING": "x=1"},
    {"RAW_URI": None},
    {"HTTP_TRACEPARENT": None},
    {"SCRIPT_NAME": "/prefix", "PATH_INFO": "/items/7"},
    {"opentelemetry-instrumentor-django.starttime_key": 1_700_000_000_000_000_000},
):
    request("/items/7", **changes)  # type: ignore[arg-type]
with trace.get_tracer("test").start_as_current_span("outer"):
    request("/items/7")
with override_settings(ALLOWED_HOSTS=["*"]):
    request("/items/7", HTTP_HOST="any.example")
    request("/items/7", HTTP_HOST="any.example")
request("/items/7", HTTP_HOST="any.example")
request("/items/7")
with override_settings(USE_X_FORWARDED_HOST=True):
    request("/items/7", HTTP_X_FORWARDED_HOST="any.example")

# By hand, in another order than a handler's.
middleware = contrib._DjangoMiddleware(lambda _: HttpResponse("by hand"))
seen.append(middleware(RequestFactory().get("/items/5")).content.decode())
by_hand = RequestFactory().get("/items/5")
middleware.process_view(by_hand, item)
middleware.process_request(by_hand)
by_hand.resolver_match = None
middleware.process_view(by_hand, item)
middleware.process_exception(by_hand, KeyError("by hand"))
middleware.process_response(by_hand, HttpResponse(status=418))
middleware.process_response(by_hand, HttpResponse(status=200))


async def asgi_request(path: str) -> None:
    messages = [{"type": "http.request", "body": b"", "more_body": False}]
    answers: list[Any] = []

    async def receive() -> Any:
        if messages:
            return messages.pop()
        return await asyncio.sleep(60)

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.example"), (b"user-agent", b"curl/8.1"), (b"x-custom", b"custom")],
        "client": ("10.1.2.3", 51234),
        "server": ("127.0.0.1", 8000),
    }
    await get_asgi_application()(scope, receive, send)
    seen.append(["asgi", path, answers[0]["status"]])


for each in ("/items/7", "/status/500", "/awaited", "/broken"):
    asyncio.run(asgi_request(each))
print_recorded(
    request=contrib._DjangoMiddleware.process_request,
    view=contrib._DjangoMiddleware.process_view,
    response=contrib._DjangoMiddleware.process_response,
)
