"""Versions of what takes part."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import distributions

_PREFIXES = ("opentelemetry-", "otel-rs")


def versions() -> dict[str, str]:
    found = {"python": f"{platform.python_version()} ({sys.executable})", "platform": platform.platform()}
    packages = {
        name: distribution.version
        for distribution in distributions()
        if (name := (distribution.metadata["Name"] or "").lower().replace("_", "-")).startswith(_PREFIXES)
    }
    return {**found, **dict(sorted(packages.items()))}
