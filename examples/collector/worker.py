"""A worker that reads orders, one JSON object a line, from a file or from standard input, and makes a trace of each."""

import fileinput
import json
import time

from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, get_tracer

tracer = get_tracer("worker")


def charge(order: dict) -> None:
    with tracer.start_as_current_span("charge", kind=SpanKind.CLIENT, attributes={"card": order["card"]}):
        if order["card"] == "expired":
            raise ValueError("the card has expired")


def pack(order: dict) -> None:
    with tracer.start_as_current_span("pack") as span:
        span.set_attribute("items", order["items"])


def handle(order: dict) -> None:
    # The order's span begins when the shop put it into the queue, and is in the shop's trace.
    queued = time.time_ns() - order["waited_ms"] * 1_000_000
    with tracer.start_as_current_span(
        "order",
        context=extract(order),
        kind=SpanKind.CONSUMER,
        start_time=queued,
        attributes={"order.number": order["number"]},
    ):
        charge(order)
        pack(order)


with fileinput.input() as lines:
    for line in lines:
        order = json.loads(line)
        try:
            handle(order)
        except ValueError as error:
            print(f"order {order['number']}: {error}", flush=True)
