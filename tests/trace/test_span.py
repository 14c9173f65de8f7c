"""A span as the application writes it: what it accepts, what it logs, and that it never raises."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from ..support.receiver import DEADLINE_SECONDS
from ..support.span_programs import LOCAL

pytestmark = pytest.mark.sanitize

# --- Ended spans -----------------------------------------------------------------------------------------------------

LATE_WRITES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "set_attribute": (lambda s: s.set_attribute("a", 1), "Setting attribute on ended span."),
    "set_attribute, no plain value": (lambda s: s.set_attribute("a", [1]), "Setting attribute on ended span."),
    "set_attributes": (lambda s: s.set_attributes({"a": 1}), "Setting attribute on ended span."),
    "add_event": (lambda s: s.add_event("event"), "Tried calling _add_event on an ended span."),
    "add_link": (lambda s: s.add_link(LOCAL), "Tried calling _add_link on an ended span."),
    "record_exception": (lambda s: s.record_exception(ValueError()), "Tried calling _add_event on an ended span."),
    "set_status": (lambda s: s.set_status(StatusCode.ERROR), "Tried calling set_status on an ended span."),
    "set_status object": (lambda s: s.set_status(Status(StatusCode.OK)), "Tried calling set_status on an ended span."),
    "update_name": (lambda s: s.update_name("late"), "Tried calling update_name on an ended span."),
    "end": (lambda s: s.end(), "Calling end() on an ended span."),
}


@pytest.mark.parametrize(("write", "line"), LATE_WRITES.values(), ids=LATE_WRITES.keys())
def test_a_write_after_the_end_warns_and_changes_nothing(either: Any, log: Any, write: Any, line: str) -> None:
    span = either.start_span("span", attributes={"kept": 1})
    span.end(5)
    before = span.to_json()
    log()
    write(span)
    assert log() == [line]
    assert span.to_json() == before
    assert (span.dropped_attributes, span.dropped_events, span.dropped_links) == (0, 0, 0)


def test_an_invalid_key_after_the_end_changes_nothing(either: Any) -> None:
    span = either.start_span("span")
    span.end()
    span.set_attribute("", 1)
    assert span.dropped_attributes == 0


def test_is_recording_until_the_end(either: Any) -> None:
    span = either.start_span("span")
    assert span.is_recording()
    span.end()
    assert not span.is_recording()


def test_start_on_a_started_span_warns(either: Any, log: Any) -> None:
    span = either.start_span("span", start_time=5)
    log()
    span.start(7)
    assert log() == ["Calling start() on a started span."]
    assert span.start_time == 5


def test_a_span_cannot_be_constructed_directly() -> None:
    from otel_rs.trace import Span

    with pytest.raises(TypeError, match="Span must be instantiated via a tracer"):
        Span("name", LOCAL)


# --- Keyword names ---------------------------------------------------------------------------------------------------


def test_every_parameter_can_be_named(either: Any) -> None:
    span = either.start_span(
        name="span",
        context=None,
        kind=SpanKind.CLIENT,
        attributes={},
        links=[],
        start_time=1,
        record_exception=True,
        set_status_on_exception=True,
    )
    span.set_attribute(key="a", value=1)
    span.set_attributes(attributes={"b": 2})
    span.add_event(name="event", attributes={"c": 3}, timestamp=2)
    span.add_link(context=LOCAL, attributes={"d": 4})
    span.record_exception(exception=ValueError("x"), attributes={"e": 5}, timestamp=3, escaped=True)
    span.set_status(status=StatusCode.ERROR, description="text")
    span.update_name(name="renamed")
    span.end(end_time=4)
    assert (span.name, span.start_time, span.end_time) == ("renamed", 1, 4)
    assert dict(span.attributes) == {"a": 1, "b": 2}
    assert [event.timestamp for event in span.events] == [2, 3]


@pytest.mark.parametrize("truth", [1, 0, None, "", "yes"])
def test_flags_are_converted_to_bool(either: Any, truth: Any) -> None:
    with (
        pytest.raises(ValueError, match="x"),
        either.start_as_current_span(
            "span", record_exception=truth, set_status_on_exception=truth, end_on_exit=truth
        ) as span,
    ):
        raise ValueError("x")
    assert len(span.events) == (1 if truth else 0)
    assert span.is_recording() == (not truth)


# --- Bad values: nothing raises, and the span and its batch are exported ---------------------------------------------


class RaisesInStr:
    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error or RuntimeError("from __str__")

    def __str__(self) -> str:
        raise self._error


class RaisesInBool:
    def __bool__(self) -> bool:
        raise RuntimeError("from __bool__")


class RaisesInItems(dict):
    def items(self) -> Any:
        raise RuntimeError("from items")


class RaisesInHash(str):
    def __hash__(self) -> int:
        raise RuntimeError("from __hash__")


def cyclic_list() -> list:
    cycle: list = []
    cycle.append(cycle)
    return cycle


def cyclic_mapping() -> dict:
    cycle: dict = {}
    cycle["self"] = cycle
    return cycle


def nested(depth: int) -> Any:
    value: Any = "innermost"
    for _ in range(depth):
        value = [value]
    return value


def nested_mapping(depth: int) -> Any:
    value: Any = "innermost"
    for _ in range(depth):
        value = {"k": value}
    return value


def self_changing_dict() -> dict:
    changing: dict = {}

    class Changes:
        def __str__(self) -> str:
            changing.clear()
            changing.update((str(number), number) for number in range(100))
            return "changed"

    changing.update(a=1, b=Changes(), c=3)
    return changing


HOSTILE: dict[str, Callable[[], Any]] = {
    "raises in __str__": RaisesInStr,
    "raises in __str__ in a list": lambda: ["a", RaisesInStr()],
    "raises in __str__ in a mapping": lambda: {"a": RaisesInStr()},
    "raises in items": lambda: RaisesInItems(a=1),
    "cyclic list": cyclic_list,
    "cyclic mapping": cyclic_mapping,
    "1,000 levels of lists": lambda: nested(1000),
    "1,000 levels of mappings": lambda: nested_mapping(1000),
    "100 levels": lambda: nested(100),
    "31 levels": lambda: nested(31),
    "40 levels of mappings": lambda: nested_mapping(40),
    "100,000 levels": lambda: nested(100_000),
    "huge integer": lambda: 2**64,
    "integer of 10,000 digits": lambda: 10**10_000,
    "minus huge integer": lambda: -(2**63) - 1,
    "lone surrogates": lambda: "a\ud800b\udfffc",
    "lone surrogate in a list": lambda: ["\ud800", "fine"],
    "lone surrogate in a key": lambda: {"\ud800": 1},
    "changes its mapping": self_changing_dict,
    "a generator": lambda: (number for number in range(3)),
    "a generator that raises": lambda: (1 / 0 for _ in range(3)),
    "a module": lambda: sys,
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_bad_attribute_value_affects_only_itself(
    make: Callable[[], Any], http_receiver: Any, provider_to: Any
) -> None:
    provider = provider_to(http_receiver)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("hostile", attributes={"plain": 1, "initial": make()}) as span:
        span.set_attribute("set", make())
        span.set_attributes({"more": 2, "mapped": make()})
        span.add_event("event", {"key": make(), "plain": 3})
        span.add_link(LOCAL, {"key": make(), "plain": 4})
    tracer.start_span("after").end()
    assert provider.force_flush()
    hostile, after = http_receiver.spans()
    assert (hostile.name, after.name) == ("hostile", "after")
    assert {a.key: a.value.int_value for a in hostile.attributes if a.key in ("plain", "more")} == {
        "plain": 1,
        "more": 2,
    }
    assert [a.value.int_value for a in hostile.events[0].attributes if a.key == "plain"] == [3]
    assert [a.value.int_value for a in hostile.links[0].attributes if a.key == "plain"] == [4]


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_bad_value_as_any_other_argument_does_no_harm(make: Callable[[], Any], tracer: Any, memory: Any) -> None:
    value = make()
    span = tracer.start_span("span", attributes=value, links=[])
    span.set_attributes(value)
    span.set_attribute(value, 1)
    span.add_event(value, value, value)
    span.add_link(LOCAL, value)
    span.set_status(StatusCode.ERROR, value)
    span.set_status(value)
    span.record_exception(value)
    span.record_exception(ValueError(value), {"a": value})
    span.update_name(value)
    span.end(value)
    assert len(memory.get_finished_spans()) == 1


def test_a_span_with_a_bad_name_and_time_is_exported(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    tracer = provider.get_tracer("test")
    names = [1, None, b"bytes", "\ud800", RaisesInStr(), ["a"]]
    for name in names:
        tracer.start_span(name).end()
    for time in (-1, 2**64, 1.5, float("nan"), float("inf"), "now", RaisesInStr(), [], True):
        tracer.start_span("time", start_time=time).end(time)
    assert provider.force_flush()
    assert len(http_receiver.spans()) == len(names) + 9
    assert [span.name for span in http_receiver.spans()][:4] == ["1", "", "bytes", "\ufffd"]


def test_huge_integers_are_sent_as_decimal_text_and_surrogates_replaced(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    with provider.get_tracer("test").start_as_current_span("name \ud800") as span:
        span.set_attribute("big", 2**63)
        span.set_attribute("small", -(2**63) - 1)
        span.set_attribute("text", "a\ud800b")
        span.set_attribute("key\ud800", 1)
        span.set_status(StatusCode.ERROR, "status \ud800")
        span.add_event("event \ud800")
    assert provider.force_flush()
    (span,) = http_receiver.spans()
    values = {a.key: a.value for a in span.attributes}
    assert values["big"].string_value == str(2**63)
    assert values["small"].string_value == str(-(2**63) - 1)
    for text in (
        span.name.removeprefix("name "),
        values["text"].string_value[1:-1],
        span.status.message.removeprefix("status "),
        span.events[0].name.removeprefix("event "),
        next(key for key in values if key.startswith("key")).removeprefix("key"),
    ):
        assert set(text) <= {"\ufffd", "?"}
        assert text


def test_nesting_up_to_30_levels_is_kept_and_deeper_becomes_text(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    provider.get_tracer("test").start_span("span", attributes={"kept": nested(30), "deep": nested(31)}).end()
    assert provider.force_flush()
    (span,) = http_receiver.spans()

    def innermost(value: Any) -> tuple[int, str]:
        depth = 0
        while value.HasField("array_value"):
            (value,) = value.array_value.values
            depth += 1
        return depth, value.string_value

    kept, deep = (innermost(attribute.value) for attribute in span.attributes)
    assert kept == (30, "innermost")
    assert deep == (30, "...")


def test_a_value_whose_str_starts_and_ends_spans(tracer: Any, memory: Any) -> None:
    class StartsSpans:
        def __str__(self) -> str:
            with tracer.start_as_current_span("inner", attributes={"list": [1]}) as inner:
                inner.set_attribute("more", ["x"])
            return "made spans"

    with tracer.start_as_current_span("outer", attributes={"initial": StartsSpans()}) as span:
        span.set_attribute("set", StartsSpans())
        span.set_attribute("list", [StartsSpans(), "x"])
        span.add_event("event", {"a": StartsSpans()})
    *inner, outer = memory.get_finished_spans()
    assert [span.name for span in inner] == ["inner"] * 4
    assert dict(outer.attributes) == {"initial": "made spans", "set": "made spans", "list": ("made spans", "x")}
    assert all(dict(span.attributes) == {"list": (1,), "more": ("x",)} for span in inner)


def test_a_value_whose_str_writes_to_the_same_span(tracer: Any, memory: Any) -> None:
    class Writes:
        def __str__(self) -> str:
            span.set_attribute("written", 1)
            span.set_attribute("key", "from __str__")
            span.add_event("from __str__")
            span.update_name("from __str__")
            return "last"

    span = tracer.start_span("span")
    span.set_attribute("key", Writes())
    span.set_attributes({"other": Writes()})
    span.add_event("outer", {"a": Writes()})
    span.end()
    assert dict(span.attributes) == {"written": 1, "key": "from __str__", "other": "last"}
    assert [event.name for event in span.events] == ["from __str__"] * 3 + ["outer"]


@pytest.mark.parametrize(
    "write",
    [
        lambda span, value: span.set_attribute("key", value),
        lambda span, value: span.set_attributes({"key": value}),
        lambda span, value: span.add_event("event", {"key": value}),
        lambda span, value: span.add_link(LOCAL, {"key": value}),
        lambda span, value: span.update_name(value),
        lambda span, value: span.record_exception(value),
        lambda span, value: span.end(value),
    ],
    ids=["set_attribute", "set_attributes", "add_event", "add_link", "update_name", "record_exception", "end"],
)
def test_a_value_whose_str_ends_the_same_span(
    write: Callable[[Any, Any], None], http_receiver: Any, provider_to: Any
) -> None:
    class Ends(Exception):
        def __str__(self) -> str:
            if span.is_recording():
                span.end()
            return "text"

    provider = provider_to(http_receiver)
    span = provider.get_tracer("test").start_span("span")
    write(span, Ends())
    if span.is_recording():
        span.end()
    assert provider.force_flush()
    assert len(http_receiver.spans()) == 1


def test_the_destructor_of_a_replaced_value_may_end_the_span(http_receiver: Any, provider_to: Any) -> None:
    """When the span releases a reference, `__del__` can run."""

    class EndsInDel(int):
        def __del__(self) -> None:
            span.set_attribute("from __del__", 1)
            span.end()

    provider = provider_to(http_receiver)
    span = provider.get_tracer("test").start_span("span")
    span.set_attribute("key", EndsInDel(2**70))
    span.set_attribute("key", 1)
    assert not span.is_recording()
    assert provider.force_flush()
    assert len(http_receiver.spans()) == 1


def test_the_destructor_of_a_replaced_name_may_end_the_span(tracer: Any, memory: Any) -> None:
    class EndsInDel(str):
        def __del__(self) -> None:
            span.end()

    span = tracer.start_span(EndsInDel("first"))
    span.update_name("second")
    assert [span.name for span in memory.get_finished_spans()] == ["second"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_during_a_conversion_reaches_the_application(tracer: Any, error: type[BaseException]) -> None:
    span = tracer.start_span("span")
    try:
        with pytest.raises(error):
            span.set_attribute("key", RaisesInStr(error()))
    finally:
        span.end()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_during_a_log_line_reaches_the_application(tracer: Any, error: type[BaseException]) -> None:
    class Interrupted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise error

    logger, handler = logging.getLogger("otel_rs.trace"), Interrupted()
    span = tracer.start_span("span")
    logger.addHandler(handler)
    try:
        with pytest.raises(error):
            span.set_attribute("", 1)
    finally:
        logger.removeHandler(handler)
        span.end()


def test_a_value_whose_conversion_raises_is_dropped_with_one_line(tracer: Any, log: Any) -> None:
    span = tracer.start_span("span")
    log()
    span.set_attribute("key", RaisesInStr())
    lines = log()
    assert len([line for line in lines if "from __str__" in line]) == 1
    assert "key" in lines[-1]
    assert "Traceback" not in "".join(lines)
    assert span.dropped_attributes == 1
    span.end()


@pytest.mark.parametrize("attributes", [1, "text", [1], [("a", 1)], object(), None])
def test_attributes_that_are_not_a_mapping_are_ignored(tracer: Any, memory: Any, attributes: Any) -> None:
    with tracer.start_as_current_span("span", attributes=attributes) as span:
        span.set_attributes(attributes)
        span.add_event("event", attributes)
    (span,) = memory.get_finished_spans()
    assert not span.attributes
    assert not span.events[0].attributes


@pytest.mark.parametrize("status", [None, 1, "OK", object()])
def test_an_invalid_status_is_ignored(either: Any, status: Any) -> None:
    span = either.start_span("span")
    span.set_status(status)
    span.end()
    assert span.status.status_code is StatusCode.UNSET


def test_links_after_a_bad_one_are_kept(tracer: Any, memory: Any) -> None:
    from opentelemetry.trace import Link

    tracer.start_span("span", links=[Link(LOCAL), "no link", Link(LOCAL)]).end()
    (span,) = memory.get_finished_spans()
    assert len(span.links) == 2


def test_links_that_are_none_or_not_a_sequence_do_no_harm(tracer: Any, memory: Any) -> None:
    for links in (None, [None], 5, ["text"], [object()], {}):
        tracer.start_span("span", links=links).end()
    assert [len(span.links) for span in memory.get_finished_spans()] == [0] * 6


def test_a_link_to_ids_out_of_range_does_no_harm(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    span = provider.get_tracer("test").start_span("span")
    span.add_link(SpanContext(2**130, 2**70, False))
    span.add_link(SpanContext(-1, -1, False))
    span.add_link("no context")
    span.add_link(LOCAL)
    span.end()
    assert provider.force_flush()
    (span,) = http_receiver.spans()
    assert span.links[-1].span_id == LOCAL.span_id.to_bytes(8, "big")


def test_an_exception_whose_str_raises_propagates_and_the_span_ends(tracer: Any, memory: Any) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(Unprintable), tracer.start_as_current_span("span"):
        raise Unprintable
    (span,) = memory.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


# --- Threads and memory ----------------------------------------------------------------------------------------------


def test_many_threads_write_one_span(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(
        http_receiver,
        span_limits=sdk.SpanLimits(max_span_attributes=sdk.SpanLimits.UNSET, max_events=sdk.SpanLimits.UNSET),
    )
    span = provider.get_tracer("test").start_span("span")
    start = threading.Barrier(8)

    def write(thread: int) -> None:
        start.wait(DEADLINE_SECONDS)
        for number in range(200):
            span.set_attribute(f"{thread} {number}", number)
            span.set_attribute("shared", [thread, number])
            span.add_event("event", {"number": number})
            span.attributes  # noqa: B018
            span.update_name(str(number))

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    span.end()
    assert provider.force_flush()
    (span,) = http_receiver.spans()
    assert len(span.events) == 1600
    assert len(span.attributes) == 1601
    assert {a.key: a.value.int_value for a in span.attributes if a.key != "shared"} == {
        f"{thread} {number}": number for thread in range(8) for number in range(200)
    }


def test_only_one_of_many_threads_ends_a_span(tracer: Any, memory: Any) -> None:
    for _ in range(50):
        span = tracer.start_span("span")
        start = threading.Barrier(4)

        def end(span: Any = span, start: threading.Barrier = start) -> None:
            start.wait(DEADLINE_SECONDS)
            span.end()

        threads = [threading.Thread(target=end) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
    assert len(memory.get_finished_spans()) == 50


@pytest.fixture
def collected() -> Callable[[weakref.ref], bool]:
    gc.collect()

    def is_gone(reference: weakref.ref) -> bool:
        gc.collect()
        return reference() is None

    return is_gone


def test_an_ended_span_is_not_kept_alive(http_receiver: Any, provider_to: Any, collected: Any) -> None:
    tracer = provider_to(http_receiver).get_tracer("test")
    with tracer.start_as_current_span("span") as span:
        reference = weakref.ref(span)
    del span
    assert collected(reference)


def test_a_span_in_a_cycle_with_itself_is_collected(http_receiver: Any, provider_to: Any, collected: Any) -> None:
    span = provider_to(http_receiver).get_tracer("test").start_span("span")
    span.myself = span
    span.end()
    reference = weakref.ref(span)
    del span
    assert collected(reference)


def test_a_span_in_a_cycle_with_one_of_its_values_is_collected(tracer: Any, collected: Any) -> None:
    class Huge(int):
        pass

    span = tracer.start_span("span")
    value = Huge(2**64)
    value.span = span
    span.set_attribute("key", value)
    reference = weakref.ref(span)
    del span, value
    assert collected(reference)


def test_setting_attributes_without_end_does_not_grow_the_span(tracer: Any) -> None:
    import tracemalloc

    span = tracer.start_span("span")
    tracemalloc.start()
    try:
        for number in range(20_000):
            span.set_attribute("key", 2**64 + number)
            span.set_attribute(f"key{number % 10}", "x" * 100)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 1_000_000
    assert len(span.attributes) == 11
    span.end()


# --- Values that expand, interrupts, nested blocks -------------------------------------------------------------------


def test_shared_containers_that_expand_without_bound_are_dropped(tracer: Any, log: Any) -> None:
    value: list[Any] = [1]
    for _ in range(100):
        value = [value, value]
    with tracer.start_as_current_span("span") as span:
        span.set_attribute("unfolds", value)
        span.set_attribute("plain", 1)
    assert dict(span.attributes) == {"plain": 1}
    assert span.dropped_attributes == 1
    assert any("more than" in line for line in log())


def test_a_list_that_contains_itself_is_cut_there(tracer: Any) -> None:
    value: list[Any] = [1]
    value += [value, value]
    span = tracer.start_span("span")
    span.set_attribute("self", value)
    assert span.attributes["self"] == (1, "...", "...")


def test_an_interrupt_while_a_trace_state_is_encoded_reaches_the_application(provider_to: Any, receiver: Any) -> None:
    class Interrupted(TraceState):
        def to_header(self) -> str:
            raise KeyboardInterrupt

    context = SpanContext(1, 2, True, TraceFlags(TraceFlags.SAMPLED), Interrupted([("a", "b")]))
    provider = provider_to(receiver)
    parent = set_span_in_context(NonRecordingSpan(context))
    span = provider.get_tracer("test").start_span("span", parent)
    with pytest.raises(KeyboardInterrupt):
        span.end()
    assert provider.force_flush()
    assert [span.name for span in receiver.spans()] == ["span"]


def test_an_interrupt_in_one_processor_does_not_skip_the_next(provider: Any) -> None:
    class Interrupts(SpanProcessor):
        def on_end(self, span: Any) -> None:
            raise KeyboardInterrupt

    class Works(SpanProcessor):
        finished = False

        def on_end(self, span: Any) -> None:
            span.set_attribute("", "a call that looks for interrupts")
            self.finished = True

    works = Works()
    provider.add_span_processor(Interrupts())
    provider.add_span_processor(works)
    with pytest.raises(KeyboardInterrupt):
        provider.get_tracer("test").start_span("span").end()
    assert works.finished


def test_a_processor_cannot_enter_the_block_that_is_starting(provider: Any, log: Any) -> None:
    class Enters(SpanProcessor):
        block: Any = None

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if self.block is not None:
                self.block.__enter__()

    enters = Enters()
    provider.add_span_processor(enters)
    before = get_current_span()
    block = enters.block = provider.get_tracer("test").start_as_current_span("span")
    with block as span:
        assert get_current_span() is span
    assert get_current_span() is before
    assert any("entered already" in line for line in log())
