"""Requests of many kinds that urllib sends to a server."""

from __future__ import annotations

import http.client
import pathlib
import sys
import urllib.request
from typing import Any

from answers import serve
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded import print_recorded, seen, set_up
from replaced import add_to_lists, replace

OPTIONS = sys.argv[1:]
set_up(ALWAYS_OFF if "unsampled" in OPTIONS else None)

from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import urllib as contrib  # noqa: E402
from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: E402


def request_hook(span: trace.Span, request: urllib.request.Request) -> None:
    seen.append(["request hook", span.is_recording(), request.get_method()])


def response_hook(span: trace.Span, request: urllib.request.Request, response: http.client.HTTPResponse) -> None:
    seen.append(["response hook", span.is_recording(), response and response.getcode()])


port = serve("old protocol" in OPTIONS)
hooks: dict[str, Any] = {"request_hook": request_hook, "response_hook": response_hook} if "hooks" in OPTIONS else {}
if "excluded" in OPTIONS:
    hooks["excluded_urls"] = "excluded"
replace(contrib, "redact_url")
add_to_lists()
instrumentor = contrib.URLLibInstrumentor()
instrumentor.instrument(**hooks)


def send(url: Any, data: Any = None, method: str | None = None, **headers: str) -> None:
    request: Any = url
    if method or headers:
        request = urllib.request.Request(url, data, headers, method=method)
        data = None
    try:
        with urllib.request.urlopen(request, data, timeout=10) as response:
            seen.append([method, response.getcode()])
    except Exception as error:
        seen.append([method, type(error).__name__])


root = f"http://127.0.0.1:{port}"
for path in ("/", "/a?b=c", "/?sig=secret", "/?s%69g=secret", "/#fragment", "/excluded", "/a b", "/\xfc"):
    send(root + path)
for code in (201, 302, 404, 500):
    send(f"{root}/status/{code}")
send(f"{root}/?token=secret")
send(root, b"body")
send(root, iter([b"x"]))
for name in ("BREW", "get", "Post", "QUERY"):
    send(root, method=name)
send(f"{root}/length/many", method="GET")
send(root, **{"X-Mine": "1"})
send(f"http://user:password@127.0.0.1:{port}/")
send(f"http://LOCALHOST:{port}/")
send("http://127.0.0.1:1/")
send("http:///nothing")
send(pathlib.Path(__file__).as_uri())
send("data:text/plain,hello")
send("gopher://nowhere/")
send(7)
opener = urllib.request.build_opener()
opener.addheaders = [("x-mine", "1"), ("X-Mine", "2"), ("User-Agent", "mine")]
with opener.open(root, timeout=10) as response:
    seen.append(response.getcode())
with suppress_instrumentation():
    send(root)
with trace.get_tracer("test").start_as_current_span("outer"):
    send(root)
instrumentor.uninstrument_opener(opener)
with opener.open(root, timeout=10) as response:
    seen.append(response.getcode())
instrumentor.uninstrument()
send(root)
print_recorded(port, instrument=contrib._instrument)
