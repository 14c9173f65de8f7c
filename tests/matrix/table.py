"""Makes the table of interpreters in docs/platforms.md from `results/`; `--check` only says whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2] / "release"))
from on_page import make

HEAD = """\
| Interpreter | Version | Run on | SDK | Extension | What was run | Passed | Failed | Skipped |
|---|---|---|---|---|---|---|---|---|
"""


def row(result: dict[str, Any]) -> str:
    steps = result["steps"].values()
    passed, failed, skipped = (sum(step.get(name, 0) for step in steps) for name in ("passed", "failed", "skipped"))
    cells = [
        result["interpreter"] + (", without the GIL" if not result["gil"] else ""),
        result["python"],
        f"{result['date']}, {result['platform']}",
        result["opentelemetry-sdk"],
        f"{result['profile']}, {result['commit']}",
        result["scope"],
        *map(str, (passed, failed, skipped)),
    ]
    return f"| {' | '.join(cells)} |\n"


def order(result: dict[str, Any]) -> tuple[int, bool]:
    return int(result["interpreter"].rstrip("t").split(".")[1]), result["free_threaded"]


if __name__ == "__main__":
    make(Path(__file__).resolve(), "<!-- end -->\n", HEAD, row, order)
