"""What comes in an attribute's place, and is imported when the place is."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

# Makes what comes in an attribute's place, of what was there.
Replacement = Callable[[Any], Any]


class LazyClass:
    """A native class that is imported when its place is: metrics and logs cost a program that has none nothing."""

    def __init__(self, module: str, name: str, upstreams: str | None = None) -> None:
        """``upstreams``: the module of upstream's that must be complete before, where the place is in another."""
        self.module = module
        self._name = name
        self._upstreams = upstreams

    def is_there_for(self, place: str) -> bool:
        """Imports it. False if this thread is in the midst of importing its module, or upstream's."""
        # Upstream's public modules have `__all__` last.
        if self._upstreams not in (None, place) and not hasattr(import_module(self._upstreams), "__all__"):
            return False
        return hasattr(import_module(self.module), self._name)

    def native(self) -> Any:
        return getattr(import_module(self.module), self._name)

    def __call__(self, _original: Any) -> Any:
        return self.native()
