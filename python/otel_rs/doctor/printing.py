"""The examination for people, and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from otel_rs.doctor.findings import Examination, Finding, Value
from otel_rs.settings.table import CONFIG_FILE

_FILE = CONFIG_FILE.variable

_MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


def as_json(found: Examination) -> str:
    problems = found.problems()
    return json.dumps({"healthy": not problems, **asdict(found)}, indent=2)


def as_text(found: Examination, *, defaults: bool) -> str:
    """`defaults`: with the settings that nobody has set, too."""
    return "\n".join(_lines(found, defaults)) + "\n"


def _lines(found: Examination, defaults: bool) -> Iterator[str]:
    yield "Versions"
    width = max(map(len, found.versions))
    yield from (f"  {name:{width}}  {version}" for name, version in found.versions.items())
    yield "\nWho sets the program up"
    yield from _of(found.set_up)
    yield "\nSettings"
    yield from _settings(found, defaults)
    yield from _of(found.complaints)
    yield "\nOne span, one metric and one log record"
    yield from _of(found.delivery) if found.delivery else ["  not sent"]
    problems = found.problems()
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    yield f"\n{count}: see above." if problems else "\nNo problem was found."


def _settings(found: Examination, defaults: bool) -> Iterator[str]:
    shown = [value for value in found.settings if defaults or not _is_usual(value)]
    width = max((len(value.variable) for value in shown), default=0)
    for value in shown:
        by = "" if value.source == value.variable else f"  ({value.source})"
        yield f"  {value.variable:{width}}  {value.value}{by}"
    left_out = len(found.settings) - len(shown)
    if left_out:
        or_the_file = " or are the file's" if any(value.source == _FILE for value in found.settings) else ""
        yield f"  {left_out} others have their defaults{or_the_file}; --all shows them."


def _is_usual(value: Value) -> bool:
    return value.source == "default" or (value.source == _FILE and value.variable != _FILE)


def _of(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        # A complaint begins with its subject.
        text = finding.text if finding.text.startswith(finding.subject) else f"{finding.subject}: {finding.text}"
        yield f"  {_MARKS[finding.status]}  {text}"
