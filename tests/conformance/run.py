"""Runs upstream's own tests with otel-rs installed over the SDK: `make conformance`.

The SDK's tests run against the release that the development set pins, the oldest and the latest that pyproject.toml
allows, and so do the API's tests of propagation, and those of the OTLP exporters, of their encoders and of
configuration files. Tests of internals are
listed in `excluded*.txt`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import environments
from environments import API, CONFIGURATION, ENCODERS, EXPORTERS, ROOT, SDK, Environment

HERE = Path(__file__).parent
PLUGINS = HERE / "plugins"
sys.path.insert(0, str(PLUGINS))

from conformance_exclusions import read as read_exclusions  # noqa: E402


@dataclass(frozen=True)
class Suite:
    package: str
    # Files and folders in alphabetical order, as upstream collects them: some tests depend on the state that an earlier
    # test leaves.
    tests: tuple[str, ...]
    excluded: Path
    # A fraction of the suite's spans: enough to show that its spans are native.
    least_native_spans: int
    # The largest share of tests that may be excluded.
    most_excluded: float
    plugins: tuple[str, ...] = ()


GRPC, HTTP = EXPORTERS
SUITES = (
    Suite(
        SDK,
        (
            "tests/context",
            "tests/metrics",
            "tests/resources",
            "tests/shared_internal",
            "tests/test_configurator.py",
            "tests/trace",
        ),
        HERE / "excluded.txt",
        least_native_spans=150,
        most_excluded=1 / 8,
    ),
    Suite(
        API,
        ("tests/baggage", "tests/propagators", "tests/trace/propagation"),
        HERE / "excluded_api.txt",
        # Contexts are extracted and injected; hardly a span is started.
        least_native_spans=0,
        most_excluded=1 / 8,
    ),
    Suite(
        GRPC,
        ("tests",),
        HERE / "excluded_grpc_exporter.txt",
        # The tests create spans of upstream's class, which the exporter accepts, too.
        least_native_spans=0,
        most_excluded=3 / 5,
        plugins=("native_mixin_exporter",),
    ),
    Suite(
        HTTP,
        ("tests",),
        HERE / "excluded_http_exporter.txt",
        least_native_spans=20,
        most_excluded=1 / 4,
    ),
    Suite(
        ENCODERS,
        ("tests",),
        HERE / "excluded_encoders.txt",
        least_native_spans=0,
        most_excluded=1 / 8,
        plugins=("native_encoders",),
    ),
    Suite(
        CONFIGURATION,
        ("tests",),
        HERE / "excluded_configuration.txt",
        # The tests look at the providers that are made, and end no spans.
        least_native_spans=0,
        most_excluded=0,
    ),
)


@dataclass
class Outcome:
    suite: Suite
    version: str
    seconds: float
    report: dict
    faults: list[str]

    def __str__(self) -> str:
        outcomes = list(self.report["outcomes"].values())
        counts = ", ".join(
            f"{outcomes.count(name)} {name}" for name in ("passed", "excluded", "skipped", "failed") if name in outcomes
        )
        faults = "".join(f"\n    {fault}" for fault in self.faults)
        return f"{self.suite.package} {self.version}: {counts or 'nothing ran'} in {self.seconds:.0f} s{faults}"


def run(suite: Suite, environment: Environment, arguments: list[str]) -> Outcome:
    source = environment.source(suite.package)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        plugins = ("conformance_guard", "conformance_exclusions", *suite.plugins)
        command = [
            str(environment.python),
            *("-m", "pytest", "--quiet", "--tb=short", "--timeout=120", "-p", "no:cacheprovider"),
            *(f"-p{plugin}" for plugin in plugins),
            # Not the project's own configuration, because upstream's tests treat warnings differently.
            f"--rootdir={source}",
            "--config-file=/dev/null",
            f"--exclusions={suite.excluded}",
            f"--conformance-report={report}",
            f"--least-native-spans={suite.least_native_spans}",
            *suite.tests,
            *arguments,
        ]
        began = time.monotonic()
        status = subprocess.run(command, cwd=source, env=_variables(environment)).returncode
        seconds = time.monotonic() - began
        found = json.loads(report.read_text()) if report.exists() else {"collected": 0, "excluded": [], "outcomes": {}}
    return Outcome(suite, environment.version, seconds, found, faults(suite, status, found))


def faults(suite: Suite, status: int, report: dict) -> list[str]:
    """The problems of a run, apart from the results of its tests."""
    collected, excluded = report["collected"], len(report["excluded"])
    found = []
    if status:
        found.append(f"pytest ended with {status}")
    if not collected:
        found.append("no test was collected")
    if excluded > suite.most_excluded * collected:
        found.append(f"{excluded} of {collected} are excluded, at most {suite.most_excluded * collected:.0f} may be")
    return found


def _variables(environment: Environment) -> dict[str, str]:
    """The environment variables: no outside telemetry configuration, no proxy for local servers, our `python` first."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_", "PYTHON"))
    }
    return {
        **variables,
        "PATH": os.pathsep.join((str(environment.python.parent), variables.get("PATH", ""))),
        "PYTHONPATH": str(PLUGINS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def unknown_exclusions(outcomes: list[Outcome]) -> list[str]:
    """Lines of the exclusion files for which no version has a test."""
    return [
        f"{suite.excluded.relative_to(ROOT)}: there is no {test}"
        for suite in {outcome.suite: None for outcome in outcomes}
        for test in read_exclusions(suite.excluded)
        if not any(test in outcome.report["excluded"] for outcome in outcomes if outcome.suite is suite)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pinned-only", action="store_true", help="leave out the oldest and the latest release")
    parser.add_argument("pytest_arguments", nargs="*", help="more arguments for pytest, after --")
    options = parser.parse_args()
    versions = [environments.pinned(SDK)]
    if not options.pinned_only:
        versions += [environments.oldest(), environments.latest()]
    outcomes = []
    for version in dict.fromkeys(versions):
        environment = environments.prepare(version)
        for suite in SUITES:
            print(f"\n--- {suite.package} {version}", flush=True)
            outcomes.append(run(suite, environment, options.pytest_arguments))
    # A test may exist in only one version, and a selection of tests does not contain all of them.
    complete = not options.pinned_only and not options.pytest_arguments
    unknown = unknown_exclusions(outcomes) if complete else []
    print("\n--- conformance", *outcomes, *unknown, sep="\n")
    return 1 if unknown or any(outcome.faults for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
