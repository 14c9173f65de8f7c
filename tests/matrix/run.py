"""Runs the tests on several interpreters: `make test-matrix`. What came out is kept in `results/`, a file for each.

`run.py 3.10 3.14t` runs all of them on each; `--scope core` leaves out what times or fills the machine, and upstream's
own tests; `PROFILE=dev` in the environment builds the extension without optimisation. `--find` only gets the
interpreters, and fails where one cannot be had.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
MATRIX = ROOT / ".cache/matrix"

# As in `make test`.
STEPS = {
    "tests": "not alone and not environments",
    "alone": "alone",
}
# Tests that time what they do fail beside other work, and of a build without optimisation.
CORE = "not alone and not environments and not installed"

# PyO3 supports 3.14t and newer. What runs on 3.13t is evidence for it where there is no 3.14t.
UNSUPPORTED = {"3.13t": {"UNSAFE_PYO3_SKIP_VERSION_CHECK": "1"}}

PROBE = """
import json, platform, sys, sysconfig
from importlib.metadata import version
print(json.dumps({
    "python": platform.python_version(),
    "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "opentelemetry-sdk": version("opentelemetry-sdk"),
}))
"""


def interpreter(name: str) -> Path:
    """What pyenv or the machine has, or what `make interpreters` got."""
    own = ROOT / f".cache/interpreters/{name}/bin/python{name}"
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{name}.*/bin/python{name}"))
    found = next((path for path in [own, *reversed(pyenv)] if path.exists()), None) or shutil.which(f"python{name}")
    if found is None:
        make("interpreters", f"INTERPRETERS={name}")
        return own
    return Path(found)


def make(*arguments: str, environment: dict[str, str] | None = None) -> None:
    subprocess.run(["make", "--no-print-directory", *arguments], cwd=ROOT, env=environment, check=True)


def pytest(python: Path, name: str, step: str, marks: str, arguments: list[str], debug: bool = False) -> dict[str, Any]:
    report = MATRIX / f"{name}.{step}.xml"
    report.unlink(missing_ok=True)
    processes: list[str] = [] if step == "alone" else ["-n", os.environ.get("TEST_PROCESSES", "2")]
    command = [str(python), "-m", "pytest", *processes, "-m", marks, f"--junitxml={report}", *arguments]
    began = time.monotonic()
    environment = {**os.environ, **({"PYTHONDEVMODE": "1"} if debug else {})}
    ended = subprocess.run(command, cwd=ROOT, env=environment)
    if not report.exists():
        return {"exit": ended.returncode, "seconds": round(time.monotonic() - began)}
    return {**counts(report), "seconds": round(time.monotonic() - began)}


def counts(report: Path) -> dict[str, Any]:
    """How many tests passed and so on, and which failed."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    found: dict[str, Any] = {"passed": 0, "failed": 0, "skipped": 0}
    names = []
    for case in cases:
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            found["failed"] += 1
            names.append(f"{case.get('classname')}::{case.get('name')}")
        else:
            found["skipped" if "skipped" in outcomes else "passed"] += 1
    return {**found, **({"failures": sorted(names)} if names else {})}


def conformance(python: Path) -> dict[str, Any]:
    began = time.monotonic()
    ended = subprocess.run([python, "tests/conformance/run.py"], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    sys.stdout.write(ended.stdout)
    passed, failed = (sum(map(int, re.findall(rf"(\d+) {word}", ended.stdout))) for word in ("passed", "failed"))
    return {"exit": ended.returncode, "passed": passed, "failed": failed, "seconds": round(time.monotonic() - began)}


def prepared(name: str) -> Path:
    """An environment with the packages of the tests and the extension."""
    python = interpreter(name)
    venv = MATRIX / name
    make(
        f"PYTHON={python}",
        f"VENV={venv.relative_to(ROOT)}",
        f"{venv.relative_to(ROOT)}/.dev",
        f"{venv.relative_to(ROOT)}/.extension",
        environment={**os.environ, **UNSUPPORTED.get(name, {})},
    )
    return venv / "bin/python"


def run(name: str, scope: str, arguments: list[str], debug: bool) -> bool:
    # Of the start: what is committed while the tests run was not tested.
    date, tested = datetime.date.today().isoformat(), commit()
    python = prepared(name)
    about = json.loads(subprocess.run([python, "-c", PROBE], check=True, text=True, stdout=subprocess.PIPE).stdout)
    if scope == "core":
        steps = {"tests": pytest(python, name, "tests", CORE, arguments, debug)}
    else:
        steps = {step: pytest(python, name, step, marks, arguments, debug) for step, marks in STEPS.items()}
        steps["conformance"] = conformance(python)
    result = {
        "interpreter": name,
        **about,
        "date": date,
        "platform": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        "commit": tested,
        "profile": os.environ.get("PROFILE", "release"),
        "scope": f"{scope}: {' '.join(arguments)}" if arguments else scope,
        "steps": steps,
    }
    if not debug:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    return not any(step.get("failed") or step.get("exit") for step in steps.values())


def commit() -> str:
    described = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(described, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("interpreters", nargs="+", help="such as 3.10 or 3.14t")
    parser.add_argument("--scope", choices=["all", "core"], default=os.environ.get("SCOPE", "all"))
    parser.add_argument("--only", action="append", default=[], help="a folder or file of tests, instead of all")
    parser.add_argument("--debug", action="store_true", help="in Python's development mode; keep no results")
    parser.add_argument("--find", action="store_true", help="run no tests; fail if an interpreter cannot be had")
    options = parser.parse_args()
    if options.find:
        for name in options.interpreters:
            print(interpreter(name))
        return
    MATRIX.mkdir(parents=True, exist_ok=True)
    failed = [name for name in options.interpreters if not run(name, options.scope, options.only, options.debug)]
    if failed:
        sys.exit(f"failed on {', '.join(failed)}")


if __name__ == "__main__":
    main()
