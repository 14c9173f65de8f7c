"""otel-rs sends the same as the stock SDK and encoder for the same program; google's protobuf decodes both."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, TraceFlags, TraceState

from ..support import span_programs
from ..support.span_programs import LOCAL, PROGRAMS, REMOTE, WITH_STATE, Program

# Times near the current time belong to this run; the explicit times in the programs are far from it.
NOW = range(1_740_000_000_000_000_000, 4_000_000_000_000_000_000)
_ADDRESS = re.compile(r"0x[0-9a-f]{8,}")
_TRACEBACK_LINE = re.compile(r'  File ".*\n(?:    .*\n)*')


def stock(program: Program, **arguments: Any) -> ExportTraceServiceRequest:
    provider = sdk.TracerProvider(**{"shutdown_on_exit": False, "resource": Resource({}), **arguments})
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    program(provider.get_tracer("library", "1.0", "https://schema", {"scope": True}))
    return encode_spans(memory.get_finished_spans())


@pytest.fixture
def native(http_receiver: Any, provider_to: Callable[..., Any]) -> Callable[..., ExportTraceServiceRequest]:
    def run(program: Program, **arguments: Any) -> ExportTraceServiceRequest:
        provider = provider_to(http_receiver, {"max_export_batch_size": 10_000}, **arguments)
        program(provider.get_tracer("library", "1.0", "https://schema", {"scope": True}))
        assert provider.force_flush()
        (request,) = http_receiver.requests
        return request.message

    return run


def comparable(request: ExportTraceServiceRequest, link_trace_state: bool = True) -> str:
    """The request as text: ids become numbers in order of appearance; current times and traceback lines are removed."""
    names: dict[bytes, bytes] = {b"": b""}

    def known(id: bytes) -> bytes:
        return names.setdefault(id, f"{len(id)} bytes, number {len(names)}".encode())

    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                span.trace_id, span.span_id = known(span.trace_id), known(span.span_id)
                span.parent_span_id = known(span.parent_span_id)
                for time in ("start_time_unix_nano", "end_time_unix_nano"):
                    if getattr(span, time) in NOW:
                        setattr(span, time, 99)
                for event in span.events:
                    if event.time_unix_nano in NOW:
                        event.time_unix_nano = 99
                    for attribute in event.attributes:
                        if attribute.key == "exception.stacktrace":
                            text = attribute.value.string_value
                            attribute.value.string_value = _TRACEBACK_LINE.sub("", text)
                for link in span.links:
                    if not link_trace_state:
                        link.trace_state = ""
    return _ADDRESS.sub("0x", str(request))


# docs/differences.md: in mappings, upstream's encoder calls str() on keys; we use the text itself.
DIFFERENT = {"value: mapping of text enums"}


@pytest.mark.parametrize(
    "program",
    [pytest.param(program, id=name) for name, program in PROGRAMS.items() if name not in DIFFERENT],
)
def test_the_wire_form_equals_the_stock_sdks(program: Program, native: Callable[..., Any]) -> None:
    # Upstream does not send a link's trace state.
    expected = comparable(stock(program))
    assert comparable(native(program), link_trace_state=False) == expected


LIMITS = {
    "two of everything": {"max_attributes": 2, "max_events": 2, "max_links": 2},
    "one of everything": {"max_attributes": 1, "max_events": 1, "max_links": 1},
    "nothing": {"max_attributes": 0, "max_events": 0, "max_links": 0},
    "three characters": {"max_attribute_length": 3},
    "no characters": {"max_attribute_length": 0},
    "shorter on spans": {"max_attribute_length": 5, "max_span_attribute_length": 2},
    "each its own": {"max_span_attributes": 3, "max_event_attributes": 2, "max_link_attributes": 1},
    "none": dict.fromkeys(
        [
            "max_attributes",
            "max_events",
            "max_links",
            "max_span_attributes",
            "max_event_attributes",
            "max_link_attributes",
        ],
        SpanLimits.UNSET,
    ),
}


def large_program(tracer: Any) -> None:
    attributes: dict[Any, Any] = {f"key{number}": f"value {number} é🦀🦀" for number in range(5)}
    attributes["list"] = ["abcdefgh", ["abcdefgh"], {"key longer than that": "abcdefgh"}, b"abcdefgh"]
    attributes["object"] = span_programs.WithStr()
    attributes[""] = "no key"
    # Each gets its own Link object, because the stock SDK modifies it.
    links = [Link(LOCAL, attributes) for _ in range(5)]
    with tracer.start_as_current_span("much", attributes=attributes, links=links) as span:
        for number in range(5):
            span.add_event(f"event {number}", attributes, timestamp=number)
            span.add_link(REMOTE, attributes)
            span.set_attribute(f"set{number}", "žluťoučký")
            span.set_attribute("", 1)
            span.set_attribute("key4", number)
        span.set_attributes(attributes)


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS.keys())
def test_limits_drop_what_the_stock_sdk_drops(limits: dict[str, int], native: Callable[..., Any]) -> None:
    expected = comparable(stock(large_program, span_limits=SpanLimits(**limits)))
    assert comparable(native(large_program, span_limits=SpanLimits(**limits))) == expected


@pytest.mark.parametrize(
    "variable",
    [
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    ],
)
def test_limits_come_from_the_environment(
    variable: str, native: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "2")
    assert comparable(native(large_program)) == comparable(stock(large_program))


def test_default_limits_are_128(native: Callable[..., Any]) -> None:
    def run(tracer: Any) -> None:
        with tracer.start_as_current_span("much") as span:
            for number in range(200):
                span.set_attribute(f"key{number}", number)
                span.add_event("event", timestamp=number)
                span.add_link(LOCAL)

    request = native(run)
    (span,) = request.resource_spans[0].scope_spans[0].spans
    assert (len(span.attributes), len(span.events), len(span.links)) == (128, 128, 128)
    assert (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) == (72, 72, 72)
    assert comparable(request) == comparable(stock(run))


RESOURCES = {
    "empty": Resource({}),
    "usual": Resource.create({"service.name": "shop", "service.version": "1"}),
    "with a schema": Resource({"a": 1}, "https://resource-schema"),
    "every value": Resource({"text": "é", "list": ["a", "b"], "int": -1, "float": 0.5, "bool": False}),
}


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES.keys())
def test_resource_and_scope_are_those_of_the_stock_sdk(resource: Resource, native: Callable[..., Any]) -> None:
    def run(tracer: Any) -> None:
        tracer.start_span("span").end()

    assert comparable(native(run, resource=resource)) == comparable(stock(run, resource=resource))


def test_spans_are_grouped_by_scope(http_receiver: Any, provider_to: Callable[..., Any]) -> None:
    provider = provider_to(http_receiver)
    scopes = [("a", None, None), ("a", "1", None), ("a", "1", "https://schema"), ("b", None, None)]
    for _ in range(2):
        for scope in scopes:
            provider.get_tracer(*scope).start_span("span").end()
    assert provider.force_flush()
    (request,) = http_receiver.requests
    (resource_spans,) = request.message.resource_spans
    got = [(s.scope.name, s.scope.version, s.schema_url, len(s.spans)) for s in resource_spans.scope_spans]
    assert sorted(got) == sorted((name, version or "", schema or "", 2) for name, version, schema in scopes)


def test_the_trace_state_of_a_link_is_sent(native: Callable[..., Any]) -> None:
    request = native(lambda tracer: tracer.start_span("link", links=[Link(WITH_STATE)]).end())
    (link,) = request.resource_spans[0].scope_spans[0].spans[0].links
    assert link.trace_state == "a=1,b@c=x y"


def test_a_link_with_only_a_trace_state_is_sent(native: Callable[..., Any]) -> None:
    context = SpanContext(0, 0, False, TraceFlags(0), TraceState([("a", "1")]))

    def run(tracer: Any) -> None:
        with tracer.start_as_current_span("link", links=[Link(context)]) as span:
            span.add_link(context)

    expected = comparable(stock(run))
    assert comparable(native(run), link_trace_state=False) == expected


def test_children_inherit_the_trace_state_of_the_parent(native: Callable[..., Any]) -> None:
    request = native(span_programs.parents_of_every_kind)
    states = [span.trace_state for span in request.resource_spans[0].scope_spans[0].spans]
    assert states.count("a=1,b@c=x y") == 2
    assert set(states) == {"", "a=1,b@c=x y"}


def test_times_are_nanoseconds_of_now_and_in_order(native: Callable[..., Any]) -> None:
    import time

    before = time.time_ns()

    def run(tracer: Any) -> None:
        with tracer.start_as_current_span("span") as span:
            span.add_event("event")

    (span,) = native(run).resource_spans[0].scope_spans[0].spans
    times = [before, span.start_time_unix_nano, span.events[0].time_unix_nano, span.end_time_unix_nano, time.time_ns()]
    assert times == sorted(times)
