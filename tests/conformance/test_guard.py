"""The guard of the conformance suite: it must detect when the stock SDK is under test instead of ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent / "plugins"

# Its imports are those of upstream's tests.
SUITE = """
from opentelemetry.sdk.trace import TracerProvider

def test_three_spans():
    tracer = TracerProvider().get_tracer("test")
    for _ in range(3):
        tracer.start_span("span").end()
"""
INSTALL = "import otel_rs; otel_rs.install()\n"
UNINSTALL = "import otel_rs; otel_rs.uninstall()\n"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(begin, suite, ...)` runs a pytest session with the conformance plugins, after the code in `begin`."""
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS), prepend=":")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def session(
        begin: str, suite: str, least_spans: int = 3, least_meters: int = 0, excluded: str = ""
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_suite.py").write_text(suite)
        (tmp_path / "excluded.txt").write_text(excluded)
        arguments = [
            *("--quiet", "-p", "no:cacheprovider", "-p", "conformance_guard", "-p", "conformance_exclusions"),
            *(f"--rootdir={tmp_path}", "--config-file=/dev/null"),
            *(f"--least-native-spans={least_spans}", f"--least-native-meters={least_meters}"),
            *(f"--exclusions={tmp_path}/excluded.txt", f"--conformance-report={tmp_path}/report.json", "test_suite.py"),
        ]
        command = [sys.executable, "-c", f"{begin}import pytest, sys; sys.exit(pytest.main({arguments!r}))"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return session


def test_native_classes_pass(run: Run) -> None:
    session = run(INSTALL, SUITE)
    assert session.returncode == 0, session.stdout
    assert "under test: 3 native spans" in session.stdout


def test_without_install_no_test_runs(run: Run) -> None:
    session = run("", SUITE)
    assert session.returncode != 0
    assert "TracerProvider is opentelemetry.sdk.trace.TracerProvider" in session.stderr
    assert "1 passed" not in session.stdout


def test_stock_classes_that_the_suite_restores_are_found_at_the_end(run: Run) -> None:
    session = run(INSTALL, SUITE + "\ndef test_that_undoes():\n    " + UNINSTALL)
    assert session.returncode != 0
    assert "not under test: opentelemetry.sdk.trace.TracerProvider is" in session.stdout


def test_a_stock_class_that_a_test_module_imported_is_found(run: Run) -> None:
    session = run(INSTALL, UNINSTALL + SUITE + INSTALL, least_spans=0)
    assert session.returncode != 0
    assert "not under test: test_suite.TracerProvider is opentelemetry.sdk.trace.TracerProvider" in session.stdout


def test_too_few_native_spans_fail(run: Run) -> None:
    session = run(INSTALL, SUITE, least_spans=4)
    assert session.returncode != 0
    assert "3 native spans were made, at least 4 are expected" in session.stdout


def test_too_few_native_meters_fail(run: Run) -> None:
    suite = """
from opentelemetry.sdk.metrics import MeterProvider

def test_two_meters():
    provider = MeterProvider()
    meters = [provider.get_meter(name) for name in ("one", "two", "one")]
"""
    session = run(INSTALL, suite, least_spans=0, least_meters=2)
    assert session.returncode == 0, session.stdout
    assert "2 native meters" in session.stdout
    session = run(INSTALL, suite, least_spans=0, least_meters=3)
    assert session.returncode != 0
    assert "2 native meters were made, at least 3 are expected" in session.stdout


# --- The exclusions ---------------------------------------------------------------------------------------------------


def test_an_excluded_test_that_fails_does_not_count(run: Run) -> None:
    suite = SUITE + "\ndef test_that_looks_inside():\n    assert TracerProvider._private"
    assert run(INSTALL, suite).returncode != 0
    session = run(INSTALL, suite, excluded="test_suite.py::test_that_looks_inside  # reads _private\n")
    assert session.returncode == 0, session.stdout


def test_an_excluded_test_that_passes_is_an_error(run: Run) -> None:
    session = run(INSTALL, SUITE, excluded="test_suite.py::test_three_spans  # none\n")
    assert session.returncode != 0
    assert "excluded, but it passes: test_suite.py::test_three_spans" in session.stdout


def test_an_exclusion_without_a_reason_is_an_error(run: Run) -> None:
    session = run(INSTALL, SUITE, excluded="test_suite.py::test_three_spans\n")
    assert session.returncode != 0
    assert "excluded.txt:1: no reason" in session.stdout + session.stderr
