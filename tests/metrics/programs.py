"""Programs of meters, instruments, views, readers and measurements, as data: each SDK builds objects of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from ..differential.values import Items, Odd, Pairs, Plain, Value

SYNCHRONOUS = ("counter", "up_down_counter", "histogram", "gauge")
OBSERVABLE = ("observable_counter", "observable_up_down_counter", "observable_gauge")
KINDS = SYNCHRONOUS + OBSERVABLE
METERS = ("library", "other")
NAMES = ("requests", "Requests", "duration", "memory.used")


@dataclass(frozen=True)
class Aggregation:
    kind: str
    arguments: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class View:
    """What it matches, and what it makes of it. `reservoir`: a factory of the program's own, which keeps so many."""

    match: tuple[tuple[str, Any], ...]
    change: tuple[tuple[str, Any], ...]
    attribute_keys: tuple[Any, ...] | None
    aggregation: Aggregation
    reservoir: int | None


@dataclass(frozen=True)
class Reader:
    delta: frozenset[str]
    aggregations: tuple[tuple[str, Aggregation], ...]


@dataclass(frozen=True)
class Instrument:
    meter: str
    kind: str
    name: str
    unit: str
    description: str
    boundaries: tuple[Any, ...] | None


@dataclass(frozen=True)
class Measured:
    """By a synchronous instrument at once, by an observable one at each collection. `span`: what is current."""

    instrument: int
    amount: Any
    attributes: Value | None
    span: str


@dataclass(frozen=True)
class Collect:
    reader: int


Step = Instrument | Measured | Collect


@dataclass(frozen=True)
class Program:
    exemplar_filter: str
    views: tuple[View, ...]
    readers: tuple[Reader, ...]
    instruments: tuple[Instrument, ...]
    steps: tuple[Step, ...]


# --- Amounts ---------------------------------------------------------------------------------------------------------

# The sum of a program's integers stays within 64 bits.
EXACT = (2**53, 2**53 + 1, float(2**53), 2**55)
_integers = st.one_of(st.sampled_from([0, 1, 2, 5, 10, 1000, *EXACT]), st.integers(0, 2**57), st.integers(-20, 20))
_floats = st.one_of(
    st.sampled_from(
        [0.0, -0.0, 0.5, 1.0, 2.0, 5.0, 1e300, 5e-324, 2.2e-308, float("nan"), float("inf"), float("-inf")]
    ),
    st.floats(0, 1000),
    st.floats(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
)
ODD_AMOUNTS = (
    "bool",
    "int subclass",
    "float subclass",
    "numpy-like float",
    "decimal",
    "negative decimal",
    "fraction",
    "beyond 64 bits",
    "negative beyond 64 bits",
    "beyond doubles",
    "text",
    "text subclass",
    "none",
    "list",
    "raises",
    "complex",
)
amounts = st.one_of(
    _integers.map(Plain), _integers.map(Plain), _floats.map(Plain), _floats.map(Plain), st.sampled_from(ODD_AMOUNTS)
)

# --- Attributes ------------------------------------------------------------------------------------------------------

_NAN = float("nan")
_list = [Plain(1), Plain(2)]
_values: st.SearchStrategy[Value] = st.sampled_from(
    [
        *map(Plain, [1, 1.0, True, 0, 0.0, -0.0, False, None, _NAN, "x", "", "1", b"x", b"", 2**63 - 1, 2**70]),
        *map(Plain, ["é", "\ud800 alone", float("inf"), -(2**63), "x" * 300]),
        *(Items(tuple(map(Plain, items)), kind) for kind in ("list", "tuple", "own") for items in ([], [1, 2], [1.0])),
        *(Items((Plain(item),)) for item in (True, 1, "1", None, 0.0, -0.0)),
        Items((Items((Plain(1),)), Items((Plain(2),)))),
        *(Pairs(((Plain("k"), Plain(1)), (Plain("j"), Plain(2))), kind) for kind in ("dict", "proxy", "own")),
        Pairs(((Plain("j"), Plain(2)), (Plain("k"), Plain(1)))),
        Pairs(()),
        Pairs(((Plain(1), Plain(2)),)),
        *map(
            Odd,
            [
                "with str",
                "text subclass",
                "int subclass",
                "float subclass",
                "bytes subclass",
                "enum",
                "int enum",
                "text enum",
                "set",
                "range",
                "bytearray",
                "decimal",
                "named tuple",
                "raises",
                "gives no text",
                "raises in iteration",
                "surrogates in str",
            ],
        ),
    ]
)
_keys: st.SearchStrategy[Value] = st.one_of(
    st.sampled_from(["a", "b", "c"]).map(Plain),
    st.sampled_from(["a", "b", "c"]).map(Plain),
    st.one_of(
        st.sampled_from(["", "d", "é", "\ud800", 1, 1.5, True, None, b"a", (1,)]).map(Plain),
        st.sampled_from(["text subclass", "enum", "int enum", "raises"]).map(Odd),
    ),
)


def _apart(pairs: list[tuple[Any, Value]]) -> bool:
    """Whether no two keys are equal, or have the same text."""
    shown = [
        str(key.value) if isinstance(key, Plain) else {"int enum": "1"}.get(key.name, key.name) for key, _ in pairs
    ]
    return len(set(shown)) == len(shown) and not {"1", "True"} <= set(shown)


_few = st.sampled_from([1, 2, "x", "y", True]).map(Plain)
_pairs = st.one_of(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]).map(Plain), _few), max_size=3),
    st.lists(st.tuples(_keys, st.one_of(_few, _values)), max_size=4),
)
attributes: st.SearchStrategy[Value | None] = st.one_of(
    st.none(),
    st.builds(Pairs, _pairs.filter(_apart).map(tuple), st.sampled_from(["dict", "dict", "dict", "proxy", "own"])),
    st.builds(Pairs, _pairs.filter(_apart).map(tuple)),
    st.sampled_from([Plain(5), Plain("text"), Items((Plain(1),)), Odd("set"), Plain(0)]),
)

# --- Configuration ---------------------------------------------------------------------------------------------------

_bounds = st.sampled_from([(), (0,), (0.0, 5, 10.0), (-5.5, 0, 2**53 + 1), (0.1, 0.2, 0.3, 1e300), (5e-324,)])
exponential = st.builds(
    lambda size, scale, record: Aggregation(
        "exponential", (("max_size", size), ("max_scale", scale), ("record_min_max", record))
    ),
    st.sampled_from([2, 3, 4, 5, 7, 10, 20, 161]),
    st.sampled_from([-10, -9, -4, -1, 0, 1, 2, 5, 13, 20]),
    st.booleans(),
)
aggregations = st.one_of(
    st.just(Aggregation("default")),
    st.just(Aggregation("default")),
    st.sampled_from([Aggregation(kind) for kind in ("sum", "last value", "drop")]),
    st.builds(
        lambda bounds, record: Aggregation("explicit", (("boundaries", bounds), ("record_min_max", record))),
        st.one_of(st.none(), _bounds),
        st.booleans(),
    ),
    exponential,
)
_names = st.sampled_from(["*", "requests", "re*", "??quests", "duration", "*.used", "nothing"])


@st.composite
def _views(draw: st.DrawFn) -> View:
    match: dict[str, Any] = {}
    if draw(st.booleans()):
        match["instrument_name"] = draw(_names)
    if draw(st.booleans()):
        match["instrument_type"] = draw(st.sampled_from(KINDS))
    if draw(st.integers(0, 3)) == 0:
        match["instrument_unit"] = draw(st.sampled_from(["", "s", "By"]))
    if draw(st.integers(0, 3)) == 0:
        match["meter_name"] = draw(st.sampled_from(METERS))
    if not match:
        match["instrument_name"] = "*"
    change: dict[str, Any] = {}
    if draw(st.booleans()) and not set(match.get("instrument_name", "")) & set("*?"):
        change["name"] = draw(st.sampled_from(["renamed", "requests", ""]))
    if draw(st.booleans()):
        change["description"] = draw(st.sampled_from(["of the view", ""]))
    keys = draw(st.sampled_from([None, None, (), ("a",), ("a", "b"), ("é", ""), ("1", "a"), (1, "a")]))
    aggregation = draw(aggregations)
    # An own reservoir cannot be made for a histogram's bounds or size without knowing which it is.
    reservoir = draw(st.sampled_from([None, None, None, 1, 30]))
    return View(tuple(match.items()), tuple(change.items()), keys, aggregation, reservoir)


_readers = st.builds(
    Reader,
    st.frozensets(st.sampled_from(KINDS)),
    st.dictionaries(st.sampled_from(KINDS), aggregations, max_size=2).map(
        # An observable instrument with a histogram raises at a reader's collection... in neither SDK.
        lambda chosen: tuple(chosen.items())
    ),
)
_instruments = st.builds(
    Instrument,
    st.sampled_from(METERS),
    st.sampled_from(KINDS),
    st.sampled_from(NAMES),
    st.sampled_from(["", "s", "By"]),
    st.sampled_from(["", "described"]),
    st.one_of(st.none(), _bounds),
)
SPANS = ("none", "none", "sampled", "sampled", "unsampled", "invalid", "given", "given empty", "given none")
_measured = st.builds(
    Measured,
    st.integers(0, 7),
    amounts,
    attributes,
    st.sampled_from(
        ["none", "none", "sampled", "sampled", "unsampled", "invalid", "given", "given empty", "given none"]
    ),
)
_steps = st.one_of(_measured, _measured, _measured, _measured, st.builds(Collect, st.integers(0, 2)), _instruments)

programs = st.builds(
    Program,
    st.sampled_from(["on", "off", "trace", "own"]),
    st.lists(_views(), max_size=3).map(tuple),
    st.lists(_readers, min_size=1, max_size=3).map(tuple),
    st.lists(_instruments, min_size=1, max_size=4).map(tuple),
    st.lists(_steps, min_size=1, max_size=25).map(tuple),
)
