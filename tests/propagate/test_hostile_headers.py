"""Headers that an attacker sends: no exception, and a time that does not grow with the square of their length."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.wsgi import wsgi_getter

from .sides import logged

TRACE_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

pytestmark = pytest.mark.sanitize

HEADERS: dict[str, Callable[[int], str]] = {
    "blanks": lambda size: " " * size,
    "tabs between": lambda size: "k=v" + "\t" * (size - 6) + "l=w",
    "blanks of a property": lambda size: "k=v;" + " " * (size // 2) + "x" + " " * (size // 2 - 6) + "x",
    "later version": lambda size: f"cc{TRACE_PARENT[2:]}-{' ' * size}\nx",
    "commas": lambda size: "," * size,
    "escapes": lambda size: "k=" + "%ff" * (size // 3),
    "members": lambda size: "a=b," * (size // 4),
    "equal signs": lambda size: "=" * size,
    "no ASCII": lambda size: "é" * size,
    "nul": lambda size: "\0" * size,
}


def extract(header: str) -> float:
    environ = {"HTTP_TRACEPARENT": header, "HTTP_TRACESTATE": header, "HTTP_BAGGAGE": header}
    only_state = {**environ, "HTTP_TRACEPARENT": TRACE_PARENT}
    begin = time.thread_time()
    with logged():
        for each in (environ, only_state):
            assert type(propagate.extract(each, getter=wsgi_getter)) is Context
    return time.thread_time() - begin


# The stock propagators take 0.3 s for 8 KiB of blanks in `baggage`, and 1 s for a `traceparent` of a later version.
@pytest.mark.parametrize("header", sorted(HEADERS))
@pytest.mark.parametrize(("size", "seconds"), [(8190, 0.05), (500_000, 0.2)], ids=["8190", "500000"])
def test_a_hostile_header_is_read_at_once(header: str, size: int, seconds: float) -> None:
    # A debug build under AddressSanitizer takes some 0.05 s for half a million characters.
    assert min(extract(HEADERS[header](size)) for _ in range(3)) < seconds


def test_lone_surrogates_are_ignored_and_said() -> None:
    with logged() as lines:
        assert propagate.extract({"traceparent": "\ud800", "baggage": "k=\ud800"}) == {}
    assert lines == [("otel_rs.trace", 30, "A baggage header with lone surrogates was ignored")]


def test_a_trace_goes_on_without_a_tracestate_of_lone_surrogates() -> None:
    # In a log line they would stop pytest-xdist.
    logging.disable(logging.CRITICAL)
    try:
        context = propagate.extract({"traceparent": TRACE_PARENT, "tracestate": "\ud800"})
    finally:
        logging.disable(logging.NOTSET)
    parent = trace.get_current_span(context).get_span_context()
    assert (parent.is_valid, parent.trace_state) == (True, {})
