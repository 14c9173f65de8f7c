"""Every block of code on the pages is run, or its page says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import terminals
from .pages import ROOT, Block, blocks, pages
from .terminals import Terminals, network

LANGUAGES = {"sh", "python", "text", "floors"}

PAGE = """
# A page

Text.

    indented --command

- A list

      goes on here.

  ```text
  within
  ```

<!-- arrives: one, two -->
<!-- in another terminal -->
```sh
first \\
    --goes-on
# a comment
second
```

<!-- not run: it is long -->
```python title="a.py"
print("``")
```
"""


def all_blocks() -> list[Block]:
    return [block for page in pages() for block in blocks(page)]


def test_a_page_is_read() -> None:
    indented, within, first, last = blocks("page.md", PAGE)
    assert indented.commands() == ["indented --command"]
    assert (within.language, within.text, within.is_run) == ("text", "within\n", False)
    assert first.commands() == ["first --goes-on", "second"]
    assert first.marks == {"arrives": "one, two", "in another terminal": ""}
    assert (last.title, last.is_run, last.marks) == ("a.py", False, {"not run": "it is long"})


@pytest.mark.parametrize("block", all_blocks(), ids=lambda block: block.place)
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.language in LANGUAGES, "name its language: sh and python are run, text is not"
    assert block.is_run or block.language in ("text", "floors") or block.marks.get("not run") or runs_it(block)
    if block.title and block.is_run:
        # A file that nothing uses would be tested by nothing.
        later = [other for other in blocks(block.page) if other.line > block.line and other.language == "sh"]
        name = Path(block.title).with_suffix("").as_posix().replace("/", ".")
        used = {block.title, name, "gunicorn "}
        assert any(word in other.text for other in later for word in used), "no command on the page uses this file"


def runs_it(block: Block) -> bool:
    test = block.marks.get("run by", "").partition(";")[0]
    return bool(test) and (ROOT / test).is_file()


@pytest.mark.parametrize("page", sorted({block.page for block in all_blocks() if "not run" in block.marks}))
def test_what_no_test_runs_is_listed(page: str) -> None:
    reasons = [f"{block.place}: {block.marks['not run']}" for block in blocks(page) if "not run" in block.marks]
    pytest.skip("; ".join(reasons))


@pytest.mark.skipif(not terminals.is_possible(), reason="it needs Linux's namespaces for a network")
def test_a_command_that_fails_or_hangs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "DEADLINE_SECONDS", 0.5)
    with network() as own:
        typed = Terminals(own, tmp_path, tmp_path / "state", {"PATH": "/usr/bin:/bin"})
        with pytest.raises(AssertionError, match="It ended with 3"):
            typed.run("exit 3")
        with pytest.raises(AssertionError, match="neither ends nor listens"):
            typed.run("sleep 60")
        typed.run("export KEPT=1")
        assert typed.run("echo $KEPT").output() == "1\n"
        assert not typed.running()
