"""Tasks of many kinds, published to a broker in memory and run as a worker runs them."""

from __future__ import annotations

import sys
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded import print_recorded, seen, set_up

OPTIONS = sys.argv[1:]
set_up(ALWAYS_OFF if "unsampled" in OPTIONS else None)

import celery  # noqa: E402
from celery.app.task import Context  # noqa: E402
from celery.app.trace import build_tracer  # noqa: E402
from celery.exceptions import Ignore  # noqa: E402
from kombu import Exchange, Queue  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import celery as contrib  # noqa: E402
from opentelemetry.propagate import inject  # noqa: E402

contrib.CeleryInstrumentor().instrument(use_span_links="links" in OPTIONS)
app = celery.Celery("shop", broker="memory://", backend="cache+memory://")
app.conf.task_queues = [Queue("fan", Exchange("fan", type="topic"), routing_key="fan.#"), Queue("celery")]


@app.task(name="order")
def order(number: int) -> int:
    span = trace.get_current_span()
    seen.append(["order", number, span.is_recording()])
    if number < 0:
        raise ValueError("on purpose")
    return number


@app.task(name="later", bind=True, max_retries=1)
def later(self: Any) -> None:
    raise self.retry(exc=KeyError("later"), countdown=5)


@app.task(name="expected", throws=(LookupError,))
def expected() -> None:
    raise LookupError("expected")


@app.task(name="ignored")
def ignored() -> None:
    raise Ignore


@app.task(name="outer")
def outer() -> None:
    order.apply_async((7,), task_id="of-outer")


def run(name: str, identifier: str, *args: object, **changes: object) -> None:
    message = {
        "id": identifier,
        "root_id": identifier,
        "task": name,
        "lang": "py",
        "origin": "gen42@shop",
        "hostname": "celery@shop",
        "reply_to": "2d4f3a1b",
        "correlation_id": identifier,
        "retries": 0,
        "timelimit": (None, None),
        "delivery_info": {"exchange": "", "routing_key": "celery", "priority": 0, "redelivered": False},
        **changes,
    }
    message = {key: value for key, value in message.items() if value is not None}
    outcome = build_tracer(name, app.tasks[name], app=app)(identifier, args, {}, message)
    seen.append([name, identifier, repr(outcome.retval)[:40]])


carrier: dict[str, str] = {}
with trace.get_tracer("test").start_as_current_span("outside"):
    inject(carrier)
for number, changes in enumerate(
    (
        {},
        carrier,
        {"timelimit": (None, 10)},
        {"timelimit": [None, None]},
        {"timelimit": [5, 10], "retries": 2},
        {"delivery_info": {"routing_key": None}},
        {"delivery_info": None, "origin": "", "reply_to": ""},
        {"expires": "2030-01-01T00:00:00", "eta": "2020-01-01T00:00:00", "priority": 3, "queue": "fan", "state": "x"},
        {
            "hostname": None,
            "compression": "gzip",
            "serializer": "json",
            "exchange": "e",
            "routing_key": "r",
            "countdown": 0,
        },
    )
):
    run("order", f"id-{number}", number, **changes)
run("order", "failing", -1)
run("later", "retried")
run("expected", "expected")
run("ignored", "ignored")
run("outer", "outer")
with trace.get_tracer("test").start_as_current_span("publisher"):
    order.apply_async((1,), task_id="published")
    order.apply_async((1,), task_id="fan", queue="fan", routing_key="fan.out", countdown=3, priority=2, expires=60)
    order.apply_async((1,), task_id="limits", time_limit=10, soft_time_limit=5, serializer="json", compression="gzip")
    app.send_task("unknown", task_id="of-another-program")
    app.send_task("order", task_id="by-name", retries=1)
order.apply((3,), task_id="applied")

# As nothing sends them.
instrumentor = contrib.CeleryInstrumentor()
for arguments in (
    {},
    {"task": order},
    {"task_id": "no task"},
    {"sender": "order"},
    {"sender": "order", "body": {"id": "b"}},
):
    instrumentor._trace_prerun(**arguments)
    instrumentor._trace_before_publish(**arguments)
    instrumentor._trace_after_publish(**arguments)


class OwnContext(Context):
    def get(self, key: str, default: object = None) -> object:
        return f"my {key}" if key in ("id", "queue") else default


for own in (
    OwnContext(id="x", hostname="y"),
    Context(id="x", custom="z"),
    {"declare": [Queue("d", Exchange("d", type="direct"))]},
):
    with trace.get_tracer("test").start_as_current_span("by hand") as span:
        contrib.utils.set_attributes_from_context(span, own)
print_recorded(
    attributes=contrib.utils.set_attributes_from_context,
    prerun=contrib.CeleryInstrumentor._trace_prerun,
    publish=contrib.CeleryInstrumentor._trace_before_publish,
)
