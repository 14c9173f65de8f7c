"""The rules of the conformance suite that a single run does not check."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("run")


@pytest.fixture
def suite(run: Any) -> Any:
    return run.SUITES[0]


def report(collected: int, excluded: int = 0) -> dict[str, Any]:
    return {"collected": collected, "excluded": [f"test_{number}" for number in range(excluded)], "outcomes": {}}


def test_one_in_eight_may_be_excluded(run: Any, suite: Any) -> None:
    assert run.faults(suite, 0, report(80, excluded=10)) == []


def test_more_than_one_in_eight_excluded_is_an_error(run: Any, suite: Any) -> None:
    (fault,) = run.faults(suite, 0, report(80, excluded=11))
    assert "11 of 80" in fault


def test_a_suite_that_collects_nothing_is_an_error(run: Any, suite: Any) -> None:
    assert "no test was collected" in run.faults(suite, 0, report(0))


def test_an_exclusion_that_is_in_no_version_is_an_error(run: Any, suite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "read_exclusions", lambda _path: {"test_0": "reason", "test_1": "reason"})
    old = run.Outcome(suite, "1", 0.0, report(2, excluded=1), [])
    new = run.Outcome(suite, "2", 0.0, report(2, excluded=0), [])
    (fault,) = run.unknown_exclusions([old, new])
    assert fault.endswith("excluded.txt: there is no test_1")


def test_the_oldest_release_is_the_one_that_the_project_declares(run: Any) -> None:
    oldest = run.environments.oldest()
    assert oldest.count(".") == 2
    assert f">={oldest.removesuffix('.0')}" in Path(run.ROOT, "pyproject.toml").read_text()
