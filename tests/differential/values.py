"""Attribute values as data: each run builds its own objects from a description, so that runs share no objects."""

from __future__ import annotations

import collections
import collections.abc
import datetime
import decimal
import enum
import re
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

# docs/differences.md: values nested deeper than 30 levels, or that contain themselves.
DEEPEST = 30
NOT_SHOWN = "..."


@dataclass(frozen=True)
class Plain:
    """An immutable value that stands for itself."""

    value: Any


@dataclass(frozen=True)
class Items:
    """A sequence: `list`, `tuple`, or a class of this module."""

    items: tuple[Value, ...]
    kind: str = "list"


@dataclass(frozen=True)
class Pairs:
    """A mapping: `dict`, `proxy`, or a class of this module."""

    pairs: tuple[tuple[Value, Value], ...]
    kind: str = "dict"


@dataclass(frozen=True)
class Odd:
    """An object from `ODD`."""

    name: str


@dataclass(frozen=True)
class Nested:
    """`inner` inside `depth` containers."""

    depth: int
    kind: str
    inner: Value


@dataclass(frozen=True)
class Cyclic:
    """A container with some values and itself."""

    kind: str
    before: tuple[Value, ...]


@dataclass(frozen=True)
class Repeated:
    """A huge text."""

    text: str
    times: int


@dataclass(frozen=True)
class Power:
    """A huge integer."""

    base: int
    exponent: int


Value = Plain | Items | Pairs | Odd | Nested | Cyclic | Repeated | Power

NONE = Plain(None)


# --- Odd objects -----------------------------------------------------------------------------------------------------


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


class NotShown:
    """Stands for a container that is too deep. A length limit does not cut the result of `__str__`."""

    def __str__(self) -> str:
        return NOT_SHOWN


class Surrogates:
    def __str__(self) -> str:
        return "from __str__ \udcff"


class Raises:
    def __str__(self) -> str:
        raise ValueError("from __str__")


class StrReturnsInt:
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class Sequence(collections.abc.Sequence):
    def __init__(self, items: tuple = ("zero", 1)) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]


class Mapping(collections.abc.Mapping):
    def __init__(self, items: dict) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Any:
        return iter(self._items)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]


class RaisesInItems(dict):
    def items(self) -> Any:
        raise ValueError("from items")


class RaisesInIteration(Sequence):
    def __iter__(self) -> Any:
        yield 1
        raise ValueError("from __iter__")


class StartsSpan:
    """`__str__` creates a span, as a database driver might."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def __str__(self) -> str:
        with self._tracer.start_as_current_span("from __str__", attributes={"list": [1]}) as span:
            span.set_attribute("more", "text")
        return "has started a span"


Point = collections.namedtuple("Point", "x y")


def _numbers() -> Any:
    yield 1


ODD: dict[str, Callable[[Any], Any]] = {
    "with str": lambda tracer: WithStr(),
    "with repr": lambda tracer: WithRepr(),
    "without": lambda tracer: Without(),
    "surrogates in str": lambda tracer: Surrogates(),
    "starts a span": StartsSpan,
    "text subclass": lambda tracer: Text("text subclass"),
    "text subclass with surrogates": lambda tracer: Text("text \ud800 subclass"),
    "int subclass": lambda tracer: Whole(7),
    "int subclass beyond 64 bits": lambda tracer: Whole(2**64),
    "float subclass": lambda tracer: Real(7.5),
    "bytes subclass": lambda tracer: Octets(b"octets"),
    "enum": lambda tracer: Colour.RED,
    "int enum": lambda tracer: Number.ONE,
    "text enum": lambda tracer: Name.FIRST,
    "set": lambda tracer: {1},
    "range": lambda tracer: range(3),
    "bytearray": lambda tracer: bytearray(b"ab"),
    "memoryview": lambda tracer: memoryview(b"ab"),
    "deque": lambda tracer: collections.deque([1, 2]),
    "named tuple": lambda tracer: Point(1, "y"),
    "decimal": lambda tracer: decimal.Decimal("1.50"),
    "time": lambda tracer: datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc),
    "complex": lambda tracer: 1 + 2j,
    "class": lambda tracer: ValueError,
    "exception": lambda tracer: ValueError("message"),
    "generator": lambda tracer: _numbers(),
    "user dict": lambda tracer: collections.UserDict(a=1),
    "user list": lambda tracer: collections.UserList([1]),
    "user string": lambda tracer: collections.UserString("user string"),
    "not shown": lambda tracer: NotShown(),
    "raises": lambda tracer: Raises(),
    "gives no text": lambda tracer: StrReturnsInt(),
    "raises in items": lambda tracer: RaisesInItems(a=1),
    "raises in iteration": lambda tracer: RaisesInIteration(),
}
# Objects whose conversion raises in both SDKs.
RAISING = {"raises", "gives no text", "raises in items", "raises in iteration"}
HASHABLE_ODD = [
    "with str",
    "with repr",
    "without",
    "surrogates in str",
    "text subclass",
    "text subclass with surrogates",
    "int subclass",
    "enum",
    "int enum",
    "text enum",
    "class",
    "starts a span",
    "raises",
    "gives no text",
]


# --- Building --------------------------------------------------------------------------------------------------------

SEQUENCES: dict[str, Callable[[list], Any]] = {
    "list": list,
    "tuple": tuple,
    "own": lambda items: Sequence(tuple(items)),
}
MAPPINGS: dict[str, Callable[[dict], Any]] = {"dict": dict, "proxy": types.MappingProxyType, "own": Mapping}


def build(value: Value, tracer: Any) -> Any:
    match value:
        case Plain():
            return value.value
        case Items():
            return SEQUENCES[value.kind]([build(item, tracer) for item in value.items])
        case Pairs():
            return MAPPINGS[value.kind]({build(key, tracer): build(item, tracer) for key, item in value.pairs})
        case Odd():
            return ODD[value.name](tracer)
        case Nested():
            built = build(value.inner, tracer)
            for _ in range(value.depth):
                built = [built] if value.kind == "list" else {"k": built}
            return built
        case Cyclic():
            before = [build(item, tracer) for item in value.before]
            if value.kind == "list":
                before.append(before)
                return before
            cycle = {str(number): item for number, item in enumerate(before)}
            cycle["self"] = cycle
            return cycle
        case Repeated():
            return value.text * value.times
        case Power():
            return value.base**value.exponent


# --- The table of differences, for values where stock raises ---------------------------------------------------------


class Dropped(Exception):
    """The value raises in both SDKs, and is dropped."""


def is_kept(key: Value) -> bool:
    """Whether a mapping keeps the pair of this key: the key is true, and its conversion to text does not raise."""
    return key != Odd("without") and not (isinstance(key, Plain) and not key.value)


def corrected(value: Value, depth: int = 0) -> Value:
    """`value` without the parts that make stock raise: cut at 30 levels and at cycles. `Dropped` if it raises."""
    is_container = isinstance(value, Items | Pairs | Nested | Cyclic) or value == Odd("user string")
    if is_container and depth >= DEEPEST and not (isinstance(value, Nested) and value.depth == 0):
        return Odd("not shown")
    match value:
        case Odd() if value.name in RAISING:
            if depth >= DEEPEST and value.name.startswith("raises in"):
                return Odd("not shown")
            raise Dropped
        case Odd("user string"):
            # Its items equal the object itself, without end.
            length = len("user string")
            return corrected(Items(tuple(Nested(DEEPEST, "list", Plain(1)) for _ in range(length))), depth)
        case Items():
            return replace(value, items=tuple(corrected(item, depth + 1) for item in value.items))
        case Pairs():
            # A dropped key drops its value, too.
            kept = [(key, item) for key, item in value.pairs if is_kept(key)]
            return replace(value, pairs=tuple((corrected(key), corrected(item, depth + 1)) for key, item in kept))
        case Nested():
            levels = min(value.depth, DEEPEST - depth)
            inner = Odd("not shown") if levels < value.depth else corrected(value.inner, depth + levels)
            return replace(value, depth=levels, inner=inner)
        case Cyclic():
            before = tuple(corrected(item, depth + 1) for item in value.before)
            if value.kind == "list":
                return Items((*before, Odd("not shown")))
            keys = [*(str(number) for number in range(len(before))), "self"]
            return Pairs(tuple((Plain(key), item) for key, item in zip(keys, (*before, Odd("not shown")), strict=True)))
        case _:
            return value


# --- Strategies ------------------------------------------------------------------------------------------------------

ANY_CHARACTER = st.characters(exclude_categories=())
SURROGATE = st.characters(categories=["Cs"])
texts = st.one_of(
    st.sampled_from(["", "text", "žluťoučký kůň", "日本語 🦀 \U0010ffff", "a\x00b", " ", "x" * 300]),
    st.text(max_size=8),
    st.text(ANY_CHARACTER, max_size=8),
    st.builds("{}{}{}".format, st.text(max_size=3), SURROGATE, st.text(max_size=3)),
)
integers = st.one_of(
    st.sampled_from([0, 1, -1, 127, 128, 2**31, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64 - 1, 2**64]),
    st.integers(),
    st.integers(-(2**70), 2**70),
)
floats = st.one_of(st.sampled_from([float("nan"), float("inf"), float("-inf"), -0.0, 5e-324]), st.floats())
scalars = st.one_of(texts, texts, integers, integers, floats, st.booleans(), st.none(), st.binary(max_size=6)).map(
    Plain
)
odd = st.sampled_from(sorted(ODD)).map(Odd)
huge = st.one_of(
    st.builds(Repeated, st.sampled_from(["x", "é", "🦀", "\ud800"]), st.sampled_from([1_000, 70_000])),
    st.builds(Power, st.sampled_from([10, -10]), st.sampled_from([30, 4_000, 5_000])),
)
# Keys of mappings.
keys = st.one_of(
    st.sampled_from(["", "a", "b", "c", "d", "e", "key", "1", "True", "None"]).map(Plain),
    texts.map(Plain),
    st.sampled_from([None, 0, 1, 2.5, True, b"x", (1, "a"), -(2**70)]).map(Plain),
    st.sampled_from(HASHABLE_ODD).map(Odd),
)
containers = st.sampled_from(["list", "mapping"])


# A value that raises is converted only up to the exception; the expected result contains no part of it.
_CUT_SHORT = re.compile("raises|gives no text")


def _cleaned(key: Value) -> str:
    """The text of a key, or a unique object if it has none."""
    if isinstance(key, Odd):
        return {"int enum": "1"}.get(key.name, repr(key))
    return str(key.value) if isinstance(key, Plain) else repr(key)


def _replaces_no_conversion(pairs: list[tuple[Value, Value]]) -> bool:
    # test_findings.py: if several keys become the same text, only the last value is converted.
    texts = collections.Counter(_cleaned(key) for key, _ in pairs)
    twice = repr([value for key, value in pairs if texts[_cleaned(key)] > 1])
    return "starts a span" not in twice and not _CUT_SHORT.search(twice)


def pairs(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[tuple[tuple[Value, Value], ...]]:
    return st.lists(st.tuples(keys, inner), max_size=4).filter(_replaces_no_conversion).map(tuple)


def _stay_apart(mapping: Pairs) -> bool:
    # test_findings.py: nested keys that differ only in surrogates are both sent.
    texts = {_cleaned(key) for key, _ in mapping.pairs}
    return len({re.sub("[\ud800-\udfff]", "\ufffd", text) for text in texts}) == len(texts)


def _within(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.one_of(
        st.builds(Items, st.lists(inner, max_size=3).map(tuple), st.sampled_from(sorted(SEQUENCES))),
        st.builds(Pairs, pairs(inner), st.sampled_from(sorted(MAPPINGS))).filter(_stay_apart),
        st.builds(Cyclic, containers, st.lists(inner, max_size=2).map(tuple)),
    )


nested = st.builds(
    Nested,
    st.one_of(st.integers(0, 40), st.sampled_from([29, 30, 31, 32, 100, 300, 5_000])),
    containers,
    st.one_of(scalars, odd),
)
_any = st.one_of(scalars, scalars, odd, st.recursive(st.one_of(scalars, odd), _within, max_leaves=6), nested, huge)


# docs/differences.md: a value with a lossy wire form is converted twice, with every object in it that starts a span.
_CONVERTED_TWICE = re.compile(r"\\ud[89a-f]|\d{19}|Power|Cyclic|Nested|beyond|surrogates|user string")


def _starts_as_many_spans(value: Value) -> bool:
    shown = repr(value)
    return "starts a span" not in shown or not (_CONVERTED_TWICE.search(shown) or _CUT_SHORT.search(shown))


def starts_no_span_that_is_dropped(attributes: Pairs) -> bool:
    """The expected result contains no part of a pair whose value raises, and no span that its key started."""
    return not any(key == Odd("starts a span") and _CUT_SHORT.search(repr(value)) for key, value in attributes.pairs)


def _reads_back_as_sent(value: Value) -> bool:
    # test_findings.py: a value converted for reading contains an object's default text, with its address.
    shown = repr(value)
    return "'without'" not in shown or not _CONVERTED_TWICE.search(shown)


_compared = _any.filter(_starts_as_many_spans).filter(_reads_back_as_sent)


# Hypothesis prints a strategy in full, but a function as its name.
@st.composite
def values(draw: st.DrawFn) -> Value:
    return draw(_compared)
