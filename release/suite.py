"""Runs tests against an installed wheel, in an environment of its own, and adds what passed to its result.

    python suite.py dist/wheels/otel_rs-*-cp311-*-manylinux*_x86_64.whl tests/trace tests/logs

The wheel is one for this machine that check_wheels.py has checked. The package in the source tree is not on the path of
these tests.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from check_wheels import RESULTS, ROOT, interpreter, output

VENV = ROOT / ".cache/suite"
# As in `make test-debug`: the others make environments of their own, or need the source tree's package.
TESTS = "not alone and not environments and not installed"
WHERE = """
import sys
from pathlib import Path
import otel_rs, otel_rs._native
for module in (otel_rs, otel_rs._native):
    assert Path(module.__file__).is_relative_to(sys.prefix), module.__file__
"""


def install(wheel: Path) -> Path:
    shutil.rmtree(VENV, ignore_errors=True)
    base = interpreter(wheel.stem.split("-")[3])
    if base is None:
        sys.exit(f"no Python here for {wheel.name}")
    output([base, "-m", "venv", VENV])
    python = VENV / "bin/python"
    requirements = VENV / "requirements.txt"
    requirements.write_text(output([python, ROOT / "tests/matrix/requirements.py"]))
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    output([*pip, "--requirement", requirements])
    output([*pip, wheel])
    return python


def passed(python: Path, tests: list[str], processes: str) -> str:
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    output([python, "-c", WHERE], cwd=ROOT, env=variables)
    command = [python, "-m", "pytest", "--quiet", "-n", processes, "-m", TESTS, *tests]
    ended = subprocess.run(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
    print(ended.stdout, end="", flush=True)
    if ended.returncode:
        sys.exit(f"the tests ended with {ended.returncode}")
    last = re.findall(r"\b\d+ (?:passed|skipped)\b", ended.stdout.splitlines()[-1])
    return f"{', '.join(last)} of {' '.join(tests)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", default="3", metavar="N", help="tests at a time (3)")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("tests", nargs="+")
    options = parser.parse_args()
    result = RESULTS / f"{options.wheel.stem.split('-', 3)[3]}.json"
    kept = json.loads(result.read_text())
    also = passed(install(options.wheel.resolve()), options.tests, options.processes)
    kept["ran"][0]["also"] = also
    result.write_text(json.dumps(kept, indent=2) + "\n")
    print(also)


if __name__ == "__main__":
    main()
