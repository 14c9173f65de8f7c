"""Trees as text, one line a span."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_DEFAULTS = {"kind": "internal", "status": "unset"}


def line(node: Any, fields: Iterable[str], indent: int) -> str:
    """Name and these fields; those that say nothing are left out."""
    parts = [node.name]
    for name in fields:
        value = getattr(node, name)
        if value is None or value in ([], {}) or value == _DEFAULTS.get(name):
            continue
        if name == "attributes":
            parts += [f"{key}={value[key]!r}" for key in sorted(value)]
        elif name == "logs":
            parts += [f"log={getattr(log, 'body', log)!r}" for log in value]
        elif name == "events":
            parts += [f"event={event!r}" for event in value]
        else:
            parts.append(f"{name}={value}")
    return "  " * indent + " ".join(parts)
