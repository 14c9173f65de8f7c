"""Which distro and configurator win, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator

from opentelemetry.util._importlib_metadata import EntryPoint, entry_points

from otel_rs._misnamed import chosen_configurator, names
from otel_rs._native_missing import reason
from otel_rs.doctor.findings import Finding
from otel_rs.installation.releases import why_unknown
from otel_rs.settings import read
from otel_rs.settings.kinds import did_you_mean
from otel_rs.settings.table import PYTHON_CONFIGURATOR, PYTHON_DISTRO, SDK_DISABLED


def choices() -> Iterator[Finding]:
    yield _native_part()
    if (why := why_unknown()) is not None:
        yield Finding("problem", "opentelemetry-sdk", f"the stock SDK is used: {why}")
    distro, configurator = os.environ.get(PYTHON_DISTRO.variable), os.environ.get(PYTHON_CONFIGURATOR.variable)
    yield _distro(distro)
    yield _configurator(distro, configurator)
    if read(SDK_DISABLED).value:
        yield Finding("problem", "OTEL_SDK_DISABLED", "it is true: nothing is recorded or exported; unset it")


def _native_part() -> Finding:
    try:
        import otel_rs._native
    except ImportError as error:
        return Finding("problem", "native part", f"it cannot be loaded, and the stock SDK is used: {reason(error)}")
    return Finding("ok", "native part", f"loaded from {otel_rs._native.__file__}")


def _distro(chosen: str | None) -> Finding:
    variable = PYTHON_DISTRO.variable
    if chosen == "rs":
        return Finding("ok", "distro", f"rs, for {variable} names it")
    if not chosen:
        first = _first_of_others()
        taken = f"takes {first.name} ({first.value}), the first that is installed" if first else "takes none"
        text = f"rs under `otel-rs run`; opentelemetry-instrument {taken}: set {variable}=rs to get rs there, too"
        return Finding("note", "distro", text)
    known = names("opentelemetry_distro")
    if chosen not in known:
        text = f"{variable} is {chosen!r}, and there are: {', '.join(sorted(known))}{did_you_mean(chosen, known)}"
        return Finding("problem", "distro", text)
    text = f"{chosen}, for {variable} names it; set {variable}=rs for otel-rs"
    return Finding("note" if os.environ.get(PYTHON_CONFIGURATOR.variable) == "rs" else "problem", "distro", text)


def _first_of_others() -> EntryPoint | None:
    """That the loader takes if no variable names one: ours asks to be named."""
    found = (each for each in entry_points(group="opentelemetry_distro") if not each.value.startswith("otel_rs."))
    return next(found, None)


def _configurator(distro: str | None, chosen: str | None) -> Finding:
    variable = PYTHON_CONFIGURATOR.variable
    if chosen == "rs":
        return Finding("ok", "configurator", f"rs, for {variable} names it")
    if chosen:
        known = names("opentelemetry_configurator")
        if chosen not in known:
            text = f"{variable} is {chosen!r}, and there are: {', '.join(sorted(known))}{did_you_mean(chosen, known)}"
            return Finding("problem", "configurator", text)
        return Finding("problem", "configurator", f"{chosen}, for {variable} names it: unset it, or set it to rs")
    if distro in (None, "", "rs"):
        return Finding("ok", "configurator", "rs, with the distro rs")
    taken = chosen_configurator()
    return Finding("note", "configurator", f"{taken or 'none'}, the first that is installed: {variable} names none")
