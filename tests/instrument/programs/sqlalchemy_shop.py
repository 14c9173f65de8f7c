"""Statements of many kinds through SQLAlchemy, with sqlite3 and with drivers made up for what sqlite3 has not."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded import print_recorded, seen, set_up

OPTIONS = sys.argv[1:]
set_up(ALWAYS_OFF if "unsampled" in OPTIONS else None)

import sqlalchemy  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import sqlalchemy as contrib  # noqa: E402
from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

options: dict[str, Any] = {
    "enable_commenter": "commenter" in OPTIONS,
    "enable_attribute_commenter": "attribute commenter" in OPTIONS,
}
contrib.SQLAlchemyInstrumentor().instrument(**options)


INFOS = [
    SimpleNamespace(dbname="shop", host="db.example", port="5432"),
    SimpleNamespace(dbname="other", host="/var/run/postgresql", port="5432"),
    SimpleNamespace(dbname="", host=None, port=None),
    None,
]
ENGINES: list[tuple[str, dict[str, Any]]] = [
    ("sqlite://", {}),
    ("sqlite:///:memory:", {"logging_name": "engine", "pool_logging_name": "pool"}),
]


def execute(engine: Any, statement: str, *parameters: Any) -> None:
    try:
        with engine.connect() as opened:
            result = opened.exec_driver_sql(statement, *parameters)
            seen.append([statement[:20], result.rowcount])
            opened.commit()
    except Exception as error:
        seen.append([statement[:20], type(error).__name__])


def run(engine: Any) -> None:
    execute(engine, "create table if not exists item (id integer, name text)")
    execute(engine, "insert into item values (?, ?)", (1, "a"))
    execute(engine, "insert into item values (?, ?)", [(2, "b"), (3, "c")])
    for statement in (
        "select * from item",
        "  select 1",
        "/* comment */ select 1",
        "/* one */ /* two */ select 1",
        " /* after */ select 1",
        "-- comment\nselect 1",
        "",
        "   ",
        "/* only a comment */",
        "selectx",
        "select 'caf\xe9'",
    ):
        execute(engine, statement)


for url, more in ENGINES:
    engine = sqlalchemy.create_engine(url, **more)
    run(engine)
    with suppress_instrumentation():
        execute(engine, "select 1")
    execute(engine.execution_options(isolation_level="AUTOCOMMIT"), "select 2")
    with trace.get_tracer("test").start_as_current_span("outer"), Session(engine) as session:
        session.execute(sqlalchemy.text("select 3"))
        seen.append(session.scalar(sqlalchemy.select(sqlalchemy.literal(4))))
    engine.dispose()

# Engines of other kinds, of which a listener of contrib's is called as SQLAlchemy calls it.
for vendor in ("postgresql", "psycopg2", "mysql", "mssql", "oracle", "SQLServer", "cockroachdb"):
    for address in ("postgresql://user:secret@db.example:5432/shop", "postgresql://", "postgresql:///shop"):
        for number, info in enumerate(INFOS):
            with suppress_instrumentation():
                real = sqlalchemy.create_engine("sqlite://")
            real.dialect.name = vendor
            tracer = contrib.EngineTracer(trace.get_tracer("by hand"), real, SimpleNamespace(add=print))
            connected = SimpleNamespace(
                info=info, db=b"raw" if number else "text", **({"database": "named"} if number > 1 else {})
            )
            cursor = SimpleNamespace(connection=connected)
            conn = SimpleNamespace(engine=SimpleNamespace(url=sqlalchemy.make_url(address)))
            for statement in ("select 1", "", None, b"select 1", "/**/ update x"):
                executed = SimpleNamespace(_otel_span=None)
                try:
                    tracer._before_cur_exec(conn, cursor, statement, (), executed, False)
                except Exception as error:
                    seen.append([vendor, address, number, repr(error)])
                else:
                    executed._otel_span.end()
                # Asked for with each statement.
                cursor.connection = SimpleNamespace(info=info, db="later")


async def asynchronous() -> None:
    try:
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine("sqlite+aiosqlite://")
    except ImportError as error:
        seen.append(str(error))
        return
    async with engine.connect() as opened:
        await opened.execute(sqlalchemy.text("select 1"))


asyncio.run(asynchronous())
contrib.SQLAlchemyInstrumentor().uninstrument()
execute(sqlalchemy.create_engine("sqlite://"), "select 1")
print_recorded(
    before=contrib.EngineTracer._before_cur_exec,
    name=contrib.EngineTracer._operation_name,
    idle=contrib.EngineTracer._add_idle_to_connection_usage,
    connect=contrib._wrap_connect,
)
