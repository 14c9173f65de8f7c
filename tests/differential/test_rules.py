"""Each row of the table of differences that the comparison accepts: what stock makes of the value, and what we send."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from . import differences
from .differences import spans_of
from .paths import PATHS, Native, Path, Stock, check
from .programs import AddEvent, Describe, LinkTo, Operation, Program, SetAttribute, SetStatus, Spanned, UpdateName
from .values import NONE, Cyclic, Items, Nested, Odd, Pairs, Plain, Power, Value


@dataclass(frozen=True)
class Row:
    name: str
    operation: Operation | None = None
    links: tuple[LinkTo, ...] | None = None
    kind: str = "INTERNAL"
    start_time: Value = NONE

    def program(self) -> Program:
        body = (self.operation,) if self.operation else ()
        span = Spanned("bare", body=body, links=self.links, kind=self.kind, start_time=self.start_time)
        return Program((Spanned("bare", Plain("another")), span))


def value(value: Value) -> SetAttribute:
    return SetAttribute(1, Plain("key"), value)


ATTRIBUTES = Pairs(((Plain("a"), Plain(1)),))

COST_THE_BATCH = {
    "name with a lone surrogate": Row(differences.SURROGATES_IN_NAMES, UpdateName(1, Plain("a\ud800"))),
    "event's name with a lone surrogate": Row(differences.SURROGATES_IN_NAMES, AddEvent(1, Plain("a\ud800"))),
    "description with a lone surrogate": Row(
        differences.SURROGATES_IN_NAMES, SetStatus(1, Describe("ERROR", Plain("a\ud800")))
    ),
    "name that is a number": Row(differences.NAMES, UpdateName(1, Plain(5))),
    "name that raises": Row(differences.NAMES, UpdateName(1, Odd("raises"))),
    "name of octets that are no text": Row(differences.NAMES, UpdateName(1, Plain(b"a\xff"))),
    "event's name that is a number": Row(differences.NAMES, AddEvent(1, Plain(5))),
    "event's name that raises": Row(differences.NAMES, AddEvent(1, Odd("raises"))),
    "description that is a number": Row(differences.DESCRIPTIONS, SetStatus(1, Describe("ERROR", Plain(0)))),
    "unknown kind": Row(differences.KINDS, kind="a text"),
    "no kind": Row(differences.KINDS, kind="none"),
    "time that is a text": Row(differences.TIMES, start_time=Plain("now")),
    "time before the epoch": Row(differences.TIMES, start_time=Plain(-1)),
    "time beyond 64 bits": Row(differences.TIMES, start_time=Plain(2**64)),
    "time that is not a number": Row(differences.TIMES, start_time=Plain(float("nan"))),
    "link to an id out of range": Row(differences.LINKS, links=(LinkTo("out of range", ATTRIBUTES),)),
}
COST_THE_ATTRIBUTE = {
    "integer of 65 bits": Row(differences.INTEGERS, value(Plain(2**63))),
    "negative integer of 65 bits": Row(differences.INTEGERS, value(Plain(-(2**63) - 1))),
    "integer of 5,000 digits": Row(differences.INTEGERS, value(Power(10, 5_000))),
    "integer in a list": Row(differences.INTEGERS, value(Items((Plain(1), Plain(2**64))))),
    "lone surrogate": Row(differences.SURROGATES_IN_ATTRIBUTES, value(Plain("a\ud800"))),
    "lone surrogate in a key": Row(differences.SURROGATES_IN_ATTRIBUTES, value(Pairs(((Plain("a\ud800"), Plain(1)),)))),
    "lone surrogate out of `__str__`": Row(differences.SURROGATES_IN_ATTRIBUTES, value(Odd("surrogates in str"))),
}
ARE_SENT = {
    "31 levels of lists": Row(differences.DEPTH, value(Nested(31, "list", Plain(1)))),
    "31 levels of mappings": Row(differences.DEPTH, value(Nested(31, "mapping", Plain(1)))),
    "text-enum key": Row(differences.TEXT_ENUMS, value(Pairs(((Odd("text enum"), Plain(1)),)))),
    "trace state of a link": Row(differences.TRACE_STATES, links=(LinkTo("with state"),)),
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("row", COST_THE_BATCH.values(), ids=COST_THE_BATCH.keys())
def test_we_keep_a_batch_that_stock_loses(row: Row, path: Path, native: Native) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, OverflowError)):
        encode_spans(Stock(row.program()).spans)
    assert check(row.program(), native, path) == {row.name}


@pytest.mark.parametrize("row", COST_THE_ATTRIBUTE.values(), ids=COST_THE_ATTRIBUTE.keys())
def test_we_keep_an_attribute_that_stock_loses(row: Row, native: Native) -> None:
    _, span = sorted(spans_of(encode_spans(Stock(row.program()).spans)), key=lambda span: span.name != "another")
    assert not span.attributes
    assert check(row.program(), native) == {row.name}


@pytest.mark.parametrize("row", ARE_SENT.values(), ids=ARE_SENT.keys())
def test_values_that_stock_sends_differently(row: Row, native: Native) -> None:
    sent = encode_spans(Stock(row.program()).spans)
    assert check(row.program(), native) == {row.name}
    for got in native.batch(row.program())[0], native.stock_spans(row.program())[0]:
        assert differences.comparable(got) != differences.comparable(sent)


@pytest.mark.parametrize("name", ["raises", "gives no text", "raises in items", "raises in iteration"])
def test_only_the_value_is_dropped_when_stock_raises(name: str, native: Native) -> None:
    program = Row("", value(Odd(name))).program()
    assert Stock(program).raised == {
        (1, 0): "<class 'TypeError'>" if name == "gives no text" else "<class 'ValueError'>"
    }
    assert check(program, native) == set()
    request, raised = native.batch(program)
    assert raised == {}
    _, span = spans_of(request)
    assert span.dropped_attributes_count == 1


# The reason for `values._CONVERTED_TWICE`.
@pytest.mark.parametrize(
    "beside",
    [Plain(2**64), Plain("\ud800"), Nested(31, "list", Plain(1)), Cyclic("list", ())],
    ids=["integer", "surrogate", "too deep", "in itself"],
)
def test_an_object_next_to_a_lossy_value_is_converted_twice(beside: Value, native: Native) -> None:
    program = Row("", value(Items((beside, Odd("starts a span"))))).program()
    # The table of differences applies where stock does not terminate.
    spans = Stock(program).spans
    assert sum(span.name == "from __str__" for span in spans) == 1
    sent, raised = native.batch(program)
    assert not raised
    assert sum(span.name == "from __str__" for span in spans_of(sent)) == 2
