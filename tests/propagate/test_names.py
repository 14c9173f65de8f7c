"""Names in headers are kept, as many as there are places for."""

from __future__ import annotations

from opentelemetry import baggage
from opentelemetry.propagate import extract
from opentelemetry.trace import get_current_span

NAMES = [f"{first}{middle}{last}" for first in "abcde" for middle in ("", "mid", "x" * 40) for last in "vwxyz"]


def test_more_names_than_there_are_places() -> None:
    for _ in range(2):
        for begin in range(0, len(NAMES), 25):
            expected = {name: name.upper() for name in NAMES[begin : begin + 25]}
            text = ",".join(f"{name}={value}" for name, value in expected.items())
            context = extract({"baggage": text})
            assert baggage.get_all(context) == expected
            traced = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": text}
            state = get_current_span(extract(traced)).get_span_context().trace_state
            assert dict(state.items()) == expected
            assert list(state) == list(expected)


def test_a_name_that_comes_again_is_the_same_text() -> None:
    header = {"baggage": ",".join(f"{name}=1" for name in NAMES)}
    first, second = (list(baggage.get_all(extract(header))) for _ in range(2))
    same = [name for name, again in zip(first, second, strict=True) if name is again]
    assert len(same) > 16
    assert all(len(name) < 40 for name in same)
