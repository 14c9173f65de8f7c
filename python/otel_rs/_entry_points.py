"""Finds entry points by their group. A start asks for some thirty, and upstream looks at all entry points each time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

from opentelemetry.util import _importlib_metadata as upstream

_READ = "_original_entry_points_cached"


def index() -> None:
    """Puts an index where upstream's `entry_points` keeps what it has read, for the rest of the process."""
    read: Callable[[], EntryPoints] | None = getattr(upstream, _READ, None)
    if read is not None and not isinstance(read(), _Indexed):
        setattr(upstream, _READ, cache(lambda: _indexed(read())))


class _Indexed(EntryPoints):
    """Made by `_indexed`, whose subclass has the groups: a list or tuple of Python's own has no place for them."""

    by_group: dict[str, EntryPoints]

    def select(self, **params: Any) -> EntryPoints:
        if "group" not in params:
            return super().select(**params)
        found = self.by_group.get(params.pop("group"), EntryPoints(()))
        return found.select(**params) if params else found


def _indexed(every: EntryPoints) -> _Indexed:
    groups: dict[str, list[EntryPoint]] = {}
    for entry_point in every:
        groups.setdefault(entry_point.group, []).append(entry_point)
    members = {"by_group": {group: EntryPoints(found) for group, found in groups.items()}}
    kind: type[_Indexed] = type("_IndexedEntryPoints", (_Indexed,), members)
    return kind(every)
