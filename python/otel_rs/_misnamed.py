"""A distro or configurator that nothing has: the loader takes none, without a word, and the program is not traced."""

from __future__ import annotations

import os

from opentelemetry.util._importlib_metadata import entry_points

_NAME = "rs"
_DISTRO, _DISTROS = "OTEL_PYTHON_DISTRO", "opentelemetry_distro"
_CONFIGURATOR, _CONFIGURATORS = "OTEL_PYTHON_CONFIGURATOR", "opentelemetry_configurator"


def names(group: str) -> set[str]:
    """That the variable of the group may hold."""
    return {_NAME, *(entry_point.name for entry_point in entry_points(group=group))}


def chosen_configurator() -> str | None:
    """That the loader takes: the first one, of the name that the variable asks for if it does."""
    wanted = os.environ.get(_CONFIGURATOR)
    found = (each.name for each in entry_points(group=_CONFIGURATORS) if wanted is None or each.name == wanted)
    return next(found, None)


def configure_in_place_of_misnamed() -> None:
    """To be called when the loader has taken what it knows."""
    variables = ((_DISTRO, _DISTROS), (_CONFIGURATOR, _CONFIGURATORS))
    misnamed = {
        variable: (name, known)
        for variable, group in variables
        if (name := os.environ.get(variable)) and name not in (known := names(group))
    }
    if not misnamed:
        return
    replaces = chosen_configurator() is None or _nothing_is_exported()
    _report(misnamed, replaces)
    if replaces:
        _forget_providers()
        # Children find it spelt well.
        os.environ.update(dict.fromkeys(misnamed, _NAME))
        from otel_rs.distro import OtelRsDistro

        OtelRsDistro().configure()


def _nothing_is_exported() -> bool:
    """The configurator that was taken has set up an SDK without exporters: the distro would have named them."""
    from otel_rs.summary import exporters, providers

    return not any(exporters(provider) for provider in providers().values())


def _forget_providers() -> None:
    """Of that configurator, so that others can be set: nobody has asked for a tracer yet."""
    from opentelemetry import trace
    from opentelemetry._logs import _internal as logs
    from opentelemetry.metrics import _internal as metrics
    from opentelemetry.util._once import Once

    for module, kind in ((trace, "TRACER"), (metrics, "METER"), (logs, "LOGGER")):
        provider = getattr(module, f"_{kind}_PROVIDER")
        if hasattr(provider, "shutdown"):
            provider.shutdown()
        setattr(module, f"_{kind}_PROVIDER", None)
        setattr(module, f"_{kind}_PROVIDER_SET_ONCE", Once())


def _report(misnamed: dict[str, tuple[str, set[str]]], replaces: bool) -> None:
    from otel_rs.distro import show_lines
    from otel_rs.settings.names import report_unknown_name
    from otel_rs.settings.table import PYTHON_CONFIGURATOR, PYTHON_DISTRO

    show_lines()
    instead = f"Using {_NAME}." if replaces else f"Using the configurator {chosen_configurator()}, and no distro."
    settings = {setting.variable: setting for setting in (PYTHON_DISTRO, PYTHON_CONFIGURATOR)}
    for variable, (name, known) in misnamed.items():
        report_unknown_name(settings[variable], name, known, instead)
