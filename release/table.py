"""Makes the table of wheels in docs/platforms.md of `results/`; `--check` only says whether it is current."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs/platforms.md"
BEGIN, END = "<!-- made by release/table.py -->\n", "<!-- end of the wheels -->\n"

HEAD = """\
| Wheel | Wheel, extension | Audited | Installed and run on | Date, commit | Profile, built by |
|---|---|---|---|---|---|
"""


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f}"


def row(result: dict[str, Any]) -> str:
    sizes = result["bytes"]
    cells = [
        result["wheel"].removesuffix(".whl").split("-", 2)[2],
        f"{megabytes(sizes['wheel'])} MB, {megabytes(sizes['extension'])} MB",
        result["audit"],
        "; ".join(run["in"] + (f" ({run['also']})" if "also" in run else "") for run in result["ran"]) or "not run",
        f"{result['date']}, {result['commit']}",
        f"{result['profile']}, maturin {result['maturin']}, rustc {result['rustc']}, zig {result['zig']}",
    ]
    return f"| {' | '.join(cells)} |\n"


def order(result: dict[str, Any]) -> tuple[str, int, str]:
    python, _, platform = result["wheel"].split("-", 2)[2].partition("-")
    return platform.partition("-")[2], int(re.sub(r"\D", "", python)), platform


def main() -> None:
    results = sorted((json.loads(file.read_text()) for file in RESULTS.glob("*.json")), key=order)
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    made = f"{before}{BEGIN}\n{HEAD}{''.join(map(row, results))}\n{END}{after}"
    if "--check" not in sys.argv:
        PAGE.write_text(made)
    elif made != page:
        sys.exit("docs/platforms.md is not made of release/results: run release/table.py")


if __name__ == "__main__":
    main()
