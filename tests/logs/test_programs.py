"""Any program that logs gives the records that the stock SDK gives, or what docs/differences.md says.

OTEL_RS_TEST_PROFILE=nightly runs 10,000 new programs each time; `slice` runs a few, for test runs that are slow.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings

from ..support.receiver import HttpReceiver, started
from .programs import Program, programs
from .run import native_request, shown, stock_request

EXAMPLES = {"default": 300, "nightly": 10_000, "slice": 10}
PROFILE = os.environ.get("OTEL_RS_TEST_PROFILE", "default")


@pytest.fixture(autouse=True)
def without_log_lines() -> Iterator[None]:
    """Log lines are not compared."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)


@pytest.fixture(scope="module", name="receiver")
def receiver_fixture() -> Iterator[HttpReceiver]:
    yield from started(HttpReceiver)


@pytest.mark.timeout(3600 if PROFILE == "nightly" else 120)
@settings(
    max_examples=EXAMPLES[PROFILE],
    # As in tests/differential.
    derandomize=PROFILE != "nightly",
    phases=[Phase.generate, Phase.shrink] if PROFILE == "nightly" else [Phase.generate],
    print_blob=PROFILE == "nightly",
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(program=programs)
def test_a_program_gives_what_the_stock_sdk_gives(receiver: HttpReceiver, program: Program) -> None:
    expected, got = shown(stock_request(program)), shown(native_request(program, receiver))
    event(f"{min(expected.count('log_records'), 5)} records")
    assert expected == got, "\n".join(difflib.unified_diff(expected.splitlines(), got.splitlines(), lineterm="", n=8))
