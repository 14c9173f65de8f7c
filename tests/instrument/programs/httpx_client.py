"""Requests of many kinds that `httpx` sends to a server, by its two clients."""

from __future__ import annotations

import asyncio
import http.server
import io
import re
import sys
import threading
from contextlib import redirect_stdout
from typing import Any

from recorded import print_recorded, seen, set_up
from replaced import add_to_lists, replace

set_up()

import httpx  # noqa: E402
from opentelemetry import (  # noqa: E402
    baggage,
    context,
    trace,
)
from opentelemetry.instrumentation import httpx as contrib  # noqa: E402
from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: E402
from opentelemetry.propagate import set_global_textmap  # noqa: E402
from opentelemetry.propagators.composite import CompositePropagator  # noqa: E402
from opentelemetry.propagators.textmap import TextMapPropagator  # noqa: E402
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: E402

OPTIONS = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        seen.append([self.command, self.path, sorted(name.lower() for name in self.headers)])
        code = int(self.path.rpartition("/")[2].partition("?")[0] or 200) if "/status/" in self.path else 200
        self.send_response(code)
        if code == 302:
            self.send_header("location", "/status/204")
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_BREW = answer

    def log_message(self, *_: object) -> None:
        pass


def request_hook(span: trace.Span, request: contrib.RequestInfo) -> None:
    seen.append(["request hook", span.is_recording(), repr(request.method), str(request.url)])


def response_hook(span: trace.Span, request: contrib.RequestInfo, response: contrib.ResponseInfo) -> None:
    seen.append(["response hook", span.is_recording(), response.status_code])


async def async_request_hook(span: trace.Span, request: contrib.RequestInfo) -> None:
    request_hook(span, request)


class Counting(TextMapPropagator):
    """Looks at what the headers are."""

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        seen.append(["injected into", type(carrier).__name__, sorted(carrier)])
        carrier["X-Counted"] = str(len(carrier))

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
        return context

    @property
    def fields(self) -> set[str]:
        return {"x-counted"}


if "propagator" in OPTIONS:
    set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), Counting()]))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_port
root = f"http://127.0.0.1:{port}"
hooks: dict[str, Any] = {"request_hook": request_hook, "response_hook": response_hook} if "hooks" in OPTIONS else {}
if "async hook" in OPTIONS:
    hooks["async_request_hook"] = async_request_hook
replace(contrib, "redact_url")
add_to_lists()
contrib.HTTPXClientInstrumentor().instrument(**hooks)

REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    *(
        ("GET", root + path, {})
        for path in ("/", "/a?b=c", "/?sig=secret", "/?s%69g=secret", "/#fragment", "/excluded", "/a b", "/\xfc", "")
    ),
    *(("GET", f"{root}/status/{code}", {}) for code in (201, 302, 304, 400, 404, 500, 503, 600)),
    ("GET", f"{root}/?token=secret", {}),
    ("POST", root, {"content": b"x"}),
    ("BREW", root, {}),
    ("get", root, {}),
    ("GET", root, {"headers": {"traceparent": "mine", "x-custom": "1"}}),
    ("GET", root, {"follow_redirects": True, "params": {"a": "b c"}}),
    ("GET", f"http://user:password@127.0.0.1:{port}/", {}),
    ("GET", f"http://LOCALHOST:{port}/", {}),
    ("GET", "http://127.0.0.1:1/", {}),
    ("GET", "http://127.0.0.1:80/", {"timeout": 0.5}),
    ("GET", "http:///nothing", {}),
    ("GET", "http://xn--fiqs8s.invalid/", {}),
]


def saw(method: str, outcome: Any, headers: httpx.Headers | None = None) -> None:
    if isinstance(outcome, Exception):
        seen.append([method, type(outcome).__name__])
    else:
        seen.append([method, outcome.status_code, sorted(outcome.request.headers)])


def send(client: httpx.Client, method: str, url: str, **options: Any) -> None:
    try:
        saw(method, client.request(method, url, **options))
    except Exception as error:
        saw(method, error)


async def send_async(client: httpx.AsyncClient, method: str, url: str, **options: Any) -> None:
    try:
        saw(method, await client.request(method, url, **options))
    except Exception as error:
        saw(method, error)


class Failing(httpx.BaseTransport):
    """Raises what has a response."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.HTTPStatusError("of the transport", request=request, response=httpx.Response(502))


class Slow(httpx.AsyncBaseTransport):
    """Waits, and then does what the path says."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60 if request.url.path == "/slow" else 0)
        if request.url.path == "/ends":
            raise Ends
        if request.url.path == "/failing":
            raise httpx.HTTPStatusError("of the transport", request=request, response=httpx.Response(502))
        return httpx.Response(200, extensions={"http_version": b"HTTP/2"})


class Ends(BaseException):
    """As a program ends."""


class OwnHeaders(httpx.Headers):
    def __setitem__(self, key: str, value: str) -> None:
        seen.append(["set", key])
        super().__setitem__(key, value)


def headers_of(request: httpx.Request) -> list[Any]:
    return [[repr(name), re.sub("[0-9a-f]{16,}", "id", value.decode("latin-1"))] for name, value in request.headers.raw]


def with_headers(client: httpx.Client) -> None:
    """What becomes of those that are there."""
    named = [("x-a", "1"), ("TraceParent", "old"), ("X-B", "2"), ("traceparent", "older"), ("x-a", "3")]
    for headers in (named, [("x-e", "\xe9")], [("baggage", "mine=1"), ("tracestate", "a=b")]):
        request = httpx.Request("GET", root, headers=httpx.Headers(headers, encoding="iso-8859-1"))
        before = request.headers
        response = client.send(request)
        seen.append([headers_of(request), len(before), response.request is request, request.headers.encoding])
        seen.append([repr(request.headers._encoding), before.encoding, type(request.headers).__name__])
    request = httpx.Request("GET", root)
    request.headers = OwnHeaders({"host": "shop.example", "x-own": "1"})
    client.send(request)
    seen.append(headers_of(request))
    for url in (httpx.URL(root + "/a%20b?c=%7B&d#e"), httpx.URL(root).copy_with(userinfo=b"user:secret")):
        client.get(url)


def synchronously() -> None:
    with httpx.Client(trust_env=False) as client:
        with_headers(client)
        token = context.attach(baggage.set_baggage("customer", "caf\xe9, 7"))
        with_headers(client)
        context.detach(token)
        for method, url, options in REQUESTS:
            send(client, method, url, **options)
        headers = httpx.Headers({"x-mine": "1"})
        request = httpx.Request("GET", root, headers=headers)
        mine = request.headers
        client.send(request)
        seen.append(["headers", sorted(mine), sorted(request.headers)])
        with suppress_instrumentation():
            send(client, "GET", root)
        with trace.get_tracer("test").start_as_current_span("outer"):
            send(client, "GET", root)
    with httpx.Client(transport=Failing()) as client:
        contrib.HTTPXClientInstrumentor.instrument_client(client)
        send(client, "GET", root)
    with httpx.Client(transport=contrib.SyncOpenTelemetryTransport(httpx.HTTPTransport())) as client:
        send(client, "GET", root)


async def asynchronously() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for method, url, options in REQUESTS:
            await send_async(client, method, url, **options)
        with suppress_instrumentation():
            await send_async(client, "GET", root)
        with trace.get_tracer("test").start_as_current_span("outer"):
            await send_async(client, "GET", root)


async def given_up() -> None:
    async with httpx.AsyncClient(transport=Slow()) as client:
        contrib.HTTPXClientInstrumentor.instrument_client(client)
        for path in ("/", "/failing", "/ends"):
            try:
                await send_async(client, "GET", root + path)
            except Ends:
                seen.append("ends")
            seen.append(trace.get_current_span().is_recording())
        task = asyncio.create_task(client.get(f"{root}/slow"))
        await asyncio.sleep(0.01)
        task.cancel()
        seen.append([type(each).__name__ for each in await asyncio.gather(task, return_exceptions=True)])
        await asyncio.gather(*(send_async(client, "GET", f"{root}/{number}") for number in range(5)))
        try:
            await asyncio.wait_for(client.get(f"{root}/slow"), 0.01)
        except asyncio.TimeoutError:
            seen.append(["timed out", trace.get_current_span().is_recording()])
        # Never awaited to its end.
        coroutine = client.get(f"{root}/slow")
        seen.append(type(coroutine.send(None)).__name__)
        coroutine.close()


synchronously()
asyncio.run(asynchronously())
asyncio.run(given_up())
contrib.HTTPXClientInstrumentor().uninstrument()
with httpx.Client(trust_env=False) as last:
    send(last, "GET", root)
# The number of the port differs.
with redirect_stdout(io.StringIO()) as text:
    print_recorded(
        sync=contrib._BaseHTTPXClientInstrumentor._handle_request_wrapper,
        asynchronous=contrib._BaseHTTPXClientInstrumentor._handle_async_request_wrapper,
    )
sys.stdout.write(text.getvalue().replace(str(port), "12345"))
