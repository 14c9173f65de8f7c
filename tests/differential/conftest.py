"""One receiver and one native batch processor for all programs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from .paths import Native, native


@pytest.fixture(autouse=True)
def without_log_lines() -> Iterator[None]:
    """Disables logging: log lines are not compared, and a handler would call `str` on the keys in them."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)


@pytest.fixture(scope="module", name="native")
def native_fixture() -> Iterator[Native]:
    with native() as arrivals:
        yield arrivals
