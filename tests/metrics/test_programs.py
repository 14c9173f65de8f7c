"""Any program of measurements gives the metrics that the stock SDK gives, or what docs/differences.md says.

OTEL_RS_TEST_PROFILE=nightly runs 10,000 new programs each time; `slice` runs a few, for test runs that are slow.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings

from ..support.receiver import HttpReceiver, started
from .paths import PATHS, Path
from .programs import Program, programs

EXAMPLES = {"default": 200, "nightly": 10_000, "slice": 10}
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
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
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
def test_a_program_gives_what_the_stock_sdk_gives(path: Path, receiver: HttpReceiver, program: Program) -> None:
    event(f"{min(path(program, receiver), 5)} collections")
