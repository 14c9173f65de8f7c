"""Runs upstream's own tests with otel-rs installed over the SDK: `make conformance`.

The SDK's tests run against the release that the development set pins, the oldest that pyproject.toml allows, and the
latest that is known, and so do those of the API's propagation, of the OTLP exporters, of their encoders and of
configuration files. Those of instrumentations run against the pinned release. Tests of internals are listed in
`excluded*.txt`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import environments
from environments import ROOT, SDK, Environment
from suites import CONTRIB_SUITES, SUITES, Suite

HERE = Path(__file__).parent
PLUGINS = HERE / "plugins"
# Many of the tests wait for most of the time.
AT_ONCE = 2
PORT = threading.Lock()
sys.path.insert(0, str(PLUGINS))

from conformance_exclusions import read as read_exclusions  # noqa: E402


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
    """Prints what the tests print when they end."""
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
            *((f"--exclusions={suite.excluded}",) if suite.excluded else ()),
            f"--conformance-report={report}",
            f"--least-native-spans={suite.least_native_spans}",
            f"--least-native-meters={suite.least_native_meters}",
            *suite.more_arguments,
            *suite.tests,
            *arguments,
        ]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with PORT if suite.fixed_port else nullcontext():
            began = time.monotonic()
            ended = subprocess.run(command, cwd=source, env=_variables(suite, environment), text=True, **streams)
            seconds = time.monotonic() - began
        found = json.loads(report.read_text()) if report.exists() else {"collected": 0, "excluded": [], "outcomes": {}}
    print(f"\n--- {suite.package} {environment.version}\n{ended.stdout}", flush=True)
    return Outcome(suite, environment.version, seconds, found, faults(suite, ended.returncode, found))


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


def _variables(suite: Suite, environment: Environment) -> dict[str, str]:
    """The environment variables: no outside telemetry configuration, no proxy for local servers, our `python` first."""
    modules = (PLUGINS, suite.stand_ins) if suite.stand_ins else (PLUGINS,)
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_", "PYTHON"))
    }
    return {
        **variables,
        "PATH": os.pathsep.join((str(environment.python.parent), variables.get("PATH", ""))),
        "PYTHONPATH": os.pathsep.join(map(str, modules)),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Of a release that is newer than the known ones the tests are to say what it changed.
        "OTEL_RS_UNKNOWN_SDK": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def unknown_exclusions(outcomes: list[Outcome]) -> list[str]:
    """Lines of the exclusion files for which no version has a test."""
    return [
        f"{suite.excluded.relative_to(ROOT)}: there is no {test}"
        for suite in {outcome.suite: None for outcome in outcomes}
        if suite.excluded
        for test in read_exclusions(suite.excluded)
        if not any(test in outcome.report["excluded"] for outcome in outcomes if outcome.suite is suite)
    ]


def run_of(suites: Iterable[tuple[Suite, Environment]], arguments: list[str]) -> list[Outcome]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda each: run(*each, arguments), suites))


def prepared(versions: list[str], contrib: bool) -> list[tuple[Suite, Environment]]:
    """The suites of these versions of the SDK, and those of the instrumentations, with what they run in."""
    groups = [(SUITES, partial(environments.of_sdk, version)) for version in dict.fromkeys(versions)]
    if contrib:
        packages = [suite.package for suite in CONTRIB_SUITES]
        groups.append((CONTRIB_SUITES, partial(environments.of_contrib, packages)))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(lambda group: group[1](), groups))
    return [(suite, environment) for (suites, _), environment in zip(groups, made, strict=True) for suite in suites]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pinned-only", action="store_true", help="leave out the oldest and the latest release")
    parser.add_argument("--newest", action="store_true", help="the newest release of the SDK alone, known or not")
    parser.add_argument("--contrib-only", action="store_true", help="run the tests of instrumentations alone")
    parser.add_argument("pytest_arguments", nargs="*", help="more arguments for pytest, after --")
    options = parser.parse_args()
    versions = []
    if options.newest:
        versions = [environments.newest()]
    elif not options.contrib_only:
        versions = [environments.pinned(SDK)]
        if not options.pinned_only:
            versions += [environments.oldest(), environments.latest()]
    outcomes = run_of(prepared(versions, contrib=not options.newest), options.pytest_arguments)
    # A test may exist in only one version, and a selection of tests does not contain all of them.
    complete = not (options.pinned_only or options.newest or options.pytest_arguments)
    unknown = unknown_exclusions(outcomes) if complete else []
    print("\n--- conformance", *outcomes, *unknown, sep="\n")
    return 1 if unknown or any(outcome.faults for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
