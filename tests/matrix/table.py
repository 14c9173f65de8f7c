"""Makes the table of interpreters in docs/platforms.md from `results/`; `--check` only says whether it is current."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs/platforms.md"
BEGIN, END = "<!-- made by tests/matrix/table.py -->\n", "<!-- end -->\n"

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


def main() -> None:
    results = sorted((json.loads(file.read_text()) for file in RESULTS.glob("*.json")), key=order)
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    made = f"{before}{BEGIN}\n{HEAD}{''.join(map(row, results))}\n{END}{after}"
    if "--check" not in sys.argv:
        PAGE.write_text(made)
    elif made != page:
        sys.exit("docs/platforms.md is not made of tests/matrix/results: run tests/matrix/table.py")


if __name__ == "__main__":
    main()
