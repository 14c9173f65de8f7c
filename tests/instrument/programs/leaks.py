"""Rounds of requests that applications take and clients send, with the objects in use after each."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Generator
from contextlib import suppress
from types import coroutine
from typing import Any

import otel_rs

otel_rs.install()

import fastapi  # noqa: E402
import httpx  # noqa: E402
from opentelemetry import metrics, trace  # noqa: E402
from opentelemetry.instrumentation import asgi  # noqa: E402
from opentelemetry.instrumentation import httpx as clients  # noqa: E402
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402

trace.set_tracer_provider(TracerProvider())
metrics.set_meter_provider(MeterProvider(metric_readers=[InMemoryMetricReader()]))

ROUNDS, COUNT = 8, 20
# CPython 3.10 allocates a cache for the instructions of a function at its 1024th call, the stock SDK's functions, too.
WARM_UP = 3 if sys.version_info >= (3, 11) else 25
START = {"type": "http.response.start", "status": 200, "headers": [[b"content-length", b"1"]]}
BODY = {"type": "http.response.body", "body": b"a"}
SCOPE = {
    **{"type": "http", "http_version": "1.1", "server": ("127.0.0.1", 8000), "client": ("10.0.0.7", 41234)},
    **{"scheme": "http", "method": "GET", "root_path": "", "query_string": b"a=b"},
    "headers": [(b"host", b"shop.example"), (b"x-a", b"b"), (b"content-length", b"3")],
}


@coroutine
def pause() -> Generator[None, None, None]:
    yield


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: dict[str, Any]) -> None:
    pass


async def application(scope: Any, receive: Any, send: Any) -> None:
    # In cycles with the request.
    scope["cycle"] = [scope, send, receive]
    send.itself = send
    receive.itself = receive
    if scope["path"] == "/broken":
        raise ValueError("of the application")
    if scope["path"] == "/paused":
        await pause()
    await receive()
    await send(START)
    await send(BODY)


middleware = asgi.OpenTelemetryMiddleware(application)
app = fastapi.FastAPI()
FastAPIInstrumentor.instrument_app(app)


@app.get("/items/{number}")
async def item(number: int) -> int:
    if number == 7:
        raise ValueError("of the handler")
    return number


def answered(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/broken":
        raise httpx.ConnectError("refused", request=request)
    return httpx.Response(int(request.url.path[1:]), json={})


async def answered_later(request: httpx.Request) -> httpx.Response:
    await asyncio.sleep(60 if request.url.path == "/299" else 0)
    return answered(request)


client = httpx.Client(transport=httpx.MockTransport(answered))
async_client = httpx.AsyncClient(transport=httpx.MockTransport(answered_later))
for each in (client, async_client):
    clients.HTTPXClientInstrumentor.instrument_client(each)
SHARED = [middleware, application, app, receive, send, START, BODY, SCOPE, SCOPE["headers"], SCOPE["server"], client]


async def requests() -> None:
    for number in range(COUNT):
        for called, path in ((middleware, "/"), (middleware, "/broken"), (app, "/items/1"), (app, "/items/7")):
            with suppress(ValueError):
                await called({**SCOPE, "path": path}, receive, send)
        for path in ("200", "404", "broken"):
            with suppress(httpx.ConnectError):
                await async_client.get(f"http://shop.example/{path}")
            with suppress(httpx.ConnectError):
                client.get(f"http://shop.example/{path}", headers={"x-number": str(number)})
        task = asyncio.create_task(async_client.get("http://shop.example/299"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def round_of_requests() -> None:
    asyncio.run(requests())
    for _ in range(COUNT):
        given_up = middleware({**SCOPE, "path": "/paused"}, receive, send)
        given_up.send(None)
        del given_up
        middleware({**SCOPE, "path": "/"}, receive, send).close()


natives = (asgi.OpenTelemetryMiddleware.__call__, clients._BaseHTTPXClientInstrumentor._handle_request_wrapper)
print(json.dumps([function.__module__ for function in natives]))
for number in range(WARM_UP + ROUNDS):
    round_of_requests()
    gc.collect()
    gc.collect()
    if number >= WARM_UP:
        measured = {
            "objects": len(gc.get_objects()),
            "references": [sys.getrefcount(each) for each in SHARED],
            "blocks": sys.getallocatedblocks(),
        }
        print(json.dumps(measured))
        del measured
