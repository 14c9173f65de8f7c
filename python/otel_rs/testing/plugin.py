"""What pytest finds of this package. Nothing else of it is imported before a test asks for a fixture."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from otel_rs.testing import Receiver, Telemetry


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Spans, metrics and log records of the test, in memory."""
    from otel_rs.testing import Telemetry

    with Telemetry() as found:
        yield found


@pytest.fixture
def otlp_receiver() -> Iterator[Receiver]:
    """An OTLP receiver of the test's own, over gRPC and HTTP."""
    from otel_rs.testing import Receiver

    with Receiver() as receiver:
        yield receiver


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: Any, right: Any) -> list[str] | None:
    """A tree of spans beside the one that is expected, line by line."""
    if op != "==" or "otel_rs.testing.expected" not in sys.modules:
        return None
    from otel_rs.testing.expected import Expected, difference
    from otel_rs.testing.recorded import Node

    sides = [side if isinstance(side, list) else [side] for side in (left, right)]
    for nodes, expected in (sides, sides[::-1]):
        if _are(nodes, Node) and expected and _are(expected, Expected):
            first = "the spans are not as expected: - is missing, + was not expected"
            return [first, *difference(expected, nodes)]
    return None


def _are(things: list[Any], kind: type[Any]) -> bool:
    return all(isinstance(thing, kind) for thing in things)
