"""Programs that log, as data: each SDK builds objects of its own."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from ..differential.values import Items, Pairs, Plain, Value
from ..metrics.programs import attributes

SPANS = ("none", "sampled", "unsampled", "invalid", "given", "given empty", "given none")


@dataclass(frozen=True)
class Emit:
    """By a logger's own `emit`. `as_record`: the arguments make a LogRecord of the API before."""

    logger: str
    timestamp: int | None
    observed_timestamp: int | None
    severity: str | None
    severity_text: str | None
    body: Value
    attributes: Value | None
    event_name: str | None
    raised: str | None
    span: str
    as_record: bool


@dataclass(frozen=True)
class Log:
    """By a logger of Python's, with one of upstream's handlers."""

    handler: str
    logger: str
    level: int
    msg: Value
    args: tuple[Any, ...]
    extra: tuple[tuple[str, Value], ...]
    raised: str | None
    span: str


@dataclass(frozen=True)
class Program:
    max_attributes: int | None
    max_attribute_length: int | None
    code_attributes: bool
    formatter: str | None
    steps: tuple[Emit | Log, ...]


_LOGGERS = st.sampled_from(["app", "app.db", "", "other"])
_times = st.sampled_from([None, 0, 1, 1_600_000_000_000_000_000, 2**64 - 1])
_plain: st.SearchStrategy[Value] = st.sampled_from(
    [*map(Plain, [None, True, False, 0, -1, 2**63 - 1, -(2**63), 0.5, "", "text", "é", "x" * 200, b"", b"\xff"])]
)
_body: st.SearchStrategy[Value] = st.recursive(
    _plain,
    lambda inner: st.one_of(
        st.builds(Items, st.lists(inner, max_size=3).map(tuple), st.sampled_from(["list", "tuple"])),
        st.builds(
            Pairs,
            st.lists(
                st.tuples(st.sampled_from(["a", "b", "c"]).map(Plain), inner),
                max_size=3,
                unique_by=lambda pair: pair[0],
            ).map(tuple),
        ),
    ),
    max_leaves=5,
)
RAISED = ("message", "no arguments", "number", "chained", "own class", "group of arguments")
_emit = st.builds(
    Emit,
    logger=_LOGGERS,
    timestamp=_times,
    observed_timestamp=_times,
    severity=st.sampled_from([None, "UNSPECIFIED", "TRACE", "DEBUG2", "INFO", "WARN", "ERROR3", "FATAL4"]),
    severity_text=st.sampled_from([None, "", "INFO", "custom", "é"]),
    body=_body,
    # Of what raises: tests/logs/test_bad_values.py.
    attributes=attributes.filter(lambda described: not re.search("raises|gives no text", repr(described))),
    event_name=st.sampled_from([None, "", "event", "é"]),
    raised=st.one_of(st.none(), st.none(), st.none(), st.sampled_from(RAISED)),
    span=st.sampled_from(SPANS),
    as_record=st.booleans(),
)
_formatted: st.SearchStrategy[tuple[Value, tuple[Any, ...]]] = st.one_of(
    st.sampled_from(
        [
            (Plain("plain"), ()),
            (Plain("%s of %d"), ("text", 5)),
            (Plain("%(a)s"), ({"a": 1},)),
            (Plain("100%"), ()),
            (Plain("%r"), ((),)),
            (Plain("%s"), (None,)),
            (Plain("é %5.2f"), (1.5,)),
            (Plain(""), ()),
            (Plain(5), ()),
            (Plain(None), ()),
            (Plain("none of %%"), ()),
        ]
    ),
    _body.map(lambda body: (body, ())),
)
_extra_values: st.SearchStrategy[Value] = st.one_of(
    _plain, _plain, st.builds(Items, st.lists(_plain, max_size=3).map(tuple)), st.just(Plain("y" * 50))
)
_extra = st.lists(
    st.tuples(
        st.sampled_from(
            ["user", "count", "otel.event.name", "event.name", "code.file.path", "exception.type", "é", "otelTraceID"]
        ),
        _extra_values,
    ),
    max_size=4,
    unique_by=lambda pair: pair[0],
).map(tuple)


def _may_name(value: Value) -> bool:
    return isinstance(value, Plain) and isinstance(value.value, str | None)


@st.composite
def _log(draw: st.DrawFn) -> Log:
    msg, args = draw(_formatted)
    return Log(
        handler=draw(st.sampled_from(["sdk", "instrumentation"])),
        logger=draw(_LOGGERS),
        level=draw(st.sampled_from([*range(1, 60), logging.INFO, logging.WARNING, logging.CRITICAL, 1000])),
        msg=msg,
        args=args,
        extra=tuple(
            # Upstream's encoder takes nothing but a text for the name of an event.
            (name, value if not name.endswith("event.name") or _may_name(value) else Plain("named"))
            for name, value in draw(_extra)
        ),
        raised=draw(st.one_of(st.none(), st.none(), st.sampled_from(RAISED))),
        span=draw(st.sampled_from(["none", "sampled", "unsampled", "invalid"])),
    )


programs = st.builds(
    Program,
    max_attributes=st.sampled_from([None, None, 0, 1, 3, 128]),
    max_attribute_length=st.sampled_from([None, None, 0, 5, 100]),
    code_attributes=st.booleans(),
    formatter=st.sampled_from([None, None, "%(levelname)s %(message)s", "%(name)s: %(message)s (%(lineno)d)"]),
    steps=st.lists(st.one_of(_emit, _log()), min_size=1, max_size=5).map(tuple),
)
