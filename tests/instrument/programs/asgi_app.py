"""Requests of many kinds to an ASGI application."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from own_sampler import OwnSampler
from recorded import print_recorded, seen, set_up
from replaced import add_to_lists, replace

OPTIONS = sys.argv[1:]
set_up(OwnSampler() if "sampler" in OPTIONS else ALWAYS_OFF if "unsampled" in OPTIONS else None)

from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import asgi as contrib  # noqa: E402
from opentelemetry.instrumentation.propagators import (  # noqa: E402
    TraceResponsePropagator,
    set_global_response_propagator,
)
from opentelemetry.instrumentation.utils import suppress_http_instrumentation  # noqa: E402

Message = dict[str, Any]


def server_hook(span: trace.Span, scope: Message) -> None:
    seen.append(["server hook", span.is_recording(), scope.get("path")])
    span.set_attribute("http.method", "of the hook")
    if scope.get("path") == "/broken-hook":
        raise ValueError("of the hook")


def message_hook(span: trace.Span, scope: Message, message: Message) -> None:
    seen.append(["message hook", span.is_recording(), trace.get_current_span() is span, message["type"]])
    span.set_attribute("hooked", True)


def span_details(scope: Message) -> tuple[str, dict[str, str]]:
    return "my name", {"http.route": "/my/{route}", "http.method": "of the details"}


replace(contrib, "collect_request_attributes", "get_host_port_url_tuple", "redact_url", "set_status_code")
add_to_lists()
hooks: dict[str, Any] = {}
if "hooks" in OPTIONS:
    hooks = {
        "server_request_hook": server_hook,
        "client_request_hook": message_hook,
        "client_response_hook": message_hook,
    }
if "excluded" in OPTIONS:
    hooks["excluded_urls"] = "items/8,health"
if "none excluded" in OPTIONS:
    hooks["excluded_urls"] = []
if "no message spans" in OPTIONS:
    hooks["exclude_spans"] = ["receive", "send"]
if "details" in OPTIONS:
    hooks["default_span_details"] = span_details
if "nameless" in OPTIONS:
    hooks["default_span_details"] = lambda scope: (None, {})
if "propagator" in OPTIONS:
    set_global_response_propagator(TraceResponsePropagator())


class Route:
    path_format = "/things/{number}"


async def application(scope: Message, receive: Any, send: Any) -> None:
    span = trace.get_current_span()
    seen.append(["current", span.is_recording(), getattr(span, "name", None)])
    path = scope.get("path", "")
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": "answer"})
        await send({"type": "websocket.close"})
        return
    if path == "/broken":
        raise ValueError("of the application")
    if path == "/routed":
        scope["route"] = Route()
    if path == "/read":
        await receive()
    code: Any = int(path.rpartition("/")[2]) if path.startswith("/status/") else 200
    if path == "/text-status":
        code = "text"
    headers = [] if path == "/bare" else [[b"content-type", b"text/plain"], [b"Content-Length", b"5"]]
    if path == "/odd-length":
        headers = [(b"content-length", b"five")]
    start = {"type": "http.response.start", "status": code, "headers": headers, "trailers": path == "/trailers"}
    await send(start)
    if path == "/stream":
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"b"})
    if path == "/broken-late":
        raise ValueError("of the application")
    if path == "/trailers":
        await send({"type": "http.response.trailers", "headers": [], "more_trailers": False})


class Subclass(contrib.OpenTelemetryMiddleware):
    def _get_otel_send(self, *arguments: Any) -> Any:
        seen.append("own send")
        return super()._get_otel_send(*arguments)


app = contrib.OpenTelemetryMiddleware(application, **hooks)
SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "server": ("127.0.0.1", 8000),
    "client": ("10.0.0.7", 41234),
    "scheme": "http",
    "method": "GET",
    "root_path": "",
    "query_string": b"",
}
HEADERS = [
    (b"host", b"shop.example:8000"),
    (b"User-Agent", b"Mozilla/5.0"),
    (b"x-custom", b"1"),
    (b"x-custom", b"2"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
]


async def request(path: Any, app: Any = app, headers: Any = HEADERS, messages: Any = (), **changes: Any) -> None:
    scope = {**SCOPE, "path": path, "headers": list(headers), **changes}
    scope = {name: value for name, value in scope.items() if value is not ...}
    waiting = [*messages, {"type": "http.request", "body": b""}]
    answers: list[Any] = []

    async def receive() -> Message:
        seen.append(["receive", getattr(trace.get_current_span(), "name", None)])
        return waiting.pop(0)

    async def send(message: Message) -> None:
        # The ids in a propagated header differ.
        names = [name for name, _ in message.get("headers", ())]
        answers.append([message["type"], repr(names), getattr(trace.get_current_span(), "name", None)])

    try:
        await app(scope, receive, send)
    except Exception as error:
        answers.append(repr(error))
    seen.append([repr(path), repr(changes), answers])
    assert trace.get_current_span() is not None


def without(name: bytes, *others: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [header for header in HEADERS if header[0].lower() != name] + list(others)


async def main() -> None:
    for path in (
        *("/items/7", "/items/8", "/health", "/broken", "/broken-late", "/broken-hook", "/routed", "/read", "/bare"),
        *("/odd-length", "/trailers", "/stream", "", "no-slash", "/caf\xe9", "/a b", "/a?sig=1", "/text-status"),
        "/caf\udce9",
    ):
        await request(path)
    for code in (100, 201, 302, 404, 499, 500, 503, 999, 0, -1):
        await request(f"/status/{code}")
    for method in ("POST", "get", "BREW", "", " GET ", ...):
        await request("/items/7", method=method)
    for query in (
        b"a=b",
        b"sig=secret",
        b"token=secret",
        b"a=%7e%20b+c",
        b"s%69g=secret",
        b"a=%ff",
        b"caf\xc3\xa9",
        b"\xff",
        "text",
        None,
        ...,
    ):
        await request("/items/7", query_string=query)
    for changes in (
        {"scheme": "https", "server": ("shop.example", 443)},
        {"scheme": ...},
        {"scheme": ""},
        {"server": None},
        {"server": ...},
        {"server": ["127.0.0.1", 80]},
        {"server": ("/run/socket", None)},
        {"server": ("127.0.0.1", 0)},
        {"server": ("\udc80", 8000)},
        {"scheme": "http\udc80"},
        {"client": ("\udc80", 5)},
        {"server": ("127.0.0.1", "8000")},
        {"client": None},
        {"client": ...},
        {"client": ["10.0.0.7", 0]},
        {"client": ("", 5)},
        {"client": ("10.0.0.7", "41234")},
        {"client": ("10.0.0.7", None)},
        {"http_version": "2"},
        {"http_version": ""},
        {"http_version": ...},
        {"root_path": "/root"},
        {"type": "lifespan"},
        {"type": "websocket", "method": ...},
    ):
        await request("/items/7", **changes)
    sent = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"}, {"type": "websocket.disconnect"}]
    await request("/socket", type="websocket", scheme="ws", messages=sent)
    for headers in (
        without(b"host"),
        without(b"host", (b"host", b"")),
        without(b"host", (b"host", b"a"), (b"HOST", b"b")),
        without(b"host", (b"host", b"user:password@shop.example")),
        without(b"host", (b"host", b"caf\xc3\xa9")),
        without(b"host", (b"host", b"\xff")),
        without(b"user-agent"),
        without(b"user-agent", (b"user-agent", b"")),
        without(b"user-agent", (b"user-agent", b"Mozilla/5.0 (compatible; GoogleBot/2.1)")),
        without(b"user-agent", (b"user-agent", b"xAlwaysOn")),
        without(b"user-agent", (b"user-agent", b"caf\xe9")),
        without(b"traceparent"),
        [*HEADERS, (b"content-length", b"12")],
        [*HEADERS, (b"content-length", b"0")],
        [*HEADERS, (b"content-length", b"x")],
        [*HEADERS, (b"\xff", b"x")],
        [[*header] for header in HEADERS],
        [],
    ):
        await request("/items/7", headers=headers)
    await request(...)
    with suppress_http_instrumentation():
        await request("/items/7")
    with trace.get_tracer("test").start_as_current_span("outer"):
        await request("/items/7")
    await request("/items/9", Subclass(application, **hooks))


asyncio.run(main())
print_recorded(
    call=contrib.OpenTelemetryMiddleware.__call__,
    attributes=contrib.collect_request_attributes,
)
