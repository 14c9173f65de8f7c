"""Requests of many kinds to a WSGI application within contrib's middleware."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Iterator
from typing import Any

from recorded import print_recorded, seen, set_up
from replaced import add_to_lists, replace
from wsgi_requests import environ_of

set_up()

from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import wsgi as contrib  # noqa: E402

OPTIONS = sys.argv[1:]


class OwnMiddleware(contrib.OpenTelemetryMiddleware):
    @staticmethod
    def _create_start_response(span: trace.Span, *arguments: Any) -> Any:
        span.set_attribute("by", "me")
        return contrib.OpenTelemetryMiddleware._create_start_response(span, *arguments)


class Body:
    def __init__(self, breaks: bool) -> None:
        self._breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        seen.append(["in the body", trace.get_current_span().is_recording()])
        yield b"a"
        if self._breaks:
            raise KeyError("in the body")
        yield b"b"

    def close(self) -> None:
        seen.append(["closed", trace.get_current_span().is_recording()])


def application(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ.get("PATH_INFO") or ""
    seen.append([path, trace.get_current_span().is_recording(), start_response.__name__])
    if path == "/broken":
        raise ValueError("on purpose")
    if path == "/exit":
        raise SystemExit(3)
    status = path.removeprefix("/status/").replace("_", " ") if path.startswith("/status/") else "200 OK"
    start_response(status, [("content-type", "text/plain"), ("Content-Type", "again")])
    return Body(path == "/breaks") if path in ("/body", "/breaks") else [b"answer"]


def request_hook(span: trace.Span, environ: dict[str, Any]) -> None:
    seen.append(["request hook", span.is_recording(), environ["PATH_INFO"]])


def response_hook(span: trace.Span, environ: dict[str, Any], status: str, headers: list[tuple[str, str]]) -> None:
    seen.append(["response hook", span.is_recording(), environ["PATH_INFO"], status])
    headers.append(("x-hook", "1"))


hooks: dict[str, Any] = {"request_hook": request_hook, "response_hook": response_hook} if "hooks" in OPTIONS else {}
if "own" in OPTIONS:
    contrib.get_default_span_name = lambda environ: f"my {environ.get('PATH_INFO')}"
replace(contrib, "add_response_attributes", "collect_request_attributes", "get_default_span_name")
add_to_lists()
app = (OwnMiddleware if "own" in OPTIONS else contrib.OpenTelemetryMiddleware)(application, **hooks)


def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
    seen.append([status, headers])


def request(path: str, most: int = 9, **changes: str | None) -> None:
    try:
        result = iter(app(environ_of(path, **changes), start_response))
        for _ in range(most):
            seen.append(next(result).decode())
    except BaseException as error:
        seen.append([path, changes, repr(error), trace.get_current_span().is_recording()])
        return
    # A client that has gone.
    result.close()  # type: ignore[attr-defined]


for path in ("/", "", " ", "/a b ", " /a", "/broken", "/body", "/breaks"):
    request(path)
# Which leaves its context behind.
contextvars.copy_context().run(request, "/exit")
request("/body", most=1)
request("/body", most=0)
for status in (
    "204 None",
    "302 Found",
    "404 Not_Found",
    "500 Broken",
    "999 No",
    "9 No",
    "200",
    "abc def",
    "\u0662\u0660\u0660 Ok",
    "200 ",
):
    request(f"/status/{status}")
for changes in (
    {"REQUEST_METHOD": "POST"},
    {"REQUEST_METHOD": "get"},
    {"REQUEST_METHOD": " GET "},
    {"REQUEST_METHOD": "BREW"},
    {"REQUEST_METHOD": None},
    {"PATH_INFO": None},
    {"SERVER_PORT": "no"},
    {"HTTP_USER_AGENT": "Googlebot"},
    {"HTTP_USER_AGENT": "Mozilla/5.0"},
    {"HTTP_TRACEPARENT": None},
):
    request("/items/7", **changes)  # type: ignore[arg-type]
with trace.get_tracer("test").start_as_current_span("outer"):
    request("/items/7")
    request("/broken")
print_recorded(call=contrib.OpenTelemetryMiddleware.__call__)
