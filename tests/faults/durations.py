"""The durations of the tests in this folder: a few seconds each in `make test`, much longer in nightly runs.

OTEL_RS_TEST_PROFILE=nightly pytest --timeout=3600 tests/faults
"""

from __future__ import annotations

import os

PROFILE = os.environ.get("OTEL_RS_TEST_PROFILE", "default")


def seconds(short: float, nightly: float) -> float:
    return nightly if PROFILE == "nightly" else short
