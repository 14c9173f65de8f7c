"""Makes the table of wheels in docs/platforms.md of `results/`; `--check` only says whether it is current."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from on_page import make

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


if __name__ == "__main__":
    make(Path(__file__).resolve(), "<!-- end of the wheels -->\n", HEAD, row, order)
