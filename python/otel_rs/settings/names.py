"""Names that nothing has: what does, and what is done instead."""

from __future__ import annotations

from collections.abc import Iterable

from otel_rs.settings.kinds import did_you_mean
from otel_rs.settings.reading import report_bad
from otel_rs.settings.table import Setting


def report_unknown_name(setting: Setting, name: str, known: Iterable[str], instead: str = "") -> None:
    """The name is of nothing that can be loaded. The default counts, or one thing less if there is none."""
    known = sorted(known)
    if not instead:
        instead = "It is left out." if setting.default is None else f"Using {setting.default}, the default."
    problem = f"; accepted: {', '.join(known)}{did_you_mean(name, known)}"
    report_bad(setting.variable, name, repr(name), problem, instead)
