"""The lines of a run's logs, as the Collector received them.

Within each span the programs log one line through Python's `logging`, which says the span's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from .otelcol import attributes_of


class Line(NamedTuple):
    pid: int
    text: str
    trace: str
    span: str


def lines_of(received: list[dict[str, Any]], scope: str) -> Counter[Line]:
    """The lines of the logger of this name in OTLP/JSON ResourceLogs."""
    return Counter(
        Line(
            attributes_of(item["resource"])["process.pid"],
            record["body"]["stringValue"],
            record.get("traceId", ""),
            record.get("spanId", ""),
        )
        for item in received
        for scope_logs in item["scopeLogs"]
        if scope_logs["scope"]["name"] == scope
        for record in scope_logs["logRecords"]
    )


def assert_logged(received: list[dict[str, Any]], scope: str, expected: Iterable[Line]) -> None:
    """Asserts that each expected line arrived once, with its span's ids and its process' resource, and no other."""
    arrived, logged = lines_of(received, scope), Counter(expected)
    lost, excess = logged - arrived, arrived - logged
    assert not lost and not excess, f"lines lost: {_by_process(lost)}, in excess: {_by_process(excess)}"  # noqa: PT018

    instances: dict[int, set[str]] = {}
    for item in received:
        resource = attributes_of(item["resource"])
        instances.setdefault(resource["process.pid"], set()).add(resource["service.instance.id"])
    identities = Counter(instance for ids in instances.values() for instance in ids)
    assert set(identities.values()) == {1}, f"processes share an identity: {instances}"


def _by_process(lines: Counter[Line]) -> dict[tuple[int, str], int]:
    totals: Counter[tuple[int, str]] = Counter()
    for line, count in lines.items():
        totals[line.pid, line.text] += count
    return dict(totals)
