"""The configuration file that `OTEL_CONFIG_FILE` names: whether it can be used, and where it sends telemetry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from otel_rs.distro import in_one_line
from otel_rs.doctor.findings import Finding
from otel_rs.settings import table
from otel_rs.settings.table import CONFIG_FILE, SIGNALS, Setting

_VARIABLE = CONFIG_FILE.variable

# What does not count where there is a file. The exporters' variables count for what the file leaves open.
REPLACED = frozenset(
    form
    for setting in (
        table.TRACES_EXPORTER,
        table.METRICS_EXPORTER,
        table.LOGS_EXPORTER,
        table.ID_GENERATOR,
        table.TRACER_CONFIGURATOR,
        table.METER_CONFIGURATOR,
        table.LOGGER_CONFIGURATOR,
        table.PROPAGATORS,
        table.RESOURCE_ATTRIBUTES,
        table.RESOURCE_DETECTORS,
        table.SAMPLER,
        table.SAMPLER_ARGUMENT,
        table.ATTRIBUTE_COUNT_LIMIT,
        table.SPAN_ATTRIBUTE_COUNT_LIMIT,
        table.SPAN_EVENT_COUNT_LIMIT,
        table.SPAN_LINK_COUNT_LIMIT,
        table.EVENT_ATTRIBUTE_COUNT_LIMIT,
        table.LINK_ATTRIBUTE_COUNT_LIMIT,
        table.LOGRECORD_ATTRIBUTE_COUNT_LIMIT,
        table.METRIC_EXPORT_INTERVAL,
        table.METRIC_EXPORT_TIMEOUT,
        table.METRICS_EXEMPLAR_FILTER,
        table.METRICS_TEMPORALITY,
        table.METRICS_HISTOGRAMS,
        table.BLRP_MAX_QUEUE_SIZE,
        table.BLRP_MAX_EXPORT_BATCH_SIZE,
        table.BLRP_SCHEDULE_DELAY,
        table.BLRP_EXPORT_TIMEOUT,
    )
    for form in setting.forms()
)


def file() -> str | None:
    return os.environ.get(_VARIABLE) or None


def replaced() -> frozenset[Setting]:
    return REPLACED if file() else frozenset()


def of_file(path: str) -> tuple[Any, list[Finding]]:
    """What it says, or None; and what is to be said of it."""
    try:
        from opentelemetry.configuration import load_config_file
    except ImportError as error:
        if error.name != "opentelemetry.configuration":
            return None, [_problem(f"it cannot be read: {in_one_line(error)}")]
        return None, [_problem("it needs opentelemetry-configuration, which is not installed; install it, or unset it")]
    try:
        found = load_config_file(path)
    except Exception as error:  # whatever upstream's readers raise
        return None, [_problem(f"{path!r} cannot be used, and nothing is set up: {in_one_line(error)}")]
    if found.disabled:
        return None, [_problem(f"{path!r} has `disabled: true`: nothing is recorded or exported; remove it there")]
    text = f"{path!r} counts instead of the variables that say no other source; --all shows them"
    return found, [Finding("note", _VARIABLE, f"{text}; a program that sets itself up does not read it")]


def _problem(text: str) -> Finding:
    return Finding("problem", _VARIABLE, text)


def exporters_of(config: Any) -> tuple[dict[str, list[Any]], list[Finding]]:
    """By signal, as the program would make them."""
    from opentelemetry.configuration import configure_sdk

    from otel_rs.installation import install
    from otel_rs.summary import exporters, providers

    install()
    try:
        configure_sdk(config)
    except Exception as error:  # whatever a part that the file names raises
        return {}, [_problem(f"what it says cannot be set up: {in_one_line(error)}")]
    return {signal: exporters(provider) for signal, provider in providers().items()}, list(_left_out(config))


def _left_out(config: Any) -> Iterator[Finding]:
    for signal, section in zip(SIGNALS, ("tracer_provider", "meter_provider", "logger_provider"), strict=True):
        if getattr(config, section) is None:
            yield Finding("note", signal, f"not sent, for the file has no {section}")
