"""Makes description.md, the page of the package at an index, of README.md; `--check` only says whether it is current.

The README's links lead to files beside it. An index has none of them, so here they lead to the repository, whose
address pyproject.toml has.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "release/description.md"


def repository() -> str:
    # Python 3.10 has no tomllib.
    found = re.search(r'^Repository = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found
    return found[1].rstrip("/")


def absolute(link: re.Match[str]) -> str:
    opening, target = link.groups()
    if re.match(r"[a-z]+:|#", target):
        return link[0]
    if not (ROOT / target.partition("#")[0]).exists():
        sys.exit(f"README.md has a link to {target}, which is not there")
    kind = "raw" if opening.startswith("!") else "blob"
    return f"{opening}({repository()}/{kind}/main/{target})"


def main() -> None:
    text = re.sub(r"(!?\[[^\]]*\])\(([^)\s]+)\)", absolute, (ROOT / "README.md").read_text())
    if "--check" not in sys.argv:
        FILE.write_text(text)
    elif not FILE.exists() or FILE.read_text() != text:
        sys.exit("release/description.md is not that of README.md: run `make description`")


if __name__ == "__main__":
    main()
