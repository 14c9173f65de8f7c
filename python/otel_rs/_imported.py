"""What has to wait until one of this package's modules is imported to its end.

`install` puts a native class into upstream's module as soon as that is imported; and it may be the native class's own
module, not at its end yet, that imports upstream's.
"""

from __future__ import annotations

from collections.abc import Callable

_waiting: dict[str, list[Callable[[], None]]] = {}


def call_when_imported(module: str, call: Callable[[], None]) -> None:
    _waiting.setdefault(module, []).append(call)


def is_imported(module: str) -> None:
    """The module calls it at its end."""
    for call in _waiting.pop(module, ()):
        call()
