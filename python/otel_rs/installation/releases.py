"""Which releases of opentelemetry-sdk have the shape that the native classes stand in for."""

from __future__ import annotations

import re

from opentelemetry.sdk.version import __version__ as sdk_version

from otel_rs.settings import read
from otel_rs.settings.table import UNKNOWN_SDK

NEWEST = (1, 45)
"""Upstream's tests were run on its releases. What a later one changes, nobody has seen."""


def why_unknown() -> str | None:
    """Why the stock SDK has to do; None for a known release, and where the program wants ours all the same."""
    if _minor(sdk_version) <= NEWEST or read(UNKNOWN_SDK).value:
        return None
    newest, next_one = (f"{NEWEST[0]}.{NEWEST[1] + more}" for more in (0, 1))
    return (
        f"opentelemetry-sdk {sdk_version} is newer than {newest}, the newest that this otel-rs knows; upgrade otel-rs, "
        f"install opentelemetry-sdk<{next_one}, or set {UNKNOWN_SDK.variable}=true"
    )


def _minor(version: str) -> tuple[int, int]:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return (int(numbers[1]), int(numbers[2])) if numbers else NEWEST
