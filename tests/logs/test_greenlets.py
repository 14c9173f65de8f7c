"""Greenlets that take turns while their lines are under way."""

from __future__ import annotations

import logging

import pytest

from otel_rs.trace import TracerProvider

from .conftest import Delivery

greenlet = pytest.importorskip("greenlet")


class TakesTurns:
    """Another greenlet goes on while its text is made."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        greenlet.getcurrent().parent.switch()
        return self._name


def test_lines_of_greenlets_arrive_with_the_spans_of_each(app: logging.Logger, delivery: Delivery) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    spans: dict[str, int] = {}

    def work(name: str) -> None:
        with tracer.start_as_current_span(name) as span:
            spans[name] = span.get_span_context().span_id
            app.info("%s", TakesTurns(name), extra={"text": TakesTurns(name)})

    both = [greenlet.greenlet(lambda name=name: work(name)) for name in ("first", "second")]
    while not all(each.dead for each in both):
        for each in both:
            each.switch()
    found = {record.body.string_value: int.from_bytes(record.span_id, "big") for record in delivery.records()}
    assert found == spans


def test_what_a_thread_says_after_its_greenlets_is_said_by_the_right_logger(
    app: logging.Logger, delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (greenlet.greenlet(lambda name=name: app.info("%s", TakesTurns(name))) for name in "ab")
    # The first ends before the second, which began within it.
    for each in (first, second, first, second):
        each.switch()
    assert delivery.bodies() == ["a", "b"]
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("span") as span:
        span.set_attribute("", 1)
    assert [record.name for record in caplog.records] == ["otel_rs.trace"]
