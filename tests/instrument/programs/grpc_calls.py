"""Calls of all four kinds to a server, by the clients and servers of grpcio and of its asyncio part."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded import print_recorded, seen, set_up

OPTIONS = sys.argv[1:]
set_up(ALWAYS_OFF if "unsampled" in OPTIONS else None)

import grpc  # noqa: E402
import grpc.aio  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import grpc as contrib  # noqa: E402
from opentelemetry.instrumentation.grpc import (  # noqa: E402
    _aio_client,
    _aio_server,
    _client,
    _server,
    filters,
)
from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: E402

# Without protobuf: requests and responses are bytes.
SERVICE = "shop.Shop"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
REQUESTS = (b"ok", b"abort", b"abort internal", b"set code", b"set details", b"raise", b"raise error", b"peer")


def request_hook(span: trace.Span, request: Any) -> None:
    seen.append(["request hook", span.is_recording(), repr(request)[:12]])
    if request == b"ok":
        raise ValueError("of the hook")


def response_hook(span: trace.Span, response: Any) -> None:
    seen.append(["response hook", span.is_recording(), repr(response)[:12]])


hooks: dict[str, Any] = {"request_hook": request_hook, "response_hook": response_hook} if "hooks" in OPTIONS else {}
filter_ = filters.negate(filters.method_name("unary_unary")) if "filter" in OPTIONS else None
INSTRUMENTORS = [
    contrib.GrpcInstrumentorClient(filter_),
    contrib.GrpcInstrumentorServer(filter_),
    contrib.GrpcAioInstrumentorClient(filter_),
    contrib.GrpcAioInstrumentorServer(filter_),
]
for instrumentor in INSTRUMENTORS:
    instrumentor.instrument(**hooks)


def answer(request: bytes, call: Any) -> bytes:
    """What a server of any kind does with a request."""
    metadata = sorted(key for key, _ in call.invocation_metadata())
    current = trace.get_current_span()
    seen.append(["served", request.decode(), metadata, current.is_recording(), current.get_span_context().is_valid])
    match request:
        case b"set code":
            call.set_code(grpc.StatusCode.NOT_FOUND)
        case b"set details":
            call.set_code(grpc.StatusCode.UNAVAILABLE)
            call.set_details("gone")
        case b"raise":
            raise Exception("plain")
        case b"raise error":
            raise ValueError("wrong")
        case b"peer":
            seen.append(call.peer().partition(":")[0])
    return b"answer"


ABORTS = {b"abort": grpc.StatusCode.NOT_FOUND, b"abort internal": grpc.StatusCode.INTERNAL}


def synchronously(request: bytes, call: Any) -> bytes:
    if code := ABORTS.get(request):
        call.abort(code, "as asked")
    return answer(request, call)


async def asynchronously(request: bytes, call: Any) -> bytes:
    if code := ABORTS.get(request):
        await call.abort(code, "as asked")
    return answer(request, call)


def unary_stream(request: bytes, call: Any) -> Iterator[bytes]:
    yield b"first"
    yield synchronously(request, call)


def stream_unary(requests: Iterator[bytes], call: Any) -> bytes:
    return synchronously(next(requests), call)


def stream_stream(requests: Iterator[bytes], call: Any) -> Iterator[bytes]:
    for request in requests:
        yield synchronously(request, call)


async def async_unary_stream(request: bytes, call: Any) -> AsyncIterator[bytes]:
    yield b"first"
    yield await asynchronously(request, call)


async def async_stream_unary(requests: AsyncIterator[bytes], call: Any) -> bytes:
    return await asynchronously(await anext(requests), call)


async def async_stream_stream(requests: AsyncIterator[bytes], call: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield await asynchronously(request, call)


def handlers(*behaviours: Callable[..., Any]) -> grpc.GenericRpcHandler:
    methods = {
        kind: getattr(grpc, f"{kind}_rpc_method_handler")(each) for kind, each in zip(KINDS, behaviours, strict=True)
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def note(name: str, call: Callable[..., Any], *args: Any) -> None:
    try:
        seen.append([name, repr(call(*args))])
    except grpc.RpcError as error:
        seen.append([name, error.code().name])
    except Exception as error:
        seen.append([name, type(error).__name__])


def call_all(channel: grpc.Channel) -> None:
    unary_unary, unary_stream, stream_unary, stream_stream = (
        getattr(channel, kind)(f"/{SERVICE}/{kind}") for kind in KINDS
    )
    for request in REQUESTS:
        note("unary", lambda request: unary_unary(request, timeout=10), request)
        note("with call", lambda request: unary_unary.with_call(request, timeout=10)[0], request)
        note("future", lambda request: unary_unary.future(request, timeout=10).result(), request)
        note("unary stream", lambda request: list(unary_stream(request, timeout=10)), request)
        note("stream unary", lambda request: stream_unary(iter([request]), timeout=10), request)
        note("stream future", lambda request: stream_unary.future(iter([request]), timeout=10).result(), request)
        note("stream stream", lambda request: list(stream_stream(iter([b"ok", request]), timeout=10)), request)
    note("metadata", lambda: unary_unary(b"ok", metadata=(("a", "1"), ("b-bin", b"\0"), ("a", "2")), timeout=10))
    note("no such method", lambda: channel.unary_unary(f"/{SERVICE}/none")(b"", timeout=10))
    note("bad metadata", lambda: unary_unary(b"ok", metadata=(("A A", "1"),), timeout=10))
    note("no method", lambda: channel.unary_unary("/none")(b"", timeout=10))
    with suppress_instrumentation():
        note("suppressed", lambda: unary_unary(b"ok", timeout=10))
        note("suppressed", lambda: list(unary_stream(b"ok", timeout=10)))
    with trace.get_tracer("test").start_as_current_span("outer"):
        note("within", lambda: unary_unary(b"ok", timeout=10))


async def note_async(name: str, call: Callable[..., Any], *args: Any) -> None:
    try:
        seen.append([name, repr(await call(*args))])
    except grpc.RpcError as error:
        seen.append([name, error.code().name])
    except Exception as error:
        seen.append([name, type(error).__name__])


async def stream_of(*requests: bytes) -> AsyncIterator[bytes]:
    for request in requests:
        yield request


async def listed(responses: Any) -> list[bytes]:
    return [response async for response in responses]


async def call_all_async(port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        unary_unary, unary_stream, stream_unary, stream_stream = (
            getattr(channel, kind)(f"/{SERVICE}/{kind}") for kind in KINDS
        )
        for request in REQUESTS:
            await note_async("unary", lambda request: unary_unary(request, timeout=10), request)
            await note_async("unary stream", lambda request: listed(unary_stream(request, timeout=10)), request)
            await note_async("stream unary", lambda request: stream_unary(stream_of(request), timeout=10), request)
            await note_async(
                "stream stream", lambda request: listed(stream_stream(stream_of(b"ok", request), timeout=10)), request
            )
        await note_async("metadata", lambda: unary_unary(b"ok", metadata=(("a", "1"),), timeout=10))
        with suppress_instrumentation():
            await note_async("suppressed", lambda: unary_unary(b"ok", timeout=10))
        with trace.get_tracer("test").start_as_current_span("outer"):
            await note_async("within", lambda: unary_unary(b"ok", timeout=10))


def serve() -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handlers(synchronously, unary_stream, stream_unary, stream_stream),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


async def with_asyncio(other_port: int) -> int:
    server = grpc.aio.server()
    served = handlers(asynchronously, async_unary_stream, async_stream_unary, async_stream_stream)
    server.add_generic_rpc_handlers((served,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await call_all_async(port)
    await call_all_async(other_port)
    await server.stop(None)
    return port


server, port = serve()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    call_all(channel)
with grpc.insecure_channel("127.0.0.1:1") as channel:
    note("nobody", lambda: channel.unary_unary(f"/{SERVICE}/unary_unary")(b"", timeout=2))
asyncio.run(with_asyncio(port))
server.stop(None).wait()
for instrumentor in INSTRUMENTORS:
    instrumentor.uninstrument()
with redirect_stdout(io.StringIO()) as text:
    print_recorded(
        port,
        client=_client.OpenTelemetryClientInterceptor._intercept,
        client_span=_aio_client.UnaryUnaryAioClientInterceptor._start_span,
        callback=_client._make_future_done_callback,
        server_span=_aio_server.OpenTelemetryAioServerInterceptor._start_span,
        server_context=_server.OpenTelemetryServerInterceptor._set_remote_context,
    )
# The numbers of the clients' ports differ, and it differs whether client or server is the first to be done.
recorded = json.loads(re.sub(r"(net\.peer\.port\D+)\d+", r"\1 12345", text.getvalue()))
for part in ("spans", "seen", "warnings"):
    recorded[part].sort(key=repr)
json.dump(recorded, sys.stdout)
