"""The site is not built where a link leads nowhere, a page is in no list, or a page would fetch something."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .pages import ROOT

MKDOCS = ROOT / ".cache" / "site-packages" / "bin" / "mkdocs"
PLANTED = """
[a](nowhere.md) [b](design.md#nothing) [c](../tests/nothing.py) [d](../README.md#nothing) [e](../tests/conftest.py)

![f](https://example.org/f.png)
"""


@pytest.mark.skipif(not MKDOCS.exists(), reason="`make docs` installs what builds the site")
def test_planted_faults_are_found(tmp_path: Path) -> None:
    # Without the API, which takes most of the time.
    for name in ("docs", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "wheels", "api"))
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").touch()
    for file in [*ROOT.glob("*.md"), ROOT / "mkdocs.yml"]:
        shutil.copy(file, tmp_path)
    with (tmp_path / "docs" / "doctor.md").open("a") as page:
        page.write(PLANTED)
    (tmp_path / "docs" / "forgotten.md").write_text("# Forgotten\n")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [MKDOCS, "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    for warning in (
        "  - forgotten.md",
        "doctor.md: there is no docs/nowhere.md",
        "doctor.md: there is no tests/nothing.py",
        "a link 'design.md#nothing'",
        "a link 'README.md#nothing'",
        "doctor/index.html fetches https://example.org/f.png",
    ):
        assert warning in done.stderr, done.stderr
    assert "conftest" not in done.stderr
