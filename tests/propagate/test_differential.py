"""The native methods against the stock propagators, with generated headers, carriers, contexts and values."""

from __future__ import annotations

import sys
from collections import UserDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, context, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.asgi import asgi_getter, asgi_setter
from opentelemetry.instrumentation.celery import celery_getter
from opentelemetry.instrumentation.wsgi import wsgi_getter
from opentelemetry.propagators.textmap import Getter, Setter, default_getter, default_setter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from .kafka import (
    aiokafka_getter,
    aiokafka_setter,
    confluent_getter,
    confluent_setter,
    kafka_getter,
    kafka_setter,
)
from .sides import PROPAGATORS, both, seen

pytestmark = pytest.mark.sanitize

TRACE_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

# --- Headers ---------------------------------------------------------------------------------------------------------

ASCII = st.characters(max_codepoint=127)
ANY = st.characters(exclude_categories=["Cs"])
BLANKS = st.text(" \t", max_size=3)


def near(pieces: list[str], alphabet: st.SearchStrategy[str] = ANY) -> st.SearchStrategy[str]:
    """Texts of pieces that mean something, and of others."""
    piece = st.one_of(st.sampled_from(pieces), st.text(alphabet, max_size=3))
    return st.lists(piece, max_size=12).map("".join)


def changed(text: str) -> st.SearchStrategy[str]:
    """The text with something in it replaced."""
    place = st.integers(0, len(text))
    return st.builds(
        lambda at, length, new: text[:at] + new + text[at + length :], place, st.integers(0, 3), near(["-", "\n"])
    )


hexadecimal = st.text("0123456789abcdef", min_size=2, max_size=2)
trace_parents = st.one_of(
    st.just(TRACE_PARENT),
    st.builds(
        "{}{}-{}-{}-{}{}".format,
        BLANKS,
        hexadecimal,
        st.sampled_from(["1" * 32, "0" * 32, "F" * 32]),
        st.sampled_from(["1" * 16, "0" * 16]),
        hexadecimal,
        near(["-", " ", "\n", "\t", "x"]),
    ),
    changed(TRACE_PARENT),
    changed("cc" + TRACE_PARENT[2:] + "-what the future brings"),
    st.text(ANY),
    st.builds(lambda count: f"cc{TRACE_PARENT[2:]}-{'x' * count}", st.integers(440, 700)),
)
members = st.one_of(
    st.sampled_from(["a=1", "b=2", "t@v=x y", "foo=bar", "a=3", " c=4\t", "", " "]),
    near(["a", "=", "@", "k", " ", "1", "_-*/", "z" * 250, "~"]),
)
trace_states = st.one_of(
    st.lists(members, max_size=6).map(",".join),
    st.integers(30, 35).map(lambda count: ",".join(f"k{number}=v" for number in range(count))),
    st.integers(8180, 8200).map(lambda length: ("k=v," * 3000)[:length]),
    st.text(ANY),
)
entries = st.one_of(
    st.sampled_from(
        ["k=v", "l=w;p=1;q", "m=a%20b+c", "k=2", "n=%C3%A9", "o=", "%20=%1F", "a = b ; c = d", "x=%ff%", ""]
    ),
    near(["k", "=", ";", "%", "%4", "%e2%82", " ", "\t", "+", '"', "\\"], ASCII),
    near(["k", "=", ";", "é"]),
    st.integers(4085, 4100).map(lambda length: f"k={'v' * length}"),
)
baggages = st.one_of(
    st.lists(entries, max_size=6).map(",".join),
    st.lists(entries, max_size=4).map(" , ".join),
    st.integers(178, 183).map(lambda count: ",".join(f"k{number}=v" for number in range(count))),
    st.integers(8185, 8200).map(lambda length: ("k=v," * 3000)[:length]),
    st.text(ANY),
)
headers = st.fixed_dictionaries(
    {}, optional={"traceparent": trace_parents, "tracestate": trace_states, "baggage": baggages}
)

# --- Carriers --------------------------------------------------------------------------------------------------------


class Own(Getter[Any]):
    """A program's getter, which remembers what it was asked for."""

    def __init__(self, kind: Callable[[str], Any]) -> None:
        self.kind = kind
        self.asked: list[str] = []

    def get(self, carrier: Any, key: str) -> Any:
        self.asked.append(key)
        return None if key not in carrier else self.kind(carrier[key])

    def keys(self, carrier: Any) -> list[str]:
        return list(carrier)


def scope(values: dict[str, str]) -> dict[str, Any]:
    others = [(b"host", b"shop"), [b"X-\xe9", b"\xff"]]
    return {"headers": [*others, *((key.title().encode(), value.encode()) for key, value in values.items())]}


def ascii_scope(values: dict[str, str]) -> dict[str, Any]:
    return {"headers": [(b"Host", b"shop"), *((key.encode(), value.encode()) for key, value in values.items())]}


def environ(values: dict[str, str]) -> dict[str, str]:
    return {"wsgi.version": (1, 0), **{f"HTTP_{key.upper()}": value for key, value in values.items()}}  # type: ignore[dict-item]


def pairs(values: dict[str, str]) -> list[tuple[str, bytes | None]]:
    """The headers of a message, the first of each name without a value."""
    return [("other", b"\xff"), *((key, None) for key in values), *encoded(values)]


def encoded(values: dict[str, str]) -> list[tuple[str, bytes]]:
    return [(key, value.encode()) for key, value in values.items()]


CARRIERS: dict[str, Callable[[dict[str, str]], tuple[Any, Any]]] = {
    "dict": lambda values: (values, default_getter),
    "lists": lambda values: ({key: [value, "other=1"] for key, value in values.items()}, default_getter),
    "tuples": lambda values: ({key: (value,) for key, value in values.items()}, default_getter),
    "iterators": lambda values: ({key: iter([value]) for key, value in values.items()}, default_getter),
    "empty lists": lambda values: ({key: [] for key in values}, default_getter),
    "bytes": lambda values: ({key: value.encode() for key, value in values.items()}, default_getter),
    "numbers": lambda values: (dict.fromkeys(values, 7), default_getter),
    "mapping": lambda values: (UserDict(values), default_getter),
    "no mapping": lambda values: (7, default_getter),
    "environ": lambda values: (environ(values), wsgi_getter),
    "scope": lambda values: (scope(values), asgi_getter),
    "scope, ASCII": lambda values: (ascii_scope(values), asgi_getter),
    "scope, twice": lambda values: ({"headers": scope(values)["headers"] * 2}, asgi_getter),
    "scope, tuple": lambda values: ({"headers": tuple(scope(values)["headers"])}, asgi_getter),
    "empty scope": lambda values: ({}, asgi_getter),
    "request": lambda values: (SimpleNamespace(**values), celery_getter),
    "request, lists": lambda values: (SimpleNamespace(**{k: [v, 7] for k, v in values.items()}), celery_getter),
    "message": lambda values: (pairs(values), kafka_getter),
    "message, twice": lambda values: (pairs(values) + pairs(dict.fromkeys(values, "other")), kafka_getter),
    "message, lists": lambda values: (list(map(list, pairs(values))), kafka_getter),
    "message, texts": lambda values: (list(values.items()), kafka_getter),
    "message, no UTF-8": lambda values: ([(key, b"\xff") for key in values], kafka_getter),
    "message, wrong": lambda values: ([*encoded(values), ("a", b"b", b"c")], kafka_getter),
    "message, wrong before": lambda values: ([7, *encoded(values)], kafka_getter),
    "message, other names": lambda values: ([(b"x", 1), (None, 2), *encoded(values)], kafka_getter),
    "message, dict": lambda values: (dict(encoded(values)), kafka_getter),
    "no headers": lambda values: (None, kafka_getter),
    "confluent's message": lambda values: (pairs(values), confluent_getter),
    "confluent's message, dict": lambda values: (dict(encoded(values)), confluent_getter),
    "confluent's message, no headers": lambda values: (None, confluent_getter),
    "aiokafka's message": lambda values: (tuple(pairs(values)), aiokafka_getter),
    "aiokafka's message, no headers": lambda values: (None, aiokafka_getter),
    "own": lambda values: (values, Own(lambda value: [value])),
    "own, tuple": lambda values: (values, Own(lambda value: (value, value))),
    "own, iterator": lambda values: (values, Own(lambda value: iter([value]))),
    "own, text": lambda values: (values, Own(lambda value: value)),
    "own, wrong": lambda values: (values, Own(lambda value: 7)),
}

# --- Contexts --------------------------------------------------------------------------------------------------------

SPAN = NonRecordingSpan(SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(3)))


class Broken(dict[str, object]):
    def get(self, *_: Any) -> Any:
        raise RuntimeError("broken")

    def copy(self) -> Any:
        raise RuntimeError("broken")


CONTEXTS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "empty": Context,
    "plain": lambda: {"a": 1},
    "full": lambda: baggage.set_baggage("before", "1", trace.set_span_in_context(SPAN, Context({"a": 1}))),
    "no baggage": lambda: Context({baggage._BAGGAGE_KEY: 7}),
    "own baggage": lambda: Context({baggage._BAGGAGE_KEY: Broken(a=1)}),
    "broken": lambda: Broken(a=1),
    "number": lambda: 7,
}


@given(
    values=headers,
    propagator=st.sampled_from(sorted(PROPAGATORS)),
    carrier=st.sampled_from(sorted(CARRIERS)),
    before=st.sampled_from(sorted(CONTEXTS)),
)
@example(
    values={"traceparent": TRACE_PARENT, "tracestate": " a=1"}, propagator="composite", carrier="dict", before="none"
)
@settings(max_examples=1500, deadline=None)
def test_extract(values: dict[str, str], propagator: str, carrier: str, before: str) -> None:
    given_context = CONTEXTS[before]()
    results = []
    for side in both(propagator):
        made, getter = CARRIERS[carrier](dict(values))
        result = seen(lambda side=side, made=made, getter=getter: side.extract(made, given_context, getter=getter))
        results.append((result, getattr(getter, "asked", None)))
    assert results[0] == results[1]


@pytest.mark.parametrize("propagator", sorted(PROPAGATORS))
def test_a_context_without_news_is_the_same_object(propagator: str) -> None:
    given_context = Context({"a": 1})
    stock, native = both(propagator)
    for carrier in ({}, {"traceparent": "x", "baggage": ""}):
        assert stock.extract(carrier, given_context) is given_context
        assert native.extract(carrier, given_context) is given_context
    token = context.attach(given_context)
    try:
        assert stock.extract({}) == native.extract({})
        assert (native.extract({}) is given_context) == (stock.extract({}) is given_context)
    finally:
        context.detach(token)


# --- inject ----------------------------------------------------------------------------------------------------------


class OwnSpan(NonRecordingSpan):
    def get_span_context(self) -> SpanContext:
        return SpanContext(7, 8, is_remote=True)


class OwnSetter(Setter[Any]):
    def set(self, carrier: Any, key: str, value: Any) -> None:
        carrier[key] = [value]


ids = st.sampled_from([0, 1, 2**64 - 1, 2**128 - 1, 2**130, -1])
states = st.one_of(
    st.none(),
    trace_states.map(lambda header: TraceState.from_header([header])),
    st.just(TraceState([("a", "1"), ("b", "2")])),
)
span_contexts = st.builds(
    SpanContext, ids, ids, st.booleans(), st.sampled_from([TraceFlags(n) for n in (0, 1, 3, 255, 256)] + [7]), states
)
spans = st.one_of(
    span_contexts.map(NonRecordingSpan),
    span_contexts.map(OwnSpan),
    st.sampled_from([None, 7, trace.INVALID_SPAN, NonRecordingSpan(None), NonRecordingSpan(7)]),  # type: ignore[arg-type]
)
texts = st.one_of(st.text(), st.sampled_from(["k", "a b", "é", "v" * 5000, "\ud800", "a=b,c;d"]))
values_of_baggage = st.one_of(texts, st.integers(), st.none(), st.booleans())
bags = st.one_of(
    st.none(),
    st.dictionaries(texts, values_of_baggage, max_size=5),
    st.integers(178, 183).map(lambda count: {f"k{number}": "v" for number in range(count)}),
    st.integers(1, 3).map(lambda count: {f"k{number}": "v" * 4090 for number in range(count)}),
    st.sampled_from([7, Broken(a=1)]),
)
TARGETS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "dict": lambda: ({}, default_setter),
    "mapping": lambda: (UserDict(), default_setter),
    "no mapping": lambda: (7, default_setter),
    "message": lambda: ({"headers": [[b"a", b"b"]]}, asgi_setter),
    "empty message": lambda: ({}, asgi_setter),
    "kafka's message": lambda: ([("a", b"b")], kafka_setter),
    "kafka's message, dict": lambda: ({}, kafka_setter),
    "kafka's message, no headers": lambda: (None, kafka_setter),
    "confluent's message": lambda: ([], confluent_setter),
    "confluent's message, dict": lambda: ({}, confluent_setter),
    "confluent's message, tuple": lambda: ((), confluent_setter),
    "aiokafka's message": lambda: ([], aiokafka_setter),
    "aiokafka's message, tuple": lambda: ((), aiokafka_setter),
    "own": lambda: ({}, OwnSetter()),
}


@given(
    span=spans,
    bag=bags,
    propagator=st.sampled_from(sorted(PROPAGATORS)),
    target=st.sampled_from(sorted(TARGETS)),
    is_current=st.booleans(),
)
@settings(max_examples=1500, deadline=None)
def test_inject(span: Any, bag: Any, propagator: str, target: str, is_current: bool) -> None:
    values = {trace.propagation._SPAN_KEY: span, baggage._BAGGAGE_KEY: bag}
    given_context = Context({key: value for key, value in values.items() if value is not None})
    results = []
    for side in both(propagator):
        carrier, setter = TARGETS[target]()
        token = context.attach(given_context if is_current else Context())
        try:
            argument = None if is_current else given_context
            result = seen(lambda s=side, c=carrier, a=argument, t=setter: s.inject(c, a, setter=t))
        finally:
            context.detach(token)
        results.append((result, carrier))
    assert results[0] == results[1]


# --- What is left out ------------------------------------------------------------------------------------------------

PLAIN_CARRIERS = [
    "dict",
    "environ",
    "scope, ASCII",
    "request",
    "message",
    "no headers",
    "confluent's message",
    "confluent's message, no headers",
    "aiokafka's message",
]
PLAIN_TARGETS = [
    "dict",
    "message",
    "kafka's message",
    "confluent's message",
    "confluent's message, dict",
    "aiokafka's message",
]


@pytest.mark.parametrize("carrier", PLAIN_CARRIERS)
def test_a_known_getter_is_not_called(carrier: str) -> None:
    native = both("composite")[1]
    headers, getter = CARRIERS[carrier]({"traceparent": TRACE_PARENT, "tracestate": "a=1", "baggage": "k=v"})
    native.extract(headers, getter=getter)
    assert python_functions_in(lambda: native.extract(headers, getter=getter)) == []


@pytest.mark.parametrize("target", PLAIN_TARGETS)
def test_a_known_setter_is_not_called(target: str) -> None:
    native = both("composite")[1]
    state = TraceState([("a", "1")])
    span = NonRecordingSpan(SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(3), trace_state=state))
    given_context = baggage.set_baggage("k", "v", trace.set_span_in_context(span, Context()))
    headers, setter = TARGETS[target]()
    native.inject(headers, given_context, setter)
    # The API's class of spans is abstract: Python asks it whether this is one.
    called = python_functions_in(lambda: native.inject(headers, given_context, setter))
    assert set(called) <= {"__instancecheck__"}


def python_functions_in(work: Callable[[], Any]) -> list[str]:
    """The functions that `work` calls."""
    called: list[str] = []
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
    try:
        work()
    finally:
        sys.setprofile(None)
    return called[1:]
