"""Reading a span: for the same program, every property and the JSON form equal the stock SDK's."""

from __future__ import annotations

import json
import re
import types
import weakref
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode

import otel_rs
from otel_rs.trace import TracerProvider

from ..support.span_programs import LOCAL, PROGRAMS, REMOTE, WITH_STATE, Program
from .test_span_encoding import NOW, large_program

pytestmark = pytest.mark.sanitize

RESOURCE = Resource({"service.name": "shop"}, "https://resource-schema")


def run(kind: type[Any], program: Program, **arguments: Any) -> tuple[Any, ...]:
    provider = kind(shutdown_on_exit=False, resource=RESOURCE, **arguments)
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    program(provider.get_tracer("library", "1.0", "https://schema", {"scope": True}))
    return memory.get_finished_spans()


class Comparer:
    """Converts spans for comparison: ids become numbers in order of appearance, and current times are removed."""

    def __init__(self) -> None:
        self._ids: dict[int, int] = {}

    def context(self, context: Any) -> Any:
        if context is None:
            return None
        ids = [self._ids.setdefault(id, len(self._ids)) if id else 0 for id in (context.trace_id, context.span_id)]
        assert type(context) is trace.SpanContext
        assert type(context.trace_flags) is trace.TraceFlags
        return (*ids, context.is_remote, context.trace_flags, context.trace_state, context.is_valid)

    @staticmethod
    def time(time: int) -> int:
        assert type(time) is int
        return 99 if time in NOW else time

    @classmethod
    def attributes(cls, attributes: Any) -> Any:
        pairs = {key: value for key, value in attributes.items() if key != "exception.stacktrace"}
        if "exception.stacktrace" in attributes:
            trace = attributes["exception.stacktrace"]
            pairs["exception.stacktrace"] = re.sub(r'  File ".*\n(?:    .*\n)*', "", trace)
        return repr([(cls.plain(key), cls.plain(value)) for key, value in pairs.items()])

    @classmethod
    def plain(cls, value: Any) -> Any:
        """Converts instances of subclasses of plain types to the plain type, because we return those."""
        for kind in (str, bool, int, float, bytes):
            if isinstance(value, kind):
                return value if kind is bool else kind.__new__(kind, kind.__getnewargs__(value)[0])
        if isinstance(value, tuple):
            return tuple(map(cls.plain, value))
        if isinstance(value, dict):
            return {cls.plain(key): cls.plain(item) for key, item in value.items()}
        return value

    def span(self, span: Any) -> dict[str, Any]:
        return {
            "name": span.name,
            "context": self.context(span.context),
            "get_span_context": self.context(span.get_span_context()),
            "parent": self.context(span.parent),
            "kind": span.kind,
            "start_time": self.time(span.start_time),
            "end_time": self.time(span.end_time),
            "status": (span.status.status_code, span.status.description, type(span.status)),
            "attributes": self.attributes(span.attributes),
            "attributes' type": type(span.attributes),
            "events": [
                (event.name, self.time(event.timestamp), self.attributes(event.attributes), event.dropped_attributes)
                for event in span.events
            ],
            "events' types": [type(event) for event in (span.events, *span.events)],
            "links": [
                (self.context(link.context), self.attributes(link.attributes), link.dropped_attributes)
                for link in span.links
            ],
            "links' types": [type(link) for link in (span.links, *span.links)],
            "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
            "resource": span.resource,
            "scope": span.instrumentation_scope,
        }


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_every_property_is_that_of_the_stock_sdk(program: Program) -> None:
    stock, native = Comparer(), Comparer()
    expected = [stock.span(span) for span in run(sdk.TracerProvider, program)]
    assert [native.span(span) for span in run(TracerProvider, program)] == expected


@pytest.mark.parametrize(
    "limits", [{"max_attributes": 2, "max_events": 2, "max_links": 2, "max_attribute_length": 3}, {"max_attributes": 0}]
)
def test_parts_dropped_by_limits_are_counted_as_in_the_stock_sdk(limits: dict[str, int]) -> None:
    stock, native = Comparer(), Comparer()
    expected = [stock.span(s) for s in run(sdk.TracerProvider, large_program, span_limits=SpanLimits(**limits))]
    got = [native.span(s) for s in run(TracerProvider, large_program, span_limits=SpanLimits(**limits))]
    assert got == expected


def everything(tracer: Any) -> None:
    links = [Link(REMOTE, {"a": [1, 2]}), Link(WITH_STATE)]
    context = trace.set_span_in_context(trace.NonRecordingSpan(WITH_STATE))
    attributes = {"text": "é", "number": 1, "list": [1, None], "mapping": {"a": {"b": [True]}}, "nan": float("inf")}
    span = tracer.start_span("everything", context, SpanKind.SERVER, attributes, links, 1_700_000_000_123_456_789)
    span.add_event("event", {"key": ["v"]}, 1_700_000_001_000_000_000)
    span.set_status(StatusCode.ERROR, "description")
    span.end(1_700_000_002_000_000_000)
    tracer.start_span("plain", start_time=5).end(7)


@pytest.mark.parametrize("indent", [None, 2, 4])
def test_json_is_that_of_the_stock_sdk(indent: int | None) -> None:
    def texts(kind: type[Any]) -> list[str]:
        return [re.sub("0x[0-9a-f]{16,32}", "0x", span.to_json(indent)) for span in run(kind, everything)]

    assert texts(TracerProvider) == texts(sdk.TracerProvider)


def test_to_json_works_while_the_span_is_recording(tracer: Any) -> None:
    span = tracer.start_span("open", attributes={"a": 1})
    content = json.loads(span.to_json())
    assert (content["name"], content["attributes"], content["end_time"]) == ("open", {"a": 1}, None)
    span.end()


def test_properties_can_be_read_while_the_span_is_recording(tracer: Any) -> None:
    span = tracer.start_span("open", attributes={"a": 1}, links=[Link(LOCAL)])
    assert span.end_time is None
    span.set_attribute("b", [1])
    span.add_event("event")
    span.add_link(REMOTE)
    assert dict(span.attributes) == {"a": 1, "b": (1,)}
    assert [event.name for event in span.events] == ["event"]
    assert [link.context for link in span.links] == [LOCAL, REMOTE]
    span.update_name("renamed")
    assert span.name == "renamed"
    span.set_status(StatusCode.ERROR, "x")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "x")
    span.end()


def test_attributes_cannot_be_changed_by_a_reader(tracer: Any) -> None:
    span = tracer.start_span("span", attributes={"a": 1})
    span.add_event("event", {"a": 1})
    assert isinstance(span.attributes, types.MappingProxyType)
    with pytest.raises(TypeError):
        span.attributes["a"] = 2
    with pytest.raises(TypeError):
        span.events[0].attributes["a"] = 2
    assert isinstance(span.events[0].attributes, BoundedAttributes)
    span.end()


def test_properties_cannot_be_set(tracer: Any) -> None:
    span = tracer.start_span("span")
    for name in (
        "name",
        "context",
        "kind",
        "parent",
        "start_time",
        "end_time",
        "status",
        "attributes",
        "events",
        "links",
    ):
        with pytest.raises(AttributeError):
            setattr(span, name, None)
    span.end()


def test_a_span_is_an_instance_of_the_api_and_sdk_classes(tracer: Any) -> None:
    span = tracer.start_span("span")
    assert isinstance(span, trace.Span)
    assert isinstance(span, sdk.Span)
    assert isinstance(span, sdk.ReadableSpan)
    assert isinstance(span, otel_rs.trace.Span)
    span.end()


def test_the_representation_names_the_span_and_its_context(tracer: Any) -> None:
    span = tracer.start_span("a name")
    assert repr(span).endswith(f'Span(name="a name", context={span.context})')
    span.end()


def test_the_deprecated_instrumentation_info_exists(tracer: Any) -> None:
    span = tracer.start_span("span")
    with pytest.warns(DeprecationWarning, match="instrumentation_scope"):
        info = span.instrumentation_info
    assert info.name == "test"
    span.end()


def test_a_span_supports_weak_references_comparison_and_hashing(tracer: Any) -> None:
    span, other = tracer.start_span("span"), tracer.start_span("span")
    assert weakref.ref(span)() is span
    assert span == span
    assert span != other
    assert len({span, span, other}) == 2
    span.end()
    other.end()


def test_instrumentations_can_set_python_attributes_on_a_span(tracer: Any) -> None:
    """Some instrumentation packages do this."""
    span = tracer.start_span("span")
    span.anything = 1
    assert span.anything == 1
    span.end()


def test_an_integer_beyond_64_bits_reads_as_it_was_set(tracer: Any, memory: Any) -> None:
    big = 2**200
    with tracer.start_as_current_span("span", attributes={"initial": -big}) as span:
        span.set_attribute("set", big)
        span.set_attribute("overwritten", big)
        span.set_attribute("overwritten", 1)
    (span,) = memory.get_finished_spans()
    assert dict(span.attributes) == {"initial": -big, "set": big, "overwritten": 1}


@pytest.mark.parametrize("lossy", [2**64, "\ud800"], ids=["huge integer", "lone surrogate"])
def test_a_container_with_a_lossy_value_reads_as_it_was_at_the_time_of_the_call(tracer: Any, lossy: Any) -> None:
    value = [1, lossy]
    span = tracer.start_span("span", attributes={"list": value, "mapping": {"a": value}})
    span.end()
    value.append("later")
    assert dict(span.attributes) == {"list": (1, lossy), "mapping": {"a": (1, lossy)}}


def test_an_integer_beyond_64_bits_reads_as_it_was_set_on_events_and_links(tracer: Any, memory: Any) -> None:
    with tracer.start_as_current_span("span") as span:
        span.add_event("event", {"big": 2**64})
        span.add_link(LOCAL, {"big": 2**64})
    (span,) = memory.get_finished_spans()
    assert span.events[0].attributes["big"] == 2**64
    assert span.links[0].attributes["big"] == 2**64


def test_a_lone_surrogate_reads_as_it_was_set(tracer: Any, memory: Any) -> None:
    with tracer.start_as_current_span("span \ud800") as span:
        span.set_attribute("key", "a\udc80b")
    (span,) = memory.get_finished_spans()
    assert span.name == "span \ud800"
    assert span.attributes["key"] == "a\udc80b"
