"""Shrunk programs from earlier failures: each runs on all paths."""

from __future__ import annotations

import pytest

from .paths import PATHS, Native, Path, check
from .programs import (
    AddEvent,
    AddLink,
    Describe,
    End,
    Error,
    LinkTo,
    Program,
    Raise,
    RecordException,
    SetAttribute,
    SetAttributes,
    SetStatus,
    Spanned,
    UpdateName,
)
from .values import NONE, Cyclic, Items, Nested, Odd, Pairs, Plain

SAME_TEXT = Pairs(((Plain(1), Plain("first")), (Plain("b"), Plain(2)), (Plain("1"), Plain("second"))))

SEEDS = {
    "a text of one's own is a sequence of itself without end": Program(
        (Spanned("bare", attributes=Pairs(((Plain("a"), Odd("user string")),))),)
    ),
    "two keys are one when their surrogates are replaced": Program(
        (
            Spanned(
                "bare",
                attributes=Pairs(((Plain("\ud800"), Plain(1)), (Plain("a"), Plain(2)), (Plain("\ud801"), Plain(3)))),
            ),
        )
    ),
    "a limit on texts does not cut what stands for a container": Program(
        (
            Spanned(
                "bare",
                attributes=Pairs(((Plain("a"), Nested(32, "list", Plain(None))), (Plain("b"), Cyclic("list", ())))),
                links=(LinkTo("remote", Odd("raises in items")),),
            ),
        ),
        limits=(("max_span_attribute_length", 0),),
    ),
    "an exception whose text raises leaves blocks of every kind": Program(
        tuple(
            Spanned(how, body=(Raise(Error("raises in str")),), set_status_on_exception=how != "coroutine")
            for how in ("current", "use_span", "with", "bare", "decorator", "coroutine", "closed generator")
        )
    ),
    "an exception passes through three blocks": Program(
        (
            Spanned(
                "current",
                body=(
                    Spanned(
                        "decorator",
                        body=(Spanned("with", body=(Raise(Error("own", "a\ud800")),), catches=False),),
                        record_exception=False,
                        catches=False,
                    ),
                ),
            ),
        )
    ),
    "what is no Exception passes through blocks": Program(
        (Spanned("current", body=(Spanned("with", body=(Raise(Error("base")),), catches=False),)),)
    ),
    "bad ones among good attributes are counted": Program(
        (
            Spanned(
                "bare",
                body=(
                    SetAttributes(
                        0,
                        Pairs(((Plain("a"), Plain(1)), (Plain("b"), Odd("raises")), (Odd("gives no text"), Plain(2)))),
                    ),
                    AddEvent(0, Plain("event"), Pairs(((Plain("b"), Odd("raises in iteration")),)), Plain(1)),
                    SetAttribute(0, Plain(""), Plain(1)),
                    SetAttribute(0, Plain(5), Plain(1)),
                ),
            ),
        ),
        limits=(("max_attributes", 1),),
    ),
    "a value that starts a span, in all places": Program(
        (
            Spanned(
                "current",
                attributes=Pairs(((Plain("a"), Odd("starts a span")),)),
                links=(LinkTo("local", Pairs(((Plain("a"), Items((Odd("starts a span"),))),))),),
                body=(
                    SetAttribute(0, Plain("b"), Odd("starts a span")),
                    AddEvent(0, Plain("event"), Pairs(((Plain("a"), Odd("starts a span")),)), Plain(1)),
                    AddLink(0, LinkTo(0, Pairs(((Plain("a"), Odd("starts a span")),)))),
                    RecordException(0, Error("nested"), Pairs(((Plain("a"), Odd("starts a span")),)), Plain(1)),
                ),
            ),
        )
    ),
    "writes to a span that has ended": Program(
        (
            Spanned(
                "current",
                body=(
                    End(0, Plain(5)),
                    SetAttributes(0, Plain(5)),
                    AddEvent(0, Plain("late"), Plain(5)),
                    SetStatus(0, Describe("ERROR", Odd("raises"))),
                    End(0, Odd("raises")),
                    Raise(Error("raises in str")),
                ),
            ),
        )
    ),
    "what a key hides does not raise": Program(
        (
            Spanned(
                "bare",
                attributes=Pairs(
                    (
                        (
                            Plain("a"),
                            Pairs(((Plain("a"), Cyclic("list", ())), (Plain(0), Odd("raises")), (NONE, Odd("raises")))),
                        ),
                        (Plain(0), Odd("raises")),
                    )
                ),
            ),
        )
    ),
    "a limit on texts counts a lone surrogate once": Program(
        (Spanned("bare", body=(SetAttribute(0, Plain("key"), Plain("\ud800abc")),)),),
        limits=(("max_attribute_length", 3),),
    ),
    "keys that become the same text are one": Program(
        (
            Spanned(
                "bare",
                attributes=SAME_TEXT,
                links=(LinkTo("remote", SAME_TEXT),),
                body=(
                    SetAttributes(0, SAME_TEXT),
                    SetAttribute(0, Plain("key"), SAME_TEXT),
                    AddEvent(0, Plain("event"), SAME_TEXT, Plain(1)),
                ),
            ),
        ),
        limits=(("max_link_attributes", 1), ("max_span_attributes", 2)),
    ),
    "a key's text is taken once": Program(
        (
            Spanned(
                "bare",
                body=(
                    SetAttributes(0, Pairs(((Odd("starts a span"), Plain(1)),))),
                    SetAttribute(0, Plain("key"), Pairs(((Odd("starts a span"), Plain(1)),))),
                ),
            ),
        )
    ),
    "attributes that are ignored do not make a link to nowhere valid": Program(
        (
            Spanned(
                "bare",
                links=(LinkTo("invalid", Plain(5)), LinkTo("out of range", Odd("without"))),
                body=(AddLink(0, LinkTo("invalid", Plain(5))), AddLink(0, LinkTo("half invalid", Odd("without")))),
            ),
        )
    ),
    "an exception is recorded without attributes that are no mapping": Program(
        (
            Spanned(
                "bare",
                body=(
                    RecordException(0, Error("ValueError"), Plain(5), Plain(1)),
                    RecordException(0, Error("ValueError"), Odd("without"), Plain(1)),
                ),
            ),
        )
    ),
    "what is no container is sent at 30 levels": Program(
        (Spanned("bare", body=(SetAttribute(0, Plain("key"), Nested(30, "list", Odd("with str"))),)),)
    ),
    "a mapping is counted by its length where no attribute is taken": Program(
        (
            Spanned(
                "bare",
                body=(
                    SetAttributes(0, Odd("raises in items")),
                    AddEvent(0, Plain("event"), Odd("raises in items"), Plain(1)),
                    AddEvent(0, Plain("event"), Pairs(((Plain("a"), Odd("starts a span")),)), Plain(1)),
                ),
            ),
        ),
        limits=(("max_attributes", 0), ("max_event_attributes", 0)),
    ),
    "a name of octets, or none": Program(
        (
            Spanned("bare", Plain(None), body=(AddEvent(0, Plain(b"octets"), NONE, Plain(1)),)),
            Spanned("bare", body=(UpdateName(1, Plain(b"octets")), AddEvent(1, Plain(None), NONE, Plain(1)))),
        )
    ),
    "the trace state is handed on where the sampler raises": Program(
        (Spanned("bare"), Spanned("current", context="with state", body=(Spanned("bare", context=1),))),
        sampler="raises",
    ),
    "a parent by number whose sampler raised": Program(
        (
            Spanned("bare", context="local"),
            Spanned("current", body=(Spanned("bare"),), context=0),
            Spanned("current", body=(Spanned("with", body=(Spanned("bare"),)),), context="remote"),
        ),
        sampler="raises",
    ),
    "a description that is false with a status that takes none": Program(
        (Spanned("bare", body=(SetStatus(0, Describe("OK", Plain(0))),)),)
    ),
    "a span that is not ended is not sent": Program((Spanned("current", end_on_exit=False), Spanned("bare"))),
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("program", SEEDS.values(), ids=SEEDS.keys())
def test_a_program_found_earlier_arrives_correctly(program: Program, path: Path, native: Native) -> None:
    check(program, native, path)
