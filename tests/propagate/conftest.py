from __future__ import annotations

from collections.abc import Iterator

import pytest

import otel_rs


@pytest.fixture(scope="module", autouse=True)
def installed() -> Iterator[None]:
    otel_rs.install()
    yield
    otel_rs.uninstall()
