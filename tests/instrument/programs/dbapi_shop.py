"""Statements of many kinds, by sqlite3 and by a driver made up for what sqlite3 has not."""

from __future__ import annotations

import sqlite3
import sys
from types import SimpleNamespace

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded import print_recorded, seen, set_up

set_up(ALWAYS_OFF if "unsampled" in sys.argv else None)

from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import dbapi as contrib  # noqa: E402
from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: E402

OPTIONS = sys.argv[1:]
options = {
    "capture_parameters": "parameters" in OPTIONS,
    "enable_commenter": "commenter" in OPTIONS,
    "enable_attribute_commenter": "attribute commenter" in OPTIONS,
}


class MyTracer(contrib.CursorTracer):
    def get_operation_name(self, cursor: object, args: tuple[object, ...]) -> str:
        return f"my {super().get_operation_name(cursor, args)}"

    def _populate_span(self, span: trace.Span, *args: object) -> None:
        seen.append(["populated", repr(args[1:])])
        super()._populate_span(span, *args)


contrib.trace_integration(sqlite3, "connect", "sqlite", {"database": "database"}, **options)
connection = sqlite3.connect(":memory:")
cursor = connection.cursor()


def execute(*args: object, method: str = "execute") -> None:
    try:
        getattr(cursor, method)(*args)
    except Exception as error:
        seen.append([repr(args), type(error).__name__, str(error)])
    else:
        seen.append([repr(args), cursor.rowcount])


execute("create table item (id integer, name text)")
execute("insert into item values (?, ?)", (1, "a"))
execute("insert into item values (?, ?)", [(2, "b"), (3, "c")], method="executemany")
for statement in (
    "select * from item",
    "  select 1",
    "/* comment */ select 1",
    "/* one */ /* two */ select 1",
    "-- comment\nselect 1",
    "",
    "   ",
    "selectx",
    b"select 1",
    None,
    7,
):
    execute(statement)
execute()
with suppress_instrumentation():
    execute("select 1")
with trace.get_tracer("test").start_as_current_span("outer"):
    execute("select 1")
with connection:
    cursor.execute("select 2").fetchall()
cursor = contrib.TracedCursorProxy(
    SimpleNamespace(execute=lambda *_: "done", callproc=lambda *_: "called", rowcount=4),
    contrib.DatabaseApiIntegration("mine", "made up", **options),
)
seen.append(cursor.execute("UPDATE x SET y = 1", {"y": 1}))
seen.append(cursor.callproc("procedure", (1,)))
cursor._self_cursor_tracer = MyTracer(cursor._self_cursor_tracer._db_api_integration)
seen.append(cursor.execute("DELETE FROM x"))
print_recorded(
    execution=contrib.CursorTracer.traced_execution,
    populate=contrib.CursorTracer._populate_span,
    name=contrib.CursorTracer.get_operation_name,
)
