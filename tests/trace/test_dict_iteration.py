"""Attribute dicts that change while we read them: a garbage collection meanwhile may run any code."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from ..support.interpreter import collects_at_allocations

pytestmark = [pytest.mark.sanitize, collects_at_allocations]

LONE_SURROGATE = "\ud800"


@pytest.fixture(autouse=True)
def usual_collections_afterwards() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


class Changes:
    """An object that changes a dict when it is garbage-collected."""

    def __init__(self, attributes: dict[Any, Any], happened: list[str]) -> None:
        self.itself = self
        self.attributes = attributes
        self.happened = happened

    def __del__(self) -> None:
        self.happened.append("changed")
        self.attributes.clear()
        self.attributes.update({f"new {number}": object.__repr__(self) * 50 for number in range(100)})


@pytest.mark.parametrize("place", ["key", "value"])
@pytest.mark.parametrize("call", ["start_span", "set_attributes", "add_event"])
def test_a_dict_that_changes_while_it_is_read_does_no_harm(tracer: Any, memory: Any, call: str, place: str) -> None:
    happened: list[str] = []
    for at in range(0, 20, 4):
        attributes: dict[Any, Any] = {f"key {number}": f"text {number}" * 20 for number in range(at)}
        # The UnicodeEncodeError that it raises triggers the collection.
        attributes.update({LONE_SURROGATE: "text"} if place == "key" else {"bad": LONE_SURROGATE})
        attributes.update({f"after {number}": f"text {number}" * 20 for number in range(20)})
        span = tracer.start_span("before")
        Changes(attributes, happened)
        gc.set_threshold(1)
        if call == "start_span":
            span = tracer.start_span("changing", attributes=attributes)
        elif call == "set_attributes":
            span.set_attributes(attributes)
        else:
            span.add_event("changing", attributes)
        gc.set_threshold(0)
        span.end()
    assert len(happened) == 5
    assert len(memory.get_finished_spans()) == 5
