"""These tests run programs with the installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # pytest passes the tests of all folders.
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.installed)
