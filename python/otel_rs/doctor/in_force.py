"""Every setting as it is in force, with its source, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from otel_rs.doctor.file import file, replaced
from otel_rs.doctor.findings import Finding, Value
from otel_rs.doctor.lines import Lines
from otel_rs.settings import forget_reports, read
from otel_rs.settings.headers import read_headers
from otel_rs.settings.kinds import GrpcHeaders, Headers, Kind, closest
from otel_rs.settings.reading import variable_text
from otel_rs.settings.table import ALL, CONFIG_FILE, GROUPS, OTLP_HEADERS, PROPAGATORS, SIGNALS, Setting
from otel_rs.settings.upstream import corrected

_MASKED = "***"

_BEFORE_US = (
    " But opentelemetry-instrument does not start the program: OpenTelemetry's API raises before otel-rs is imported. "
    "Correct the name, or start the program by `otel-rs run`."
)


def in_force() -> list[Value]:
    """Signals' own forms only where they are set."""
    shown = [
        form
        for group in GROUPS.values()
        for setting in group
        for form in setting.forms()
        if form is setting or os.environ.get(form.variable)
    ]
    return [_value(setting) for setting in shown]


def _value(setting: Setting) -> Value:
    if setting in replaced():
        return Value(setting.variable, f"what {file()} says", CONFIG_FILE.variable)
    text = variable_text(setting)
    if isinstance(setting.kind, Headers):
        return Value(setting.variable, _headers(setting, text), setting.variable if text else "default")
    found = read(setting)
    if found.source and (type(setting.kind) is not Kind or corrected(setting) == found.text):
        source = _setting_of(found.source)
        return Value(setting.variable, source.kind.shown(found.text).strip("'"), found.source)
    default = setting.default_in_words.replace("`", "") or "none"
    value = setting.default if found.source else found.value
    shown = default if value is None else setting.kind.text(value)
    # Without a source there is a text where a bad truth value counts as false.
    return Value(setting.variable, shown, "default")


def _headers(setting: Setting, text: str) -> str:
    """The names alone."""
    headers, _ = setting.kind.parse(text)
    return ",".join(f"{name}={_MASKED}" for name in headers) or "none"


def _setting_of(variable: str) -> Setting:
    return next(setting for setting in ALL if setting.variable == variable)


def complaints() -> list[Finding]:
    """What is wrong with what is set."""
    forget_reports()
    found = []
    for setting in ALL:
        if setting.variable not in os.environ:
            continue
        if setting in replaced() and setting is not PROPAGATORS:
            found.append(Finding("note", setting.variable, f"does not count: {CONFIG_FILE.variable} takes its place"))
            continue
        with Lines() as lines:
            corrected(setting)
            # Texts of other kinds than these upstream takes as they are.
            if type(setting.kind) is not Kind:
                read(setting)
        more = _BEFORE_US if setting is PROPAGATORS else ""
        found += [Finding("problem", setting.variable, text + more) for text in lines.texts]
    with Lines() as lines:
        for signal in SIGNALS:
            read_headers(GrpcHeaders(), signal)
    found += [Finding("problem", OTLP_HEADERS.variable, text) for text in lines.texts]
    forget_reports()
    return [*found, *_misspelt()]


def _misspelt() -> Iterator[Finding]:
    """Variables that nothing here reads, and that are one letter or two from one that is read."""
    known = {setting.variable for setting in ALL}
    for variable in sorted(os.environ):
        if variable.startswith("OTEL_") and variable not in known:
            meant = closest(variable, known, cutoff=0.9)
            if meant is not None and not _is_upstreams(variable):
                text = f"{variable} is read by nothing here (did you mean {meant}?)"
                yield Finding("problem", variable, text)


def _is_upstreams(variable: str) -> bool:
    from opentelemetry import environment_variables as api
    from opentelemetry.instrumentation import environment_variables as instrumentation
    from opentelemetry.sdk import environment_variables as sdk

    return any(variable in vars(module).values() for module in (api, instrumentation, sdk))
