"""What stands in which place: puts the native objects in, and puts back what was there."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from otel_rs._imported import call_when_imported
from otel_rs.installation.lazy import LazyClass, Replacement
from otel_rs.installation.on_demand import is_the_programs, is_waiting


class _Exchanged(NamedTuple):
    native: Any
    original: Any


class _Place(NamedTuple):
    """A name of a module, or of a class."""

    holder: ModuleType | type
    name: str

    def __str__(self) -> str:
        holder = self.holder
        module = f"{holder.__module__}." if isinstance(holder, type) else ""
        return f"{module}{holder.__name__}.{self.name}"


def _place(module: ModuleType, attribute: str) -> _Place | None:
    """``name``, or ``Class.name``; None where the module has no such class."""
    class_name, _, name = attribute.rpartition(".")
    holder = vars(module).get(class_name) if class_name else module
    return _Place(holder, name) if isinstance(holder, (ModuleType, type)) else None


# Stands for what a module has not made yet.
_NOT_MADE = object()


class Exchange:
    """The exchanges of one installation. Any thread may import a module meanwhile."""

    def __init__(self, wanted: Mapping[str, Mapping[str, Replacement]]) -> None:
        self.wanted = wanted
        self._lock = threading.Lock()
        self._ended = False
        self._exchanged: dict[_Place, _Exchanged] = {}

    def put(self, module: ModuleType) -> None:
        """Replaces a module's attributes, those that it has, or would have if its file had run.

        What the program has put into such a place stays there, as the program asks for.
        """
        for replacement in self.wanted[module.__name__].values():
            # Not under the lock: an import waits for other threads, and they may come here.
            if isinstance(replacement, LazyClass) and not replacement.is_there_for(module.__name__):
                call_when_imported(replacement.module, partial(self.put, module))
                return
        with self._lock:
            if self._ended:
                return
            for attribute, replacement in self.wanted[module.__name__].items():
                place = _place(module, attribute)
                if place is None:
                    continue
                found = vars(place.holder).get(place.name, _NOT_MADE)
                if found is _NOT_MADE:
                    if not is_waiting(module):
                        continue
                elif is_the_programs(found) and self._original(found) is found:
                    continue
                done = self._exchanged.get(place)
                if done is None or done.native is not found:
                    native = replacement(found)
                    self._exchanged[place] = _Exchanged(native, self._original(found))
                    setattr(place.holder, place.name, native)

    def reach(self, module: ModuleType) -> None:
        """Replaces the classes that a module took before the exchange."""
        with self._lock:
            natives = {id(original): native for native, original in self._exchanged.values()}
            for attribute, found in list(vars(module).items()):
                if isinstance(found, type) and id(found) in natives:
                    native = natives[id(found)]
                    self._exchanged[_Place(module, attribute)] = _Exchanged(native, found)
                    setattr(module, attribute, native)

    def _original(self, found: Any) -> Any:
        """A module that is imported late takes the native object from where it is by now."""
        return next((original for native, original in self._exchanged.values() if native is found), found)

    def restore(self) -> None:
        """Puts back what was there, unless someone else has put something into the place meanwhile."""
        with self._lock:
            self._ended = True
            for (holder, name), (native, original) in self._exchanged.items():
                if vars(holder).get(name) is not native:
                    continue
                if original is _NOT_MADE:
                    delattr(holder, name)
                else:
                    setattr(holder, name, original)

    def places(self) -> list[str]:
        """Where something was replaced, as ``module.attribute``."""
        with self._lock:
            return sorted(str(place) for place in self._exchanged)

    def originals(self) -> list[Any]:
        with self._lock:
            return [original for _, original in self._exchanged.values()]
