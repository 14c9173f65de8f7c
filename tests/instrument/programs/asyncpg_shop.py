"""Statements of many kinds to PostgreSQL, whose socket is in the folder of the first argument."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded import print_recorded, seen, set_up

SOCKETS, PORT, *OPTIONS = sys.argv[1:]
set_up(ALWAYS_OFF if "unsampled" in OPTIONS else None)

import asyncpg  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import asyncpg as contrib  # noqa: E402
from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: E402

instrumentor = contrib.AsyncPGInstrumentor(capture_parameters="parameters" in OPTIONS)
instrumentor.instrument()


async def note(name: str, call: Callable[[], Awaitable[Any]]) -> None:
    try:
        seen.append([name, repr(await call())])
    except Exception as error:
        seen.append([name, type(error).__name__, str(error)])


async def statements(connection: Any) -> None:
    await note("create", lambda: connection.execute("CREATE TEMPORARY TABLE tea (id int, name text)"))
    await note("insert", lambda: connection.execute("INSERT INTO tea VALUES ($1, $2)", 1, "oolong"))
    await note("many", lambda: connection.executemany("INSERT INTO tea VALUES ($1, $2)", [(2, "mate"), (3, "chai")]))
    await note("comment", lambda: connection.fetch("/* of the shop */ SELECT * FROM tea"))
    await note("comment at its end", lambda: connection.fetch("SELECT 1 /* of the shop */"))
    await note("comment alone", lambda: connection.execute("/* of the shop */"))
    await note("spaces", lambda: connection.execute("  \n  SELECT 1"))
    await note("only spaces", lambda: connection.execute("   "))
    await note("empty", lambda: connection.execute(""))
    await note("value", lambda: connection.fetchval("SELECT name FROM tea WHERE id = $1", 2))
    await note("row", lambda: connection.fetchrow("SELECT * FROM tea WHERE id = $1", 3))
    await note("by name", lambda: connection.fetch(query="SELECT 1"))
    await note("no statement", lambda: connection.fetch(None))
    await note("syntax", lambda: connection.fetch("SELEC 1"))
    await note("division", lambda: connection.fetchval("SELECT 1 / $1::int", 0))
    await note("timeout", lambda: connection.execute("SELECT pg_sleep(10)", timeout=0.01))
    async with connection.transaction():
        async for row in connection.cursor("SELECT * FROM tea ORDER BY id", prefetch=2):
            seen.append(repr(row))
        cursor = await connection.cursor("/* of a cursor */ SELECT * FROM tea WHERE id > $1 ORDER BY id", 1)
        await note("cursor row", cursor.fetchrow)
        await note("cursor rows", lambda: cursor.fetch(5))
        await note("forward", lambda: cursor.forward(1))
        await note("wrong", lambda: cursor.fetch(-1))
    prepared = await connection.prepare("SELECT name FROM tea WHERE id = $1")
    await note("prepared", lambda: prepared.fetch(1))
    await note("prepared value", lambda: prepared.fetchval(2))
    await note("prepared row", lambda: prepared.fetchrow(3))
    await note("prepared many", lambda: prepared.fetchmany([(1,), (2,)]))
    await note("prepared wrongly", lambda: prepared.fetch("x"))
    with suppress_instrumentation():
        await note("suppressed", lambda: connection.fetch("SELECT 1"))
        await note("suppressed", lambda: prepared.fetch(1))
        async with connection.transaction():
            seen.append([repr(row) async for row in connection.cursor("SELECT 1")])
    with trace.get_tracer("test").start_as_current_span("outer"):
        await note("within", lambda: connection.fetchval("SELECT 1"))


class Remover:
    @staticmethod
    def sub(_: str, text: str) -> str:
        return f"mine-{text}"


async def main() -> None:
    connection = await asyncpg.connect(host=SOCKETS, port=PORT, user="shop", database="postgres")
    await statements(connection)
    await connection.close()
    other = await asyncpg.connect(host="127.0.0.1", port=PORT, user="shop", database="template1")
    await note("other server", lambda: other.fetchval("SELECT 1"))
    instrumentor._leading_comment_remover = Remover
    await note("own remover", lambda: other.fetchval("SELECT 1"))
    await other.close()
    await note("closed", lambda: other.fetchval("SELECT 1"))
    pool = await asyncpg.create_pool(host="127.0.0.1", port=PORT, user="shop", database="postgres", min_size=1)
    async with pool:
        await note("pool", lambda: pool.fetchval("SELECT 1"))
        async with pool.acquire() as pooled:
            await note("pooled", lambda: pooled.fetch("SELECT 2"))


asyncio.run(main())
instrumentor.uninstrument()
print_recorded(
    execute=contrib.AsyncPGInstrumentor._do_execute,
    cursor=contrib.AsyncPGInstrumentor._do_cursor_execute,
    prepared=contrib.AsyncPGInstrumentor._do_prepared_execute,
    attributes=contrib._hydrate_span_from_args,
)
