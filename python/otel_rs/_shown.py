"""What objects show of themselves."""

from __future__ import annotations

from collections.abc import Callable


def shown(of: object, name: str, value: Callable[[], object]) -> str:
    """As ``Class(name=value)``, or what Python shows where the constructor has not come so far."""
    try:
        return f"{type(of).__qualname__}({name}={value()!r})"
    except AttributeError:
        return object.__repr__(of)
