"""A table in docs/platforms.md, made of kept results; `--check` only says whether it is current."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs/platforms.md"

Result = dict[str, Any]


def make(script: Path, end: str, head: str, row: Callable[[Result], str], order: Callable[[Result], Any]) -> None:
    """The table is between the line that names the script and the line `end`; the results are beside the script."""
    name = script.relative_to(PAGE.parents[1])
    begin = f"<!-- made by {name} -->\n"
    results = sorted((json.loads(file.read_text()) for file in script.parent.glob("results/*.json")), key=order)
    page = PAGE.read_text()
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    made = f"{before}{begin}\n{head}{''.join(map(row, results))}\n{end}{after}"
    if "--check" not in sys.argv:
        PAGE.write_text(made)
    elif made != page:
        sys.exit(f"docs/platforms.md is not made of {name.parent}/results: run {name}")
