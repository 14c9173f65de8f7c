"""The configurator that belongs to the distro that opentelemetry-instrument has chosen."""

from __future__ import annotations

import os

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.util._importlib_metadata import EntryPoint, entry_points

_DISTROS, _CONFIGURATORS = "opentelemetry_distro", "opentelemetry_configurator"


def configurator() -> EntryPoint | None:
    """Of the same distribution as the distro. None if it has none, or no distro was chosen."""
    chosen = _distro()
    if chosen is None or chosen.dist is None:
        return None
    return next((each for each in entry_points(group=_CONFIGURATORS) if _is_of(each, chosen.dist.name)), None)


def _distro() -> EntryPoint | None:
    """As the loader chooses: the first one, of the name that the variable asks for if it does."""
    name = os.environ.get("OTEL_PYTHON_DISTRO")
    entry_points_of_others = (each for each in entry_points(group=_DISTROS) if not each.value.startswith("otel_rs."))
    for entry_point in entry_points_of_others:
        # The distros are single objects: the call gives the one that the loader has made.
        if (name is None or name == entry_point.name) and isinstance(entry_point.load()(), BaseDistro):
            return entry_point
    return None


def _is_of(entry_point: EntryPoint, distribution: str) -> bool:
    return entry_point.dist is not None and entry_point.dist.name == distribution
