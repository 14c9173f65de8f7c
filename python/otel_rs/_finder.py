"""The one finder of this package on ``sys.meta_path``, before all others.

Programs try to import what they lack, some of them in each request, and Python asks every finder each time. So this one
looks at the first part of the name, and what changes the modules of a few names is asked about those alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Protocol


class Change(Protocol):
    """What is different about the import of some modules."""

    def concerns(self, fullname: str, target: ModuleType | None) -> bool:
        """Only a reload has a target."""

    def changed(self, fullname: str, target: ModuleType | None, spec: ModuleSpec | None) -> ModuleSpec | None:
        """Takes what is found without it: None if there is no such module."""


class _Finder:
    """There is no lock, which a forked child could inherit while it is taken: what is read is never changed."""

    def __init__(self) -> None:
        self._changes: tuple[Change, ...] = ()
        self._packages: frozenset[str] = frozenset()

    def add(self, change: Change, names: Iterable[str]) -> None:
        """The last one comes after those that are there. `names`: modules that it may concern, or what they are in."""
        if change not in self._changes:
            self._changes = (*self._changes, change)
        self._packages = self._packages.union(name.partition(".")[0] for name in names)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self, change: Change) -> None:
        self._changes = tuple(each for each in self._changes if each is not change)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self._packages:
            return None
        changes = [change for change in self._changes if change.concerns(fullname, target)]
        if not changes:
            return None
        spec = self._spec_of_others(fullname, path, target)
        for change in changes:
            spec = change.changed(fullname, target, spec)
        return spec

    def _spec_of_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        """What an import would find without this finder: those before it have found nothing when it is asked.

        Only those behind it are asked, so that two finders that both do this do not ask each other for ever.
        """
        finders = list(sys.meta_path)
        behind = finders[finders.index(self) + 1 :] if self in finders else finders
        for each in behind:
            if hasattr(each, "find_spec"):
                spec = each.find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None


FINDER = _Finder()
