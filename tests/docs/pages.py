"""The blocks of code on the pages, and what the pages say of them to the tests.

Readers do not see these comments. They stand right above a block; the third and the fourth anywhere on a page.

- `<!-- not run: REASON -->`: no test runs it.
- `<!-- run by: tests/...; REASON -->`: this other test runs what it says.
- `<!-- installed: ... -->`: packages that the reader has.
- `<!-- needs: ... -->`: redis, mariadb or network.
- `<!-- arrives: NAME, NAME -->`: spans that the receiver shows after it.
- `<!-- prints: TEXT, TEXT -->`: what its last command has printed.
- `<!-- in another terminal -->`: what runs is not stopped before it.
- `<!-- stopped by: SIGTERM -->`: what stops its last command, instead of Ctrl+C.
- `<!-- running when it prints: TEXT -->`: its last command does not end, and listens on no port.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What is made of other pages, and what belongs to the tests.
_NOT_PAGES = ("release/", "tests/")

_MARKS = "not run|run by|installed|needs|arrives|prints|running when it prints|stopped by|in another terminal"
_MARK = re.compile(rf"^\s*<!-- ({_MARKS})(?:: (.*?))? -->$")
_FENCE = re.compile(r"^( *)(```+|~~~+) *([\w+-]*)(.*)$")
_IN_A_LIST = re.compile(r"\s|[-*+] |\d+\. ")


@dataclass
class Block:
    page: str
    line: int
    language: str
    title: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        return not {"not run", "run by"} & self.marks.keys() and (self.language in ("sh", "python") or bool(self.title))

    def commands(self) -> list[str]:
        """The commands of a block for the shell, each with the lines that it goes on in."""
        whole = re.sub(r"\\\n\s*", "", self.text)
        return [line.strip() for line in whole.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pages() -> list[str]:
    listed = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT
    )
    return [
        page for page in sorted(listed.decode().split()) if not page.startswith(_NOT_PAGES) and (ROOT / page).exists()
    ]


def blocks(page: str, text: str | None = None) -> list[Block]:
    lines = ((ROOT / page).read_text() if text is None else text).splitlines()
    found: list[Block] = []
    number, paragraph = 0, ""
    while number < len(lines):
        line = lines[number]
        if fence := _FENCE.match(line):
            end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == fence[2])
            body = [each.removeprefix(fence[1]) for each in lines[number + 1 : end]]
            title = re.search(r'title="([^"]+)"', fence[4])
            found.append(_block(page, number, lines, fence[3], title[1] if title else "", body))
            number = end + 1
        elif line.startswith("    ") and not _IN_A_LIST.match(paragraph) and (number == 0 or not lines[number - 1]):
            end = next(
                (n for n in range(number, len(lines)) if lines[n] and not lines[n].startswith("    ")), len(lines)
            )
            body = [each[4:] for each in lines[number:end]]
            found.append(_block(page, number, lines, "sh", "", body))
            number = end
        else:
            if line and (number == 0 or not lines[number - 1]):
                paragraph = line
            number += 1
    return found


def marked(page: str, mark: str) -> list[str]:
    """What the page's comments of this kind say."""
    marks = map(_MARK.match, (ROOT / page).read_text().splitlines())
    return [found[2] for found in marks if found and found[1] == mark]


def _block(page: str, number: int, lines: list[str], language: str, title: str, body: list[str]) -> Block:
    marks, above = {}, number - 1
    while above >= 0 and (not lines[above] or _MARK.match(lines[above])):
        if mark := _MARK.match(lines[above]):
            marks[mark[1]] = mark[2] or ""
        above -= 1
    return Block(page, number + 1, language, title, "\n".join(body).rstrip() + "\n", marks)
