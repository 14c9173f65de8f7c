"""Private names of upstream's classes that existing processors use nevertheless."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, SpanProcessor
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, use_span

import otel_rs
from otel_rs.trace import Span, Tracer

OTHER = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))


class Processor(SpanProcessor):
    """Calls the functions that it gets."""

    def __init__(self, on_start: Any = None, on_ending: Any = None, on_end: Any = None) -> None:
        nothing = lambda span: None  # noqa: E731
        self._do = on_start or nothing, on_ending or nothing, on_end or nothing

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self._do[0](span)

    def _on_ending(self, span: Any) -> None:
        self._do[1](span)

    def on_end(self, span: Any) -> None:
        self._do[2](span)


def attributes_of(span: Any) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


@pytest.fixture
def exported(http_receiver: Any, provider_to: Callable[..., Any]) -> Callable[..., Any]:
    """`exported(work, on_start=..., ...)` calls `work` with a span, and exports the span natively."""

    def run(work: Any = None, **callbacks: Any) -> Any:
        provider = provider_to(http_receiver)
        provider.add_span_processor(Processor(**callbacks))
        tracer = provider.get_tracer("scope", "1")
        span = tracer.start_span("span", attributes={"plain": 1, "password": "x"}, links=[Link(OTHER)])
        span.add_event("event", {"secret": "y"})
        if work:
            work(span)
        span.end()
        assert provider.force_flush()
        return span

    return run


# --- Containers ------------------------------------------------------------------------------------------------------


def test_attributes_written_by_the_private_name_are_those_of_the_span(either: Any) -> None:
    span = either.start_span("span", attributes={"a": 1, "b": 2})
    span._attributes["a"] = "changed"
    span.set_attribute("c", 3)
    span.set_attributes({"d": 4})
    del span._attributes["b"]
    assert dict(span.attributes) == {"a": "changed", "c": 3, "d": 4}
    assert isinstance(span._attributes, BoundedAttributes)
    span._attributes.update(e=(1, 2))
    assert span.attributes["e"] == (1, 2)


def test_attributes_cannot_be_set_on_an_ended_span_but_they_can_be_replaced(either: Any) -> None:
    span = either.start_span("span", attributes={"a": 1})
    held = span._attributes
    span.end()
    for attributes in (held, span._attributes):
        with pytest.raises(TypeError):
            attributes["a"] = 2
    span._attributes = {"b": 2}
    assert dict(span.attributes) == {"b": 2}
    assert span.dropped_attributes == 0


def test_attributes_first_read_after_the_end_are_immutable_too(either: Any) -> None:
    span = either.start_span("span", attributes={"a": 1})
    span.end()
    with pytest.raises(TypeError):
        span._attributes["a"] = 2
    span._attributes._dict["a"] = 2
    assert dict(span.attributes) == {"a": 2}


def test_limits_apply_to_attributes_that_a_reader_holds(kind: Any) -> None:
    limits = SpanLimits(max_span_attributes=2, max_span_attribute_length=3)
    span = kind(shutdown_on_exit=False, span_limits=limits).get_tracer("test").start_span("span")
    span.set_attributes({"a": 1, "b": 2, "c": 3})
    assert span._attributes.dropped == 1
    span.set_attribute("d", "long text")
    assert dict(span.attributes) == {"c": 3, "d": "lon"}
    assert span.dropped_attributes == 2


@pytest.mark.parametrize("name", ["events", "links"])
def test_lists_are_bounded_lists_that_grow_with_the_span(either: Any, name: str) -> None:
    span = either.start_span("span")
    add = {"events": lambda: span.add_event("event", {"k": 1}), "links": lambda: span.add_link(OTHER, {"k": 1})}[name]
    add()
    held = getattr(span, f"_{name}")
    add()
    assert isinstance(held, BoundedList)
    assert len(held) == len(getattr(span, name)) == 2
    assert [dict(entry.attributes) for entry in held] == [{"k": 1}] * 2
    assert getattr(span, name)[1] is getattr(span, name)[1] is held[1]
    setattr(span, f"_{name}", ())
    assert getattr(span, name) == ()
    assert getattr(span, f"dropped_{name}") == 0


def test_the_event_limit_applies_to_a_list_that_a_reader_holds(kind: Any) -> None:
    tracer = kind(shutdown_on_exit=False, span_limits=SpanLimits(max_events=2)).get_tracer("test")
    span = tracer.start_span("span")
    for name in ("a", "b", "c"):
        span.add_event(name)
    assert span._events.dropped == 1
    span.add_event("d")
    assert [event.name for event in span.events] == ["c", "d"]
    assert span.dropped_events == 2


def test_attributes_held_while_threads_write_lose_nothing(either: Any) -> None:
    span = either.start_span("span")
    start = threading.Barrier(5)

    def write(number: int) -> None:
        start.wait()
        for i in range(20):
            span.set_attribute(f"{number}.{i}", i)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    start.wait()
    held = span._attributes
    for thread in threads:
        thread.join()
    assert len(held) == len(span.attributes) == 80


# --- On the wire -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("callback", ["on_start", "on_ending", "on_end"])
def test_a_processor_scrubs_an_attribute(exported: Any, http_receiver: Any, callback: str) -> None:
    def scrub(span: Any) -> None:
        span._attributes = BoundedAttributes(attributes={**span.attributes, "password": "***"})

    exported(**{callback: scrub})
    (span,) = http_receiver.spans()
    assert attributes_of(span) == {"plain": 1, "password": "***"}


def test_a_processor_scrubs_in_place_before_the_end(exported: Any, http_receiver: Any) -> None:
    exported(on_ending=lambda span: span._attributes._dict.update(password="***"))
    assert attributes_of(http_receiver.spans()[0]) == {"plain": 1, "password": "***"}


def test_a_processor_scrubs_an_events_attributes(exported: Any, http_receiver: Any) -> None:
    def scrub(span: Any) -> None:
        for event in span.events:
            event._attributes = dict.fromkeys(event.attributes, "***")

    exported(on_end=scrub)
    (event,) = http_receiver.spans()[0].events
    assert (event.name, attributes_of(event)) == ("event", {"secret": "***"})


def test_every_replaced_part_is_sent(exported: Any, http_receiver: Any) -> None:
    def replace(span: Any) -> None:
        span._name = "renamed"
        span._context = SpanContext(0x123, 0x456, is_remote=False, trace_flags=TraceFlags(1))
        span._parent = OTHER
        span._kind = SpanKind.CONSUMER
        span._start_time = 5
        span._end_time = 7
        span._status = Status(StatusCode.ERROR, "bad")
        span._events = [Event("other", {"k": 1}, timestamp=6)]
        span._links = [Link(OTHER, {"l": 2})]
        span._resource = Resource({"service.name": "other"})
        span._instrumentation_scope = InstrumentationScope("other scope", "2")

    exported(on_end=replace)
    (resource_spans,) = http_receiver.requests[0].message.resource_spans
    assert attributes_of(resource_spans.resource) == {"service.name": "other"}
    (scope_spans,) = resource_spans.scope_spans
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("other scope", "2")
    (span,) = scope_spans.spans
    assert span.name == "renamed"
    assert (int.from_bytes(span.trace_id, "big"), int.from_bytes(span.span_id, "big")) == (0x123, 0x456)
    assert (int.from_bytes(span.parent_span_id, "big"), span.flags) == (0xDEF, 0x300)
    assert (span.kind, span.start_time_unix_nano, span.end_time_unix_nano) == (5, 5, 7)
    assert (span.status.code, span.status.message) == (2, "bad")
    assert [(event.name, event.time_unix_nano) for event in span.events] == [("other", 6)]
    assert [attributes_of(link) for link in span.links] == [{"l": 2}]
    assert attributes_of(span) == {"plain": 1, "password": "x"}


def test_every_replaced_part_is_read_back(either: Any) -> None:
    parts = {
        "name": "renamed",
        "context": OTHER,
        "parent": OTHER,
        "kind": SpanKind.CLIENT,
        "start_time": 5,
        "end_time": 7,
        "resource": Resource({"k": "v"}),
        "instrumentation_scope": InstrumentationScope("other"),
    }
    span = either.start_span("span")
    for name, value in parts.items():
        setattr(span, f"_{name}", value)
        assert getattr(span, f"_{name}") is getattr(span, name) is value or value in (5, 7)
        assert getattr(span, f"_{name}") == getattr(span, name) == value
    assert span.get_span_context() is OTHER


def test_an_invalid_replaced_part_affects_only_itself(exported: Any, http_receiver: Any, log: Any) -> None:
    def write_invalid_parts(span: Any) -> None:
        span._links = 5
        span._resource = 5
        span._attributes = None

    exported(on_end=write_invalid_parts)
    (span,) = http_receiver.spans()
    assert (span.name, len(span.events), len(span.attributes)) == ("span", 1, 0)
    assert len([line for line in log() if line.startswith("A part of a span was not exported")]) == 2


def test_a_replaced_context_is_the_parent_of_children_and_decides_the_export(
    exported: Any, http_receiver: Any, either: Any
) -> None:
    span = either.start_span("parent")
    span._context = OTHER
    with use_span(span):
        assert either.start_span("child").parent == OTHER
    exported(lambda span: setattr(span, "_context", SpanContext(1, 2, is_remote=False)))
    assert http_receiver.spans() == []


# --- Copies ----------------------------------------------------------------------------------------------------------


def test_a_copy_is_an_independent_readable_span(tracer: Any) -> None:
    span = tracer.start_span("span", attributes={"a": 1})
    span.add_event("event")
    span.end()
    shallow, deep = copy.copy(span), copy.deepcopy(span)
    for copied in (shallow, deep):
        assert type(copied) is ReadableSpan
        assert copied.to_json() == span.to_json()
    shallow._attributes = {"a": 2}
    deep._name = "other"
    assert (dict(span.attributes), span.name) == ({"a": 1}, "span")
    assert deep.events[0] is not span.events[0]


def test_a_span_cannot_be_pickled(either: Any) -> None:
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(either.start_span("span"))


# --- What a span has from its tracer ---------------------------------------------------------------------------------


def test_a_span_exposes_the_parts_it_was_created_with(provider: Any) -> None:
    tracer = provider.get_tracer("test")
    span = tracer.start_span("span", record_exception=False, set_status_on_exception=False)
    assert span._sampler is provider.sampler
    assert span._limits is provider._span_limits
    assert span._span_processor is provider._active_span_processor
    assert (span._record_exception, span._set_status_on_exception) == (False, False)


def test_the_parent_attribute_is_the_same_object_as_the_parents_context(either: Any) -> None:
    with either.start_as_current_span("parent") as parent, either.start_as_current_span("child") as child:
        assert child.parent is parent.get_span_context()


def test_a_span_keeps_the_resource_that_it_started_with(kind: Any) -> None:
    first = Resource({"a": 1})
    provider = kind(shutdown_on_exit=False, resource=first)
    span = provider.get_tracer("test").start_span("span")
    provider._update_resource(Resource({"a": 2}))
    assert span.resource is first
    assert provider.get_tracer("test").start_span("span").resource is provider.resource


# --- Replaced methods ------------------------------------------------------------------------------------------------


def test_start_as_current_span_calls_start_span_of_a_subclass(provider: Any) -> None:
    class Named(Tracer):
        def start_span(self, name: str, *args: Any, **kwargs: Any) -> Any:
            return super().start_span(f"my {name}", *args, **kwargs)

    tracer = provider.get_tracer("test")
    named = Named(
        tracer.sampler,
        tracer.resource,
        tracer.span_processor,
        tracer.id_generator,
        tracer.instrumentation_info,
        tracer._span_limits,
        tracer._instrumentation_scope,
    )
    with named.start_as_current_span("span", attributes={"a": 1}, kind=SpanKind.CLIENT) as span:
        assert (span.name, span.kind, dict(span.attributes)) == ("my span", SpanKind.CLIENT, {"a": 1})


def test_methods_replaced_on_an_object_are_called(either: Any) -> None:
    ended = []
    original = either.start_span
    either.start_span = lambda name, *args, **kwargs: original(f"my {name}", *args, **kwargs)
    with either.start_as_current_span("span") as span:
        assert span.name == "my span"
        end = span.end
        span.end = lambda *args: (ended.append(span), end(*args))
    assert ended == [span]
    assert span.end_time is not None


def test_methods_replaced_on_a_class_are_called(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = kind(shutdown_on_exit=False).get_tracer("test")
    classes = {"start_span": type(tracer), "end": type(tracer.start_span("span"))}
    called = []

    def spy_on(name: str) -> None:
        original = getattr(classes[name], name)

        def spy(*args: Any, **kwargs: Any) -> Any:
            called.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(classes[name], name, spy)

    spy_on("start_span")
    spy_on("end")
    with tracer.start_as_current_span("span"):
        assert called == ["start_span"]
    assert called == ["start_span", "end"]


def test_the_private_classes_are_the_exported_ones() -> None:
    assert otel_rs.trace.Span is Span
    assert otel_rs.trace.Tracer is Tracer
