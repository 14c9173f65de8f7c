"""Names of parts that there must be, where upstream raises for others or says nothing of what there is."""

from __future__ import annotations

from opentelemetry.util._importlib_metadata import entry_points

from otel_rs.settings.names import report_unknown_name
from otel_rs.settings.reading import variable_text
from otel_rs.settings.table import PROPAGATORS, SAMPLER, SAMPLERS


def known_propagators() -> str | None:
    """What OTEL_PROPAGATORS may hold: upstream's API cannot be imported with the name of one that is not there.

    None: it may as well not be set.
    """
    names = [name.strip() for name in variable_text(PROPAGATORS).split(",") if name.strip()]
    known = {entry_point.name for entry_point in entry_points(group="opentelemetry_propagator")}
    good = [name for name in names if name in known or name.lower() == "none"]
    for name in names:
        if name not in good:
            report_unknown_name(PROPAGATORS, name, known | {"none"}, "It is left out." if good else "")
    return ",".join(good) or None


def known_sampler() -> str | None:
    """What OTEL_TRACES_SAMPLER may hold: a specified name, or that of another package's."""
    name = variable_text(SAMPLER)
    if not name or name.lower() in SAMPLERS:
        return name or None
    others = {entry_point.name for entry_point in entry_points(group="opentelemetry_traces_sampler")}
    if name in others:
        return name
    report_unknown_name(SAMPLER, name, {*SAMPLERS, *others})
    return None
