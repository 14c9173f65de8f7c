"""Requests to an ASGI application that end early, or whose messages are sent and received in other tasks."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import types
from collections.abc import Callable, Generator
from typing import Any

import anyio
from asgiref.sync import async_to_sync, iscoroutinefunction
from recorded import print_recorded, seen, set_up

set_up()

from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import asgi as contrib  # noqa: E402

OPTIONS = sys.argv[1:]
Message = dict[str, Any]
START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]}
PART: Message = {"type": "http.response.body", "body": b"a", "more_body": True}
BODY: Message = {"type": "http.response.body", "body": b"b"}


class Ends(BaseException):
    """As a program ends."""


@types.coroutine
def pause(value: Any) -> Generator[Any, Any, Any]:
    return (yield value)


class Later:
    """What a server's `send` may return in place of a coroutine."""

    def __init__(self, does: Callable[[], None]) -> None:
        self._does = does

    def __await__(self) -> Generator[Any, Any, str]:
        yield from asyncio.sleep(0).__await__()
        self._does()
        return "ignored"


def current() -> str | None:
    return getattr(trace.get_current_span(), "name", None)


async def looked_at(scope: Message, receive: Any, send: Any) -> None:
    for name, function in (("receive", receive), ("send", send)):
        seen.append([name, function.__name__, function.__qualname__.rpartition(".")[2], sorted(vars(function))])
        seen.append([inspect.iscoroutinefunction(function), iscoroutinefunction(function), callable(function)])
        seen.append([list(inspect.signature(function, follow_wrapped=False).parameters), hasattr(function, "other")])
        seen.append([function.mark, function.__wrapped__.__name__, inspect.unwrap(function) is function.__wrapped__])
        function.set_by_the_application = 1
        seen.append([function.set_by_the_application, hasattr(function.__wrapped__, "set_by_the_application")])
        for names in ("nothing", "__nothing__"):
            try:
                getattr(function, names)
            except AttributeError as error:
                seen.append(str(error))
    received = receive()
    seen.append([inspect.iscoroutine(received), inspect.isawaitable(received)])
    await received
    scope["extensions"] = [send, receive]
    await send(START)
    await send(BODY)


async def in_tasks(scope: Message, receive: Any, send: Any) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(receive)
    await asyncio.create_task(send(START))
    async with anyio.create_task_group() as group:
        group.start_soon(send, PART)
    await asyncio.wait_for(send(PART), 60)
    await asyncio.gather(send(PART), receive())
    await asyncio.get_running_loop().run_in_executor(None, lambda: async_to_sync(send)(PART))
    await send(BODY)


async def after_the_answer(scope: Message, receive: Any, send: Any) -> None:
    await send(START)
    await send(BODY)
    with trace.get_tracer("test").start_as_current_span("in the background"):
        await asyncio.sleep(0)
    seen.append(["after the answer", current()])
    await send(BODY)


async def waiting(scope: Message, receive: Any, send: Any) -> None:
    await send(START)
    try:
        await asyncio.sleep(60)
    finally:
        seen.append(["given up", current()])


async def timed_out(scope: Message, receive: Any, send: Any) -> None:
    with anyio.move_on_after(0.01):
        await receive()
    seen.append(["timed out", current()])
    await send(START)
    await send(BODY)


async def ending(scope: Message, receive: Any, send: Any) -> None:
    await send(START)
    raise Ends("of the application")


async def failing(scope: Message, receive: Any, send: Any) -> None:
    raise ValueError("of the application") from TypeError("its cause")


async def sending_wrongly(scope: Message, receive: Any, send: Any) -> None:
    for message in ({}, {"type": "http.response.start"}, None, {"type": "http.response.start", "status": None}):
        try:
            await send(message)
        except Exception as error:
            seen.append(["wrong", type(error).__name__, current()])
    await send({"type": "http.response.pathsend", "path": "/tmp/file"})
    await send(BODY)


async def pausing(scope: Message, receive: Any, send: Any) -> None:
    try:
        seen.append(await pause("paused"))
    except ValueError as error:
        seen.append(repr(error))
        raise
    await send(START)


class Double:
    """An application of ASGI 2."""

    def __init__(self, scope: Message) -> None:
        seen.append(["double", current()])
        if scope["path"] == "/broken":
            raise ValueError("of the application")

    async def __call__(self, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)


hooks: dict[str, Any] = {}
if "hooks" in OPTIONS:

    def hook(span: trace.Span, scope: Message, *message: Message) -> None:
        seen.append(["hook", span.is_recording(), trace.get_current_span() is span])
        if message and message[0]["type"] == "http.request":
            raise ValueError("of the hook")

    hooks = {"server_request_hook": hook, "client_request_hook": hook, "client_response_hook": hook}
if "receive alone" in OPTIONS:
    hooks["exclude_spans"] = ["send"]
SCOPE: Message = {
    **{"type": "http", "http_version": "1.1", "server": ("127.0.0.1", 8000), "client": ("10.0.0.7", 41234)},
    **{"scheme": "http", "method": "GET", "root_path": "", "query_string": b"", "path": "/"},
    "headers": [(b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
}


def servers(kind: str) -> tuple[Any, Any]:
    answers: list[Any] = []
    seen.append(answers)

    async def receive() -> Message:
        answers.append(["receive", current()])
        if kind == "slow":
            await asyncio.sleep(60)
        return {"type": "http.disconnect" if kind == "gone" else "http.request"}

    async def send(message: Message) -> None:
        answers.append([message["type"], current()])
        await asyncio.sleep(0)
        if kind == "gone":
            raise OSError("the client is gone")

    def send_later(message: Message) -> Later:
        answers.append(["called", message["type"], current()])
        return Later(lambda: answers.append(["sent", message["type"], current()]))

    receive.mark = send.mark = "of the server"  # type: ignore[attr-defined]
    return receive, send_later if kind == "later" else send


async def request(application: Any, kind: str = "usual", **changes: Any) -> None:
    app = contrib.OpenTelemetryMiddleware(application, **hooks)
    seen.append([getattr(application, "__name__", None), kind, inspect.iscoroutinefunction(app.__call__)])
    try:
        seen.append(await app({**SCOPE, **changes}, *servers(kind)))
    except (Exception, Ends) as error:
        seen.append(repr(error))
    seen.append(current())


async def cancelled(application: Any) -> None:
    app = contrib.OpenTelemetryMiddleware(application, **hooks)
    task = asyncio.create_task(app(dict(SCOPE), *servers("slow")))
    await asyncio.sleep(0.01)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        seen.append(["cancelled", current()])


def driven(*steps: Callable[[Any], Any]) -> None:
    """By hand, as an event loop of another library does."""
    app = contrib.OpenTelemetryMiddleware(pausing, **hooks)
    coroutine = app(dict(SCOPE), *servers("usual"))
    seen.append([inspect.iscoroutine(coroutine), coroutine.send(None), current()])
    for step in steps:
        try:
            seen.append(step(coroutine))
        except BaseException as error:
            seen.append(repr(error))
    seen.append(current())


async def main() -> None:
    for application in (looked_at, in_tasks, after_the_answer, timed_out, ending, failing, sending_wrongly, Double):
        await request(application)
    await request(after_the_answer, "later")
    await request(after_the_answer, "gone")
    await request(timed_out, "gone")
    await request(timed_out, "slow")
    await request(Double, path="/broken")
    for application in (waiting, after_the_answer):
        await cancelled(application)
    for messages in ({"type": "lifespan"}, {"type": "unknown"}, {"type": None}):
        await request(timed_out, **messages)
    await asyncio.gather(*(request(after_the_answer) for _ in range(5)))


asyncio.run(main())
with trace.get_tracer("test").start_as_current_span("outer"):
    driven(lambda coroutine: coroutine.send("sent in"), lambda coroutine: coroutine.send(None))
    driven(lambda coroutine: coroutine.throw(ValueError("thrown in")))
    driven(lambda coroutine: coroutine.close())
driven(lambda coroutine: None)
gc.collect()
print_recorded(call=contrib.OpenTelemetryMiddleware.__call__)
