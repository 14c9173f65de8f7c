"""Programs that create spans: each runs on the stock SDK and on otel-rs, and both must create the same spans.

A program takes a tracer. Times are explicit where they would differ otherwise; ids are compared by structure.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import types
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

Program = Callable[[trace.Tracer], None]

PROGRAMS: dict[str, Program] = {}

REMOTE = SpanContext(0x1234567890ABCDEF1234567890ABCDEF, 0x1234567890ABCDEF, True, TraceFlags(1))
LOCAL = SpanContext(0x22222222222222222222222222222222, 0x2222222222222222, False, TraceFlags(1))
INVALID = SpanContext(0, 0, False)
WITH_STATE = SpanContext(
    0x33333333333333333333333333333333,
    0x3333333333333333,
    True,
    TraceFlags(3),
    TraceState([("a", "1"), ("b@c", "x y")]),
)


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


# --- Values of attributes --------------------------------------------------------------------------------------------


class Text(str):
    def __str__(self) -> str:
        return "not this"


class Whole(int):
    def __str__(self) -> str:
        return "not this"


class Real(float):
    def __str__(self) -> str:
        return "not this"


class Octets(bytes):
    pass


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Flag(enum.IntFlag):
    A = 1
    B = 2


class Name(str, enum.Enum):
    FIRST = "first"


class WithStr:
    def __str__(self) -> str:
        return "with str"


class WithRepr:
    def __repr__(self) -> str:
        return "with repr"


class Without:
    pass


class Sequence(collections.abc.Sequence):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return ("zero", 1)[index]


class Mapping(collections.abc.Mapping):
    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Any:
        return iter(["key"])

    def __getitem__(self, key: str) -> Any:
        return {"key": [1, "two"]}[key]


Point = collections.namedtuple("Point", "x y")


VALUES: dict[str, Any] = {
    "text": "text",
    "empty text": "",
    "accents": "žluťoučký kůň",
    "other planes": "日本語 🦀 \U0010ffff",
    "control characters": "a\x00b\x01\n\t\x7f",
    "long text": "x" * 70_000,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "minus one": -1,
    "varint edges": [127, 128, 16_383, 16_384, 2**31 - 1, 2**31, 2**32],
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "float": 1.5,
    "zero float": 0.0,
    "minus zero": -0.0,
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "not a number": float("nan"),
    "tiny": 5e-324,
    "bytes": b"\x00\xff bytes",
    "empty bytes": b"",
    "none": None,
    "list": ["a", "b"],
    "tuple": (1, 2, 3),
    "empty list": [],
    "empty tuple": (),
    "empty mapping": {},
    "mixed": ["a", 1, 2.5, True, None, b"b", ["nested", [1]], {"k": "v"}],
    "lists of nothing": [None, [], {}, [[]]],
    "nested mapping": {"a": {"b": {"c": [1, {"d": None}]}}, "e": 1},
    "mapping with odd keys": {1: "int", None: "none", "": "empty", 2.5: "float", (1, 2): "tuple", False: "bool"},
    "mapping with a key without a text": {Without(): 1, "kept": 2},
    "mapping of enums": {"int": Number.ONE, "text": Name.FIRST, Colour.RED: Colour.RED},
    "mapping of text enums": {Name.FIRST: 1},
    "text subclass": Text("text"),
    "int subclass": Whole(7),
    "float subclass": Real(7.5),
    "bytes subclass": Octets(b"octets"),
    "enum": Colour.RED,
    "int enum": Number.ONE,
    "flags": Flag.A | Flag.B,
    "text enum": Name.FIRST,
    "range": range(3),
    "bytearray": bytearray(b"ab"),
    "memoryview": memoryview(b"ab"),
    "set": {1},
    "frozenset": frozenset(["a"]),
    "deque": collections.deque([1, 2]),
    "ordered mapping": collections.OrderedDict([("z", 1), ("a", 2)]),
    "default mapping": collections.defaultdict(list, {"a": [1]}),
    "chained mapping": collections.ChainMap({"a": 1}, {"b": 2}),
    "mapping proxy": types.MappingProxyType({"a": [1]}),
    "named tuple": Point(1, "y"),
    "counter": collections.Counter("aab"),
    "a sequence of one's own": Sequence(),
    "a mapping of one's own": Mapping(),
    "an object with __str__": WithStr(),
    "an object with __repr__": WithRepr(),
    "an object with neither": Without(),
    "objects in a list": [WithStr(), WithRepr(), Without()],
    "objects in a mapping": {"a": WithStr(), "b": Without()},
    "complex": 1 + 2j,
    "exception": ValueError("message"),
    "class": ValueError,
    "ellipsis": ...,
    "29 levels": __import__("functools").reduce(lambda inner, _: [inner], range(29), 1),
}


def _value_program(value: Any) -> Program:
    def run(tracer: trace.Tracer) -> None:
        with tracer.start_as_current_span("value", attributes={"before": 1, "key": value}) as span:
            span.set_attribute("set", value)
            span.set_attributes({"plain": 1, "set in a mapping": value})
            span.add_event("event", {"key": value}, timestamp=1)
            span.add_link(LOCAL, {"key": value})

    return run


for _name, _value in VALUES.items():
    PROGRAMS[f"value: {_name}"] = _value_program(_value)


# --- Keys and overwriting --------------------------------------------------------------------------------------------


@program
def keys_of_every_kind(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("keys") as span:
        for key in [
            "",
            "a",
            "é",
            "with space",
            "dotted.key",
            "a" * 300,
            Text("subclass"),
            None,
            1,
            1.5,
            b"bytes",
            (1,),
        ]:
            span.set_attribute(key, "value")  # type: ignore[arg-type]


@program
def keys_of_every_kind_in_mappings(tracer: trace.Tracer) -> None:
    attributes: dict[Any, Any] = {
        "a": 1,
        "": 2,
        None: 3,
        1: 4,
        2.5: 5,
        b"x": 6,
        Without(): 7,
        WithStr(): 8,
        Name.FIRST: 9,
    }
    with tracer.start_as_current_span("keys", attributes=attributes) as span:
        span.set_attributes(attributes)
        span.add_event("event", attributes, timestamp=1)
        span.add_link(LOCAL, attributes)


@program
def overwriting_a_key_moves_it_to_the_end(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("overwrite", attributes={"a": 1, "b": 2, "c": 3}) as span:
        span.set_attribute("a", "again")
        span.set_attributes({"b": [1], "d": 4})
        span.set_attribute("d", None)


@program
def overwriting_many_keys_many_times(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("overwrite") as span:
        for number in range(1000):
            span.set_attribute(f"key{number * 7 % 100}", number)


@program
def every_kind_of_mapping(tracer: trace.Tracer) -> None:
    for attributes in (Mapping(), types.MappingProxyType({"a": 1}), collections.OrderedDict(a=1), {}, None):
        with tracer.start_as_current_span("mapping", attributes=attributes) as span:
            span.add_event("event", attributes, timestamp=1)
            if attributes is not None:
                span.set_attributes(attributes)


@program
def a_mutable_value_changed_afterwards(tracer: trace.Tracer) -> None:
    value, mapping = [1, 2], {"a": [1]}
    with tracer.start_as_current_span("mutable", attributes={"list": value}) as span:
        span.set_attribute("mapping", mapping)
        value.append(3)
        mapping["a"].append(2)
        mapping["b"] = [3]


# --- Structure -------------------------------------------------------------------------------------------------------


@program
def a_tree(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("root"):
        for number in range(3):
            with tracer.start_as_current_span(f"child {number}"), tracer.start_as_current_span("grandchild"):
                tracer.start_span("not current").end()
        tracer.start_span("a root of its own", context=trace.context_api.Context()).end()


@program
def kinds(tracer: trace.Tracer) -> None:
    for kind in SpanKind:
        tracer.start_span("kind", kind=kind).end()


@program
def names(tracer: trace.Tracer) -> None:
    for name in ["", " ", "é🦀", "a\x00b", "x" * 10_000, Text("subclass")]:
        tracer.start_span(name).end()


@program
def updated_names(tracer: trace.Tracer) -> None:
    span = tracer.start_span("before")
    span.update_name("between")
    span.update_name("after")
    span.end()
    with contextlib.suppress(Exception):
        span.update_name("too late")


@program
def explicit_times(tracer: trace.Tracer) -> None:
    for start, end in [
        (0, 0),
        (1, 2),
        (2, 1),
        (1_700_000_000_000_000_000, 1_700_000_000_000_000_001),
        (2**64 - 1, 2**64 - 1),
    ]:
        tracer.start_span(f"{start} to {end}", start_time=start).end(end)


@program
def parents_of_every_kind(tracer: trace.Tracer) -> None:
    for parent in (REMOTE, LOCAL, INVALID, WITH_STATE, SpanContext(1, 0, True), SpanContext(0, 1, True)):
        context = set_span_in_context(NonRecordingSpan(parent))
        with tracer.start_as_current_span("child", context=context):
            tracer.start_span("grandchild").end()


@program
def statuses(tracer: trace.Tracer) -> None:
    calls: list[list[tuple]] = [
        [],
        [(StatusCode.UNSET,)],
        [(StatusCode.UNSET, "ignored")],
        [(StatusCode.OK,)],
        [(StatusCode.OK, "ignored")],
        [(StatusCode.ERROR,)],
        [(StatusCode.ERROR, "description")],
        [(StatusCode.ERROR, "")],
        [(StatusCode.ERROR, 5)],
        [(StatusCode.ERROR, "žluťoučký kůň")],
        [(Status(StatusCode.ERROR, "description"),)],
        [(Status(StatusCode.ERROR, "description"), "ignored")],
        [(Status(StatusCode.OK),)],
        [(Status(StatusCode.OK, "ignored"),)],
        [(Status(),)],
        [(StatusCode.ERROR, "first"), (StatusCode.ERROR, "second")],
        [(StatusCode.ERROR, "first"), (StatusCode.ERROR,)],
        [(StatusCode.ERROR, "first"), (StatusCode.OK,)],
        [(StatusCode.ERROR, "first"), (StatusCode.UNSET,)],
        [(StatusCode.OK,), (StatusCode.ERROR, "too late")],
        [(StatusCode.OK,), (Status(StatusCode.ERROR, "too late"),)],
        [("ERROR",)],
        [(2,)],
    ]
    for number, of_span in enumerate(calls):
        span = tracer.start_span(f"status {number}")
        for arguments in of_span:
            span.set_status(*arguments)
        span.end()


@program
def events(tracer: trace.Tracer) -> None:
    span = tracer.start_span("events")
    span.add_event("plain", timestamp=1)
    span.add_event("with attributes", {"a": 1, "b": [True]}, 2)
    span.add_event("none", None, 3)
    span.add_event("", {}, 4)
    span.add_event("é🦀", {"key": None}, 2**64 - 1)
    span.add_event("zero", timestamp=0)
    span.end()


@program
def links(tracer: trace.Tracer) -> None:
    with_links = [
        Link(LOCAL),
        Link(REMOTE, {"a": 1}),
        Link(INVALID),
        Link(INVALID, {"kept for": "its attributes"}),
        Link(LOCAL, {}),
        Link(LOCAL, None),
    ]
    span = tracer.start_span("links", links=with_links)
    span.add_link(LOCAL)
    span.add_link(REMOTE, {"b": [1, 2]})
    span.add_link(INVALID)
    span.add_link(INVALID, {"kept": True})
    span.add_link(None)  # type: ignore[arg-type]
    span.end()
    for links in (None, (), [], (Link(LOCAL),), iter([Link(LOCAL)])):
        tracer.start_span("kinds of sequence", links=links).end()


@program
def writes_after_the_end(tracer: trace.Tracer) -> None:
    span = tracer.start_span("ended", attributes={"a": 1})
    span.end(5)
    span.set_attribute("late", 1)
    span.set_attribute("", 1)
    span.set_attributes({"late": 1, "": 2})
    span.add_event("late", {"": 1})
    span.add_link(LOCAL)
    span.set_status(StatusCode.ERROR, "late")
    span.update_name("late")
    span.record_exception(ValueError("late"))
    span.end(6)


# --- Exceptions ------------------------------------------------------------------------------------------------------


class Failure(Exception):
    class Nested(Exception):
        pass


class WithoutModule(Exception):
    __module__ = None  # type: ignore[assignment]


EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "builtin": lambda: ValueError("message"),
    "empty": lambda: KeyError(),
    "own": lambda: Failure("žluťoučký kůň"),
    "nested": lambda: Failure.Nested(1, 2),
    "without module": lambda: WithoutModule("x"),
    "base": lambda: GeneratorExit("x"),
    "exit": lambda: SystemExit(3),
}


def _exception_program(make: Callable[[], BaseException]) -> Program:
    def run(tracer: trace.Tracer) -> None:
        for arguments in (
            {},
            {"record_exception": False},
            {"set_status_on_exception": False},
            {"record_exception": False, "set_status_on_exception": False},
        ):
            with contextlib.suppress(BaseException), tracer.start_as_current_span("current", **arguments):
                raise make()
            with contextlib.suppress(BaseException), tracer.start_span("not current", **arguments):
                raise make()
        span = tracer.start_span("recorded")
        error = make()
        span.record_exception(error)
        span.record_exception(error, {"exception.message": "mine", "more": [1]}, timestamp=1, escaped=True)
        try:
            raise make()
        except BaseException as raised:
            span.record_exception(raised, timestamp=2)
        span.end()

    return run


for _name, _make in EXCEPTIONS.items():
    PROGRAMS[f"exception: {_name}"] = _exception_program(_make)


@program
def status_set_before_an_exception_is_kept(tracer: trace.Tracer) -> None:
    for status in (StatusCode.OK, StatusCode.ERROR):
        with contextlib.suppress(ValueError), tracer.start_as_current_span("set") as span:
            span.set_status(status)
            raise ValueError("message")


@program
def an_exception_with_a_cause(tracer: trace.Tracer) -> None:
    with contextlib.suppress(RuntimeError), tracer.start_as_current_span("cause"):
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise RuntimeError("outer") from inner


@program
def an_exception_after_the_end(tracer: trace.Tracer) -> None:
    with contextlib.suppress(ValueError), tracer.start_as_current_span("ended") as span:
        span.end()
        raise ValueError("message")


@program
def not_ended_on_exit(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("ended by hand", end_on_exit=False) as span:
        pass
    span.set_attribute("after", True)
    span.end()
