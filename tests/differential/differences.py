"""What must arrive: the stock SDK's result, except ids, times of the run, and the rows of docs/differences.md.

Each rule has the name of its row, and changes only what the row describes.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, SpanContext, SpanKind, Status

from .values import DEEPEST, NOT_SHOWN

# Times near the current time belong to this run; the explicit times in the programs are far from it.
NOW = range(1_740_000_000_000_000_000, 4_000_000_000_000_000_000)
SOME_TIME_OF_THE_RUN = 1_800_000_000_000_000_000

_SURROGATE = re.compile("[\ud800-\udfff]")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")
_TRACEBACK_LINE = re.compile(r'  File ".*\n(?:    .*\n)*|  \[Previous line repeated .*\n')

INTEGERS = "integer beyond 64 bits in an attribute"
SURROGATES_IN_NAMES = "lone surrogates in a name"
SURROGATES_IN_ATTRIBUTES = "lone surrogates in an attribute"
DEPTH = "values nested deeper than 30 levels, or in themselves"
NAMES = "name of a span or event that is neither a text, UTF-8 bytes nor None"
KINDS = "unknown kind"
TIMES = "time that is not a number"
TEXT_ENUMS = "text-enum keys in nested mappings"
DESCRIPTIONS = "description of a status that is not a text"
LINKS = "link to an id out of range"
TRACE_STATES = "trace state of a link"


class Rules:
    """Applies the rules to spans before the stock encoder encodes them, and keeps the names of the rules used."""

    def __init__(self) -> None:
        self.applied: set[str] = set()

    def expected(self, spans: Iterable[ReadableSpan]) -> ExportTraceServiceRequest:
        spans = [self.span(span) for span in spans]
        request = encode_spans(spans)
        contexts = {span.get_span_context().span_id: [link.context for link in span.links] for span in spans}
        for encoded in spans_of(request):
            for link, context in zip(encoded.links, contexts[int.from_bytes(encoded.span_id, "big")], strict=True):
                if context.trace_state:
                    self.applied.add(TRACE_STATES)
                    link.trace_state = ",".join(f"{key}={value}" for key, value in context.trace_state.items())
        return request

    def span(self, span: ReadableSpan) -> ReadableSpan:
        status = span.status
        if isinstance(status.description, str):
            description = self.text(str.__str__(status.description), SURROGATES_IN_NAMES)
            status = Status(status.status_code, description)
        elif status.description is not None:
            self.applied.add(DESCRIPTIONS)
            status = Status(status.status_code)
        return ReadableSpan(
            name=self.name(span.name),
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=self.attributes(span.attributes, span.dropped_attributes),
            events=self.counted(map(self.event, span.events), span.dropped_events),
            links=self.counted(map(self.link, span.links), span.dropped_links),
            kind=self.kind(span.kind),
            status=status,
            start_time=self.time(span.start_time),
            end_time=self.time(span.end_time),
            instrumentation_scope=span.instrumentation_scope,
        )

    def event(self, event: Any) -> Event:
        attributes = self.attributes(event.attributes, event.dropped_attributes)
        return Event(self.name(event.name), attributes, self.time(event.timestamp))

    def link(self, link: Link) -> Link:
        return Link(self.context(link.context), self.attributes(link.attributes, link.dropped_attributes))

    @staticmethod
    def counted(parts: Iterable[Any], dropped: int) -> BoundedList:
        counted: Any = BoundedList(None)
        counted.extend(list(parts))
        counted.dropped = dropped
        return counted

    def attributes(self, attributes: Any, dropped: int) -> BoundedAttributes:
        counted = BoundedAttributes()
        counted.dropped = dropped
        for key, value in (attributes or {}).items():
            text = self.text(key, SURROGATES_IN_ATTRIBUTES)
            # Two keys may have become equal: then the key moves to the end, as a key that is set again does.
            counted._dict.pop(text, None)
            # Bypasses the cleaning, which is already done.
            counted._dict[text] = self.value(value)
        return counted

    # --- The rows ----------------------------------------------------------------------------------------------------

    def text(self, text: str, row: str) -> str:
        if not _SURROGATE.search(text):
            return text
        self.applied.add(row)
        return _SURROGATE.sub("\ufffd", text)

    def value(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            if -(2**63) <= value < 2**63:
                return value
            self.applied.add(INTEGERS)
            return _decimal(value)
        if isinstance(value, str):
            return self.text(value, SURROGATES_IN_ATTRIBUTES)
        if isinstance(value, tuple | dict) and depth >= DEEPEST:
            self.applied.add(DEPTH)
            return NOT_SHOWN
        if isinstance(value, tuple):
            return tuple(self.value(item, depth + 1) for item in value)
        if isinstance(value, dict):
            return {self.key(key): self.value(item, depth + 1) for key, item in value.items()}
        return value

    def key(self, key: str) -> str:
        # The stock encoder uses `str(key)`; all other keys are sent as their text.
        if type(key) is not str and str(key) != (text := str.__str__(key)):
            assert isinstance(key, enum.Enum) or str(key) == "not this"
            self.applied.add(TEXT_ENUMS)
            key = text
        return self.text(key, SURROGATES_IN_ATTRIBUTES)

    def context(self, context: SpanContext) -> SpanContext:
        if 0 <= context.trace_id < 2**128 and 0 <= context.span_id < 2**64:
            return context
        self.applied.add(LINKS)
        return SpanContext(0, 0, context.is_remote, context.trace_flags, context.trace_state)

    def name(self, name: Any) -> Any:
        if isinstance(name, str):
            return self.text(str.__str__(name), SURROGATES_IN_NAMES)
        if name is None or (isinstance(name, bytes) and _is_utf8(name)):
            return name
        self.applied.add(NAMES)
        if isinstance(name, bytes):
            return name.decode(errors="replace")
        try:
            return self.text(str(name), SURROGATES_IN_NAMES)
        except Exception:
            return "?"

    def kind(self, kind: Any) -> SpanKind:
        if isinstance(kind, SpanKind):
            return kind
        self.applied.add(KINDS)
        return SpanKind.INTERNAL

    def time(self, time: Any) -> int:
        if isinstance(time, int) and 0 <= time < 2**64:
            return int(time)
        self.applied.add(TIMES)
        if not isinstance(time, int | float):
            return SOME_TIME_OF_THE_RUN
        if math.isnan(time) or time < 0:
            return 0
        return min(int(time), 2**64 - 1)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decimal(number: int) -> str:
    try:
        return int.__str__(number)
    except ValueError:
        # Python limits the conversion to some thousands of decimal digits.
        return hex(number)


# --- What is not compared --------------------------------------------------------------------------------------------


def spans_of(request: ExportTraceServiceRequest) -> list[Any]:
    return [
        span
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def comparable(request: ExportTraceServiceRequest, longest_text: int | None = None) -> ExportTraceServiceRequest:
    """Changes the request: numbers ids in order of appearance, unifies times of the run, removes traceback lines.

    `longest_text` is the length limit of attributes, which cuts tracebacks at any place.
    """
    known_ids: dict[bytes, bytes] = {b"": b""}

    def known(id: bytes) -> bytes:
        return known_ids.setdefault(id, f"{len(id)} bytes, number {len(known_ids)}".encode())

    for span in spans_of(request):
        span.trace_id, span.span_id = known(span.trace_id), known(span.span_id)
        span.parent_span_id = known(span.parent_span_id)
        for name in ("start_time_unix_nano", "end_time_unix_nano"):
            if getattr(span, name) in NOW:
                setattr(span, name, SOME_TIME_OF_THE_RUN)
        for event in span.events:
            if event.time_unix_nano in NOW:
                event.time_unix_nano = SOME_TIME_OF_THE_RUN
            for attribute in event.attributes:
                if attribute.key == "exception.stacktrace":
                    attribute.value.string_value = _stacktrace(attribute.value.string_value, longest_text)
        for link in span.links:
            link.trace_id, link.span_id = known(link.trace_id), known(link.span_id)
        for holder in (span, *span.events, *span.links):
            for attribute in holder.attributes:
                _forget_addresses(attribute.value)
        for holder in (span, *span.events):
            if " at 0x" in holder.name:
                holder.name = _ADDRESS.sub(" at 0x>", holder.name)
    return request


def _stacktrace(text: str, longest: int | None) -> str:
    if longest is not None and len(text) == longest:
        return f"cut at {longest} characters"
    return _TRACEBACK_LINE.sub("", text)


def _forget_addresses(value: Any) -> None:
    if value.HasField("string_value"):
        if " at 0x" in value.string_value:
            value.string_value = _ADDRESS.sub(" at 0x>", value.string_value)
    elif value.HasField("array_value"):
        for item in value.array_value.values:
            _forget_addresses(item)
    elif value.HasField("kvlist_value"):
        for item in value.kvlist_value.values:
            _forget_addresses(item.value)
