"""Any program of span operations sends the same as the stock SDK, or what the table of differences says.

OTEL_RS_TEST_PROFILE=nightly runs 10,000 new programs each time; `slice` runs a few, for test runs that are slow.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings

from .paths import PATHS, Native, Path, check
from .programs import Program, programs

EXAMPLES = {"default": 300, "nightly": 10_000, "slice": 10}
PROFILE = os.environ.get("OTEL_RS_TEST_PROFILE", "default")


@pytest.mark.timeout(3600 if PROFILE == "nightly" else 120)
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@settings(
    max_examples=EXAMPLES[PROFILE],
    # The normal run uses the same programs each time; what a nightly run finds becomes a test in test_seeds.py.
    derandomize=PROFILE != "nightly",
    # To shrink a failing program takes minutes.
    phases=[Phase.generate, Phase.shrink] if PROFILE == "nightly" else [Phase.generate],
    print_blob=PROFILE == "nightly",
    database=None,
    # The test does not measure speed, and one receiver serves all examples.
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.large_base_example,
    ],
)
@given(program=programs)
def test_a_program_sends_what_the_stock_sdk_sends(path: Path, native: Native, program: Program) -> None:
    for row in check(program, native, path):
        event(row)
