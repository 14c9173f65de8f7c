"""What was recorded, as plain values: spans as trees, log records under their spans, points of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LogLine:
    body: Any
    severity: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """One series of a metric."""

    attributes: dict[str, Any]
    value: Any
    """A number; of a histogram the sum."""
    count: int | None = None
    """Of a histogram."""


@dataclass
class Node:
    """A span, and those that it is the parent of, by their start. Equal to a `span` that describes it."""

    name: str
    kind: str = "internal"
    status: str = "unset"
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, indent: int = 0) -> Iterable[str]:
        from otel_rs.testing.text import line

        yield line(self, ("kind", "status", "attributes", "events", "logs"), indent)
        for child in self.children:
            yield from child.lines(indent + 1)


@dataclass(frozen=True)
class Record:
    """An ended span by its ids, from memory or from a request."""

    trace_id: str
    span_id: str
    parent_id: str | None
    start: int
    node: Node


def trees(records: Iterable[Record], logs: Sequence[tuple[str | None, LogLine]] = ()) -> list[Node]:
    """The roots by their start. A span whose parent is not there is one, too."""
    ordered = sorted(records, key=lambda record: record.start)
    by_id = {record.span_id: record.node for record in ordered}
    roots: list[Node] = []
    for record in ordered:
        parent = by_id.get(record.parent_id) if record.parent_id else None
        (roots if parent is None else parent.children).append(record.node)
    for span_id, log in logs:
        if span_id in by_id:
            by_id[span_id].logs.append(log)
    return roots
