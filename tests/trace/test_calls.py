"""Calls of the hot methods, in every form that Python has: arguments by place, by name, and wrong ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.trace import get_current_span

from otel_rs import _native

pytestmark = pytest.mark.sanitize


def made_at_run_time(name: str) -> str:
    """An equal text that is not the interned one."""
    return "".join(list(name))


SET_ATTRIBUTE: dict[str, Callable[[Any], Any]] = {
    "by place": lambda span: span.set_attribute("key", "value"),
    "by name": lambda span: span.set_attribute(key="key", value="value"),
    "in the other order": lambda span: span.set_attribute(value="value", key="key"),
    "one by place": lambda span: span.set_attribute("key", value="value"),
    "by names made at run time": lambda span: span.set_attribute(
        **{made_at_run_time("value"): "value", made_at_run_time("key"): "key"}
    ),
    "through the class": lambda span: type(span).set_attribute(span, "key", "value"),
    "bound": lambda span: (lambda bound: bound("key", "value"))(span.set_attribute),
}


@pytest.mark.parametrize("call", SET_ATTRIBUTE.values(), ids=SET_ATTRIBUTE)
def test_set_attribute_in_every_form(tracer: Any, call: Callable[[Any], Any]) -> None:
    span = tracer.start_span("span")
    assert call(span) is None
    assert dict(span.attributes) == {"key": "value"}


WRONG: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "no value": (lambda _, span: span.set_attribute("key"), r"set_attribute\(\) missing 1 required .*: 'value'"),
    "three": (lambda _, span: span.set_attribute("a", "b", "c"), r"set_attribute\(\) takes 2 .* but 3 were given"),
    "twice": (lambda _, span: span.set_attribute("a", key="b"), r"multiple values for argument 'key'"),
    "unknown": (lambda _, span: span.set_attribute("a", "b", c=1), r"unexpected keyword argument 'c'"),
    "no name": (lambda tracer, _: tracer.start_span(), r"start_span\(\) missing 1 required .*: 'name'"),
    "a name twice": (lambda tracer, _: tracer.start_as_current_span("a", name="b"), r"multiple values .* 'name'"),
    "nine": (lambda tracer, _: tracer.start_span(*range(9)), r"start_span\(\) takes from 1 to 8 .* but 9 were given"),
    "ten": (lambda tracer, _: tracer.start_as_current_span(*range(10)), r"takes from 1 to 9 .* but 10 were given"),
    "unknown to tracers": (lambda tracer, _: tracer.start_span("a", b=1), r"unexpected keyword argument 'b'"),
    "another object": (lambda _, span: _native.Span.set_attribute(object(), "a", 1), r"'object' object"),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_named(tracer: Any, call: Callable[[Any, Any], Any], words: str) -> None:
    span = tracer.start_span("span")
    with pytest.raises(TypeError, match=words):
        call(tracer, span)
    assert span.is_recording()


class Undecided:
    def __bool__(self) -> bool:
        raise RuntimeError("undecided")


@pytest.mark.parametrize("flag", ["record_exception", "set_status_on_exception", "end_on_exit"])
def test_a_flag_that_raises_is_the_callers_error(tracer: Any, flag: str) -> None:
    with pytest.raises(RuntimeError, match="undecided"):
        tracer.start_as_current_span("span", **{flag: Undecided()})


EXIT: dict[str, Callable[[Any, BaseException], Any]] = {
    "by place": lambda block, error: block.__exit__(type(error), error, error.__traceback__),
    "two": lambda block, error: block.__exit__(type(error), error),
    "by name": lambda block, error: block.__exit__(type(error), exception=error),
}


@pytest.mark.parametrize("leave", EXIT.values(), ids=EXIT)
def test_a_block_is_left_in_every_form(tracer: Any, leave: Callable[[Any, BaseException], Any]) -> None:
    block = tracer.start_as_current_span("span")
    span = block.__enter__()
    assert get_current_span() is span
    assert leave(block, ValueError("wrong")) is False
    assert get_current_span() is not span
    assert [event.name for event in span.events] == ["exception"]
    block = tracer.start_as_current_span("span")
    span = block.__enter__()
    assert block.__exit__() is False
    assert not span.events


@pytest.mark.parametrize(
    ("method", "names"),
    [
        (_native.Span.set_attribute, ["self", "key", "value"]),
        (_native.Tracer.start_span, ["self", "name", "context", "kind", "attributes", "links", "start_time"]),
        (_native.CurrentSpan.__exit__, ["self", "_kind", "exception", "_traceback"]),
    ],
)
def test_signatures_are_told(method: Any, names: list[str]) -> None:
    assert list(inspect.signature(method).parameters)[: len(names)] == names
