"""Cases of the test suite of W3C's Trace Context (https://github.com/w3c/trace-context/tree/main/test)."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import propagate, trace

TRACE_ID = "12345678901234567890123456789012"
SPAN_ID = "1234567890123456"


def parent_of(**headers: Any) -> Any:
    context = trace.get_current_span(propagate.extract(headers)).get_span_context()
    return context if context.is_valid else None


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-00",
        f"00-{TRACE_ID}-{SPAN_ID}-ff",
        f"cc-{TRACE_ID}-{SPAN_ID}-01",
        f"cc-{TRACE_ID}-{SPAN_ID}-01-what-the-future-will-be-like",
        f" 00-{TRACE_ID}-{SPAN_ID}-01 ",
        f"\t00-{TRACE_ID}-{SPAN_ID}-01\t",
    ],
)
def test_a_valid_traceparent_is_continued(header: str) -> None:
    parent = parent_of(traceparent=header)
    assert (trace.format_trace_id(parent.trace_id), trace.format_span_id(parent.span_id)) == (TRACE_ID, SPAN_ID)
    assert parent.is_remote
    assert parent.trace_flags == int(header.split("-")[3].strip()[:2], 16)


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE_ID}-{SPAN_ID}-01.",
        f"00-{TRACE_ID}-{SPAN_ID}-01-",
        f"00-{TRACE_ID}-{SPAN_ID}-01-what-the-future-will-be-like",
        f"cc-{TRACE_ID}-{SPAN_ID}-01.what-the-future-will-not-be-like",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f".0-{TRACE_ID}-{SPAN_ID}-01",
        f"0.-{TRACE_ID}-{SPAN_ID}-01",
        f"000-{TRACE_ID}-{SPAN_ID}-01",
        f"0-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{'.' + TRACE_ID[1:]}-{SPAN_ID}-01",
        f"00-{TRACE_ID}0-{SPAN_ID}-01",
        f"00-{TRACE_ID[1:]}-{SPAN_ID}-01",
        f"00-{'ABCDEF' + TRACE_ID[6:]}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID}-{'.' + SPAN_ID[1:]}-01",
        f"00-{TRACE_ID}-{SPAN_ID}0-01",
        f"00-{TRACE_ID}-{SPAN_ID[1:]}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-.0",
        f"00-{TRACE_ID}-{SPAN_ID}-0.",
        f"00-{TRACE_ID}-{SPAN_ID}-001",
        f"00-{TRACE_ID}-{SPAN_ID}-1",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"{TRACE_ID}-{SPAN_ID}-01",
        "",
    ],
)
def test_an_invalid_traceparent_starts_a_new_trace(header: str) -> None:
    assert parent_of(traceparent=header, tracestate="foo=1") is None


@pytest.mark.parametrize(
    ("headers", "state"),
    [
        (["foo=1"], {"foo": "1"}),
        (["foo=1,bar=2", "rojo=1"], {"foo": "1", "bar": "2", "rojo": "1"}),
        (["foo=1", ""], {"foo": "1"}),
        ([""], {}),
        (["foo=1 , \t bar=2, ,baz=3"], {"foo": "1", "bar": "2", "baz": "3"}),
        (["foo=1,foo=1"], {}),
        (["foo=1", "foo=2"], {}),
        (["foo =1"], {}),
        (["FOO=1"], {}),
        (["foo.bar=1"], {}),
        (["foo@=1,bar=2"], {}),
        (["@foo=1,bar=2"], {}),
        (["foo@@bar=1,bar=2"], {}),
        (["foo@bar@baz=1,bar=2"], {}),
        (["foo=1,zzz"], {}),
        (["foo=bar=baz"], {}),
        (["z" * 256 + "=1"], {"z" * 256: "1"}),
        (["z" * 257 + "=1"], {}),
        (["t" * 241 + "@" + "v" * 14 + "=1"], {"t" * 241 + "@" + "v" * 14: "1"}),
        (["t" * 242 + "@v=1"], {}),
        (["t@" + "v" * 15 + "=1"], {}),
        (["foo=" + "v" * 256], {"foo": "v" * 256}),
        (["foo=" + "v" * 257], {}),
        (
            [",".join(f"bar{number:02}={number:02}" for number in range(32))],
            {f"bar{n:02}": f"{n:02}" for n in range(32)},
        ),
        ([",".join(f"bar{number:02}={number:02}" for number in range(33))], {}),
    ],
)
def test_tracestate(headers: list[str], state: dict[str, str]) -> None:
    parent = parent_of(traceparent=f"00-{TRACE_ID}-{SPAN_ID}-00", tracestate=headers)
    assert list(parent.trace_state.items()) == list(state.items())
