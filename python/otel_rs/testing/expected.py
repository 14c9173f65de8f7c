"""What a test expects: trees that leave out what it does not ask for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from otel_rs.testing.recorded import LogLine, Node
from otel_rs.testing.text import line

_FIELDS = ("kind", "status", "attributes", "events", "logs")


@dataclass(eq=False)
class Expected:
    """Made by `span`. Equal to a recorded span that has what it says, and exactly these children, in any order."""

    name: str
    children: tuple[Expected, ...]
    kind: str | None = None
    status: str | None = None
    attributes: dict[str, Any] | None = None
    events: list[str] | None = None
    logs: list[Any] | None = None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Node):
            return self._is_alike(other) and match(self.children, other.children) is not None
        return self is other

    def _is_alike(self, node: Node) -> bool:
        """Apart from the children."""
        return self.name == node.name and all(
            _holds(name, wanted, getattr(node, name)) for name in _FIELDS if (wanted := getattr(self, name)) is not None
        )

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, indent: int = 0) -> Iterator[str]:
        yield line(self, _FIELDS, indent)
        for child in self.children:
            yield from child.lines(indent + 1)

    def lines_of(self, node: Node, indent: int = 0) -> Iterator[str]:
        """The recorded span in as many words as this one has, so that they can be compared."""
        yield line(_reduced(node, self), _FIELDS, indent)
        for expected, child in paired(self.children, node.children):
            yield from child.lines(indent + 1) if expected is None else expected.lines_of(child, indent + 1)


def span(
    name: str,
    *children: Expected,
    kind: str | None = None,
    status: str | None = None,
    attributes: dict[str, Any] | None = None,
    events: list[str] | None = None,
    logs: list[Any] | None = None,
) -> Expected:
    """A span that a test expects.

    Args:
        name: Its name.
        children: All spans that it is the parent of, in any order: threads and tasks end as they like.
        kind: ``internal``, ``server``, ``client``, ``producer`` or ``consumer``.
        status: ``unset``, ``ok`` or ``error``.
        attributes: Those that it must have; it may have more.
        events: The names of all its events.
        logs: The bodies of all log records in it.

    What is not given may be anything.
    """
    return Expected(name, children, kind, status, attributes, events, logs)


def _holds(name: str, wanted: Any, found: Any) -> bool:
    if name == "attributes":
        return all(key in found and found[key] == value for key, value in wanted.items())
    if name == "logs":
        return [_body(log) for log in wanted] == [log.body for log in found]
    return bool(wanted == found)


def _body(log: Any) -> Any:
    return log.body if isinstance(log, LogLine) else log


def _reduced(node: Node, expected: Expected) -> Node:
    attributes = node.attributes
    if expected.attributes is not None:
        attributes = {key: value for key, value in attributes.items() if key in expected.attributes}
    return Node(
        node.name,
        node.kind if expected.kind is not None else "internal",
        node.status if expected.status is not None else "unset",
        attributes if expected.attributes is not None else {},
        node.events if expected.events is not None else [],
        node.logs if expected.logs is not None else [],
    )


def match(expected: Sequence[Expected], nodes: Sequence[Node]) -> list[int] | None:
    """For each that is expected the place of the one that it is equal to, each used once; None if there is no way."""
    if len(expected) != len(nodes):
        return None
    return _match(list(expected), nodes, frozenset())


def _match(expected: list[Expected], nodes: Sequence[Node], used: frozenset[int]) -> list[int] | None:
    if not expected:
        return []
    for place, node in enumerate(nodes):
        if place not in used and expected[0] == node:
            rest = _match(expected[1:], nodes, used | {place})
            if rest is not None:
                return [place, *rest]
    return None


def paired(expected: Sequence[Expected], nodes: Sequence[Node]) -> list[tuple[Expected | None, Node]]:
    """Each recorded one with that which it is equal to, or else has the name of, in the order of what is expected."""
    left = list(nodes)
    pairs: list[tuple[Expected | None, Node]] = []
    for each in expected:
        found = next((node for node in left if each == node), None)
        found = found or next((node for node in left if each.name == node.name), None)
        if found is not None:
            left = [node for node in left if node is not found]
            pairs.append((each, found))
    return [*pairs, *((None, node) for node in left)]


def difference(expected: Sequence[Expected], nodes: Sequence[Node]) -> list[str]:
    """Line by line: what is expected and missing has `-`, what was recorded and not expected `+`."""
    wanted = [each for tree in expected for each in tree.lines()]
    found = [
        each for of, node in paired(expected, nodes) for each in (node.lines() if of is None else of.lines_of(node))
    ]
    return [each.rstrip() for each in difflib.ndiff(wanted, found) if not each.startswith("?")]
