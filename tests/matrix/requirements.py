"""Prints the development set's packages that this Python can install."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]


def names(file: Path) -> set[str]:
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return {normalized(line) for line in lines if line}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    left_out = names(ROOT / "tests/matrix/without_wheels.txt") if sysconfig.get_config_var("Py_GIL_DISABLED") else set()
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        if normalized(re.split("[=#]", line)[0].strip()) not in left_out:
            print(line)


if __name__ == "__main__":
    main()
