"""A pytest plugin: the tests in an exclusions file must fail, all others must pass.

Each line of the file has a test id, ``#`` and the reason. Excluded tests run, too: one that passes is an error, so
that outdated exclusions are found. The results go to ``--conformance-report``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GRAVITY = ("passed", "skipped", "excluded", "failed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--exclusions", type=Path, metavar="FILE")
    parser.addoption("--conformance-report", type=Path, required=True, metavar="FILE")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(
        Exclusions(config.getoption("exclusions"), config.getoption("conformance_report")), "conformance-exclusions"
    )


def read(path: Path) -> dict[str, str]:
    """Reasons by test id."""
    reasons = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        test, _, reason = (part.strip() for part in line.partition("  # "))
        if not reason:
            raise pytest.UsageError(f"{path.name}:{number}: no reason; a line is: test id, two spaces, # reason")
        if test in reasons:
            raise pytest.UsageError(f"{path.name}:{number}: {test} is there twice")
        reasons[test] = reason
    return reasons


class Exclusions:
    def __init__(self, path: Path | None, report: Path) -> None:
        self._reasons = read(path) if path else {}
        self._report = report
        self._collected: list[str] = []
        self._outcomes: dict[str, str] = {}
        self._passed: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._collected = [item.nodeid for item in items]

    # Not pytest's xfail, which requires every subtest to fail.
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if report.failed and (reason := self._reasons.get(item.nodeid)):
            report.outcome = "skipped"
            report.wasxfail = reason
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.outcome == "rerun":
            return
        outcome = "excluded" if hasattr(report, "wasxfail") else report.outcome
        known = self._outcomes.get(report.nodeid, "passed")
        # A test has a report for each phase and subtest; the worst one counts.
        self._outcomes[report.nodeid] = max(known, outcome, key=GRAVITY.index)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._passed = [test for test in self._reasons if self._outcomes.get(test) == "passed"]
        if self._passed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        excluded = sorted(self._reasons.keys() & set(self._collected))
        report = {"collected": len(self._collected), "excluded": excluded, "outcomes": self._outcomes}
        self._report.write_text(json.dumps(report))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for test in self._passed:
            terminalreporter.write_line(f"excluded, but it passes: {test}", red=True)
