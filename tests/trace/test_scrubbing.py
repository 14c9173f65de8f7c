"""What processors do to a span by its private names before it is exported: each change is in what is sent, or raises,
as with the stock SDK."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockExporter
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor as StockBatch
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

import otel_rs
from otel_rs.exporter.otlp.http import OTLPSpanExporter

OTHER = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
NAMES = {
    "BoundedAttributes": BoundedAttributes,
    "BoundedList": BoundedList,
    "Event": Event,
    "InstrumentationScope": InstrumentationScope,
    "Link": Link,
    "OTHER": OTHER,
    "Resource": Resource,
    "SpanContext": SpanContext,
    "SpanKind": SpanKind,
    "Status": Status,
    "StatusCode": StatusCode,
    "threading": threading,
}

# Done by a processor, or by the program while the span is recorded.
EVERYWHERE = ["on_start", "recorded", "on_ending", "on_end"]
# The span's containers are not finished before, or upstream's end cannot use what was put there.
FINISHED = ["on_ending", "on_end"]
OPERATIONS = {
    'del span._attributes["a"]': EVERYWHERE,
    'span._attributes.pop("a")': EVERYWHERE,
    'span._attributes.pop("missing")': EVERYWHERE,
    'span._attributes.pop("missing", None)': EVERYWHERE,
    "span._attributes.popitem()": EVERYWHERE,
    "span._attributes.clear()": EVERYWHERE,
    "span._attributes.update(n=5)": EVERYWHERE,
    'span._attributes.update({"a": "***", "n": 5})': EVERYWHERE,
    'span._attributes |= {"n": 5}': EVERYWHERE,
    'span._attributes.setdefault("a", "x")': EVERYWHERE,
    'span._attributes.setdefault("n", "x")': EVERYWHERE,
    'span._attributes["a"] = "***"': EVERYWHERE,
    'span._attributes["n"] = ["x", 1]': EVERYWHERE,
    'span._attributes._set_items({"a": "***", "n": 2})': EVERYWHERE,
    'span._attributes._dict["a"] = "***"': EVERYWHERE,
    'span._attributes._dict.pop("a")': EVERYWHERE,
    "span._attributes._dict.clear()": EVERYWHERE,
    'span._attributes._dict |= {"a": "***"}': EVERYWHERE,
    'span._attributes._dict = {"only": 1}': EVERYWHERE,
    'span._attributes._immutable = False; del span._attributes["a"]': EVERYWHERE,
    "span._attributes.dropped = 7": EVERYWHERE,
    'span._attributes = BoundedAttributes(attributes={"only": 1}, immutable=False)': EVERYWHERE,
    'span._attributes = {"only": 1}; span._attributes["n"] = 2': FINISHED,
    "span._attributes = None": FINISHED,
    'span.attributes["a"] = "***"': EVERYWHERE,
    'del span.attributes["a"]': EVERYWHERE,
    'span._name = "***"': EVERYWHERE,
    "span._status = Status(StatusCode.OK)": EVERYWHERE,
    'span._status = Status(StatusCode.ERROR, "***")': EVERYWHERE,
    'span._status._description = "***"': ["recorded", *FINISHED],
    'span.status._description = "***"': ["recorded", *FINISHED],
    "span._status._status_code = StatusCode.OK": ["recorded", *FINISHED],
    'span._status = Status(StatusCode.OK); span.set_status(StatusCode.ERROR, "n")': ["on_start", "recorded"],
    'span._status._status_code = StatusCode.OK; span.set_status(StatusCode.ERROR, "n")': ["recorded"],
    'status = span.status; span.set_status(StatusCode.ERROR, "n"); status._description = "no"': ["recorded"],
    'span._events.append(Event("n", {"k": 1}, 5))': EVERYWHERE,
    'span._events.extend([Event("n", {"k": 1}, 5)])': EVERYWHERE,
    "span._events._dq.clear()": EVERYWHERE,
    "span._events._dq.pop()": ["recorded", *FINISHED],
    "del span._events[0]": EVERYWHERE,
    "span._events.clear()": EVERYWHERE,
    'span._events = [Event("n", {"k": 1}, 5)]': EVERYWHERE,
    'span._events = [event for event in span._events if event.name != "first"]': FINISHED,
    "span._events.dropped = 3": EVERYWHERE,
    'for event in span.events: event._name = "***"': EVERYWHERE,
    "for event in span.events: event._timestamp = 9": EVERYWHERE,
    'for event in span._events: event._attributes = {"k": "***"}': EVERYWHERE,
    "for event in span.events: event._attributes = None": EVERYWHERE,
    'for event in span.events: event._attributes.pop("k")': EVERYWHERE,
    'for event in span.events: event.attributes["k"] = 1': EVERYWHERE,
    'for event in span.events: event._attributes._dict.update(k="***")': EVERYWHERE,
    'for event in span.events: event.attributes._immutable = False; event.attributes.update(k="***")': EVERYWHERE,
    'span._links.append(Link(OTHER, {"n": 1}))': EVERYWHERE,
    "span._links._dq.clear()": EVERYWHERE,
    'span._links = [Link(OTHER, {"n": 1})]': EVERYWHERE,
    'for link in span.links: link._attributes = {"k": "***"}': EVERYWHERE,
    'for link in span.links: link.attributes._dict.update(k="***")': EVERYWHERE,
    'for link in span.links: link._attributes.pop("k")': EVERYWHERE,
    'span._resource = Resource({"n": 1})': EVERYWHERE,
    'span._resource = span._resource.merge(Resource({"n": 1}))': EVERYWHERE,
    'span._resource._attributes["n"] = 1': EVERYWHERE,
    'span._resource._attributes._dict["n"] = 1': EVERYWHERE,
    'span.resource.attributes._dict.pop("service.name")': EVERYWHERE,
    'span._resource._attributes = {"n": 1}': EVERYWHERE,
    'span._resource._schema_url = "https://n"': EVERYWHERE,
    'span._instrumentation_scope = InstrumentationScope("n", "2")': EVERYWHERE,
    'span._instrumentation_scope._name = "n"': EVERYWHERE,
    'span.instrumentation_scope._attributes = {"n": 1}': EVERYWHERE,
    "span._context = OTHER": EVERYWHERE,
    "span._context = None": FINISHED,
    "span._parent = OTHER": EVERYWHERE,
    "span._kind = SpanKind.SERVER": EVERYWHERE,
    "span._start_time = 5": EVERYWHERE,
    "span._end_time = 7": FINISHED,
    'span.__dict__["_name"] = "***"': EVERYWHERE,
    'span.__dict__["_attributes"] = {"only": 1}': FINISHED,
    'vars(span)["_attributes"]._dict["a"] = "***"': EVERYWHERE,
    'vars(span).update(_name="***", _mine=1); assert span._mine == 1': EVERYWHERE,
    'object.__setattr__(span, "_name", "***")': EVERYWHERE,
    'with span._lock: span._attributes._dict["a"] = "***"': ["on_start", "recorded", "on_ending"],
    "span._lock = threading.Lock()": EVERYWHERE,
}


class Ids(IdGenerator):
    def generate_trace_id(self) -> int:
        return 0x123

    def generate_span_id(self) -> int:
        return 0x456


class Processor(SpanProcessor):
    """Does it in one of its methods."""

    def __init__(self, where: str, work: Callable[[Any], None]) -> None:
        self._do = {where: work}

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self._do.get("on_start", id)(span)

    def _on_ending(self, span: Any) -> None:
        self._do.get("on_ending", id)(span)

    def on_end(self, span: Any) -> None:
        self._do.get("on_end", id)(span)


STOCK = SimpleNamespace(provider=sdk.TracerProvider, batch=StockBatch, exporter=StockExporter)
NATIVE = SimpleNamespace(provider=otel_rs.TracerProvider, batch=otel_rs.BatchSpanProcessor, exporter=OTLPSpanExporter)


def exported(kind: Any, receiver: Any, operation: str, where: str) -> list[Any]:
    """What raised, and what was sent."""
    raised: list[str] = []

    def work(span: Any) -> None:
        try:
            exec(operation, {**NAMES, "span": span})
        except Exception as error:
            raised.append(f"{type(error).__name__}: {error}")

    provider = kind.provider(
        resource=Resource({"service.name": "shop", "x": 1}), id_generator=Ids(), shutdown_on_exit=False
    )
    provider.add_span_processor(Processor(where, work))
    provider.add_span_processor(kind.batch(kind.exporter(receiver.endpoint)))
    tracer = provider.get_tracer("scope", "1", attributes={"s": 1})
    link = Link(OTHER, {"k": 1})
    span = tracer.start_span("span", attributes={"a": "secret", "b": 2}, links=[link], start_time=1)
    span.add_event("first", {"k": "secret"}, timestamp=2)
    span.add_event("second", {"k": 2}, timestamp=3)
    span.set_status(StatusCode.ERROR, "secret")
    if where == "recorded":
        work(span)
    span.set_attribute("later", 1)
    span.add_event("third", timestamp=4)
    span.end(end_time=10)
    before = len(receiver.requests)
    provider.shutdown()
    return raised + [str(request.message) for request in receiver.requests[before:]]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_change_by_a_private_name_is_sent_or_raises_as_with_the_stock_sdk(operation: str, http_receiver: Any) -> None:
    for where in OPERATIONS[operation]:
        of_stock = exported(STOCK, http_receiver, operation, where)
        assert exported(NATIVE, http_receiver, operation, where) == of_stock, where


def test_a_span_is_cloned_by_its_dict(tracer: Any) -> None:
    span = tracer.start_span("span", attributes={"a": 1})
    span.end()
    clone = ReadableSpan.__new__(ReadableSpan)
    clone.__dict__.update(span.__dict__)
    clone._name = "clone"
    assert (clone.name, dict(clone.attributes), span.name) == ("clone", {"a": 1}, "span")
    assert clone.to_json() == span.to_json().replace('"span"', '"clone"')


def test_the_dict_of_a_span_has_the_names_that_upstreams_has(tracer: Any) -> None:
    stock = sdk.TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
    span = tracer.start_span("span")
    assert set(vars(span)) == set(vars(stock))
    span.mine = 1
    assert vars(span).pop("mine") == 1
    assert not hasattr(span, "mine")
    assert repr(vars(span)).startswith("{'_name': 'span'")


def test_reading_a_status_does_not_make_the_next_one_final(either: Any) -> None:
    span = either.start_span("span")
    assert span.status.is_unset
    span.set_status(StatusCode.ERROR, "a")
    assert span.status is span.status is span._status
    span.set_status(StatusCode.OK)
    span.set_status(StatusCode.ERROR, "b")
    assert (span.status.status_code, span.status.description) == (StatusCode.OK, None)


@pytest.mark.parametrize("name", ["_record_exception", "_set_status_on_exception"])
def test_a_processor_decides_what_a_block_records_of_an_exception(kind: Any, name: str) -> None:
    provider = kind(shutdown_on_exit=False)
    provider.add_span_processor(Processor("on_start", lambda span: setattr(span, name, False)))
    with pytest.raises(ValueError, match="secret"), provider.get_tracer("test").start_span("span") as span:
        raise ValueError("secret")
    assert getattr(span, name) is False
    assert len(span.events) == (name != "_record_exception")
    assert span.status.is_unset == (name == "_set_status_on_exception")
