"""Commands of many kinds to a server that answers as Redis does."""

from __future__ import annotations

import asyncio
import socketserver
import sys
import threading
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded import print_recorded, seen, set_up

OPTIONS = sys.argv[1:]
set_up(ALWAYS_OFF if "unsampled" in OPTIONS else None)

import redis  # noqa: E402
import redis.asyncio  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import redis as contrib  # noqa: E402
from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: E402

ANSWERS = {
    b"GET": b"$5\r\nvalue\r\n",
    b"FT.SEARCH": b"*3\r\n:1\r\n$5\r\ndoc:1\r\n*2\r\n$4\r\nname\r\n$3\r\ntea\r\n",
    b"HELLO": b"-ERR unknown command 'HELLO'\r\n",
    b"BREW": b"-ERR unknown command 'BREW'\r\n",
    b"EXEC": b"*1\r\n+OK\r\n",
}


class Server(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        queued = 0
        while line := self.rfile.readline():
            command = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                command.append(self.rfile.read(size + 2)[:-2])
            if not command:
                return
            name = command[0].upper()
            if b"watched" in command and name == b"SET":
                self.server.changed = True  # type: ignore[attr-defined]
            if name == b"MULTI":
                queued = 1
                self.wfile.write(b"+OK\r\n")
            elif name == b"EXEC":
                watched = getattr(self.server, "changed", False)
                self.server.changed = False  # type: ignore[attr-defined]
                self.wfile.write(b"*-1\r\n" if watched else b"*%d\r\n" % (queued - 1) + b"+OK\r\n" * (queued - 1))
                queued = 0
            elif queued:
                queued += 1
                self.wfile.write(b"+QUEUED\r\n")
            else:
                self.wfile.write(ANSWERS.get(name, b"+OK\r\n"))


server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]


def request_hook(span: trace.Span, instance: Any, args: Any, kwargs: Any) -> None:
    seen.append(["request hook", span.is_recording(), type(instance).__name__, repr(args)[:60], sorted(kwargs)])
    if "break" in args:
        raise ValueError("of the hook")


def response_hook(span: trace.Span, instance: Any, response: Any) -> None:
    seen.append(["response hook", span.is_recording(), type(instance).__name__, repr(response)])


hooks: dict[str, Any] = {"request_hook": request_hook, "response_hook": response_hook} if "hooks" in OPTIONS else {}
contrib.RedisInstrumentor().instrument(**hooks)

COMMANDS: list[tuple[Any, ...]] = [
    ("GET", "a"),
    ("SET", "a", "b"),
    ("SET", "break", b"bytes", 1, 2.5),
    ("BREW",),
    ("",),
    ("X" * 1200, 1),
    ("M", *range(600)),
    (b"GET", "a"),
    (None,),
    (7,),
    (),
    ("FT.SEARCH", "idx", "query"),
    ("FT.CREATE", "idx", "SCHEMA", "name", "TEXT"),
    ("redis.search", "a", "b"),
]


def note(args: Any, call: Any) -> None:
    try:
        seen.append([repr(args)[:60], repr(call(*args))])
    except Exception as error:
        seen.append([repr(args)[:60], repr(error)[:100]])


options = {"host": "127.0.0.1", "port": port, "protocol": 2}
client = redis.Redis(**options)
for command in COMMANDS:
    note(command, client.execute_command)
for more in (
    {"db": 3},
    {"db": None},
    {"port": str(port)},
    {"host": "localhost"},
    {"host": None},
    {"port": None},
    {"host": ["no", "host"]},
):
    other = redis.Redis(**{**options, **more})
    note(("GET", "a"), other.execute_command)
    note((), other.execute_command)
    note(("GET", "a"), other.execute_command)
unreachable = redis.Redis(host="127.0.0.1", port=1, retry=None)
note(("GET", "a"), unreachable.execute_command)
note(("GET", "a"), redis.Redis(unix_socket_path="/nowhere", retry=None).execute_command)
for number in range(70):
    note(("GET", number), redis.Redis(**options, db=number).execute_command)
with suppress_instrumentation():
    note(("GET", "suppressed"), client.execute_command)
with trace.get_tracer("test").start_as_current_span("outer"):
    client.get("a")
for transaction in (True, False):
    pipeline = client.pipeline(transaction=transaction)
    pipeline.set("a", 1)
    pipeline.get("b")
    note((), pipeline.execute)
    note((), pipeline.execute)
pipeline = client.pipeline()
pipeline.watch("watched")
client.set("watched", 2)
pipeline.multi()
pipeline.set("watched", 3)
note((), pipeline.execute)


async def asynchronous() -> None:
    client = redis.asyncio.Redis(**options)
    for command in COMMANDS:
        try:
            seen.append([repr(command)[:60], repr(await client.execute_command(*command))])
        except Exception as error:
            seen.append([repr(command)[:60], repr(error)[:100]])
    with suppress_instrumentation():
        await client.get("suppressed")
    pipeline = client.pipeline()
    pipeline.set("a", 1)
    pipeline.get("b")
    seen.append(repr(await pipeline.execute()))
    pipeline = client.pipeline()
    await pipeline.watch("watched")
    await client.set("watched", 2)
    pipeline.multi()
    pipeline.set("watched", 3)
    try:
        await pipeline.execute()
    except redis.WatchError as error:
        seen.append(repr(error))
    await client.aclose()


asyncio.run(asynchronous())
contrib.RedisInstrumentor().uninstrument()
client.get("a")
print_recorded(
    port,
    command=contrib._traced_execute_factory,
    pipeline=contrib._traced_execute_pipeline_factory,
    async_command=contrib._async_traced_execute_factory,
    async_pipeline=contrib._async_traced_execute_pipeline_factory,
)
