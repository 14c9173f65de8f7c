"""Pythons of other versions than this one that are installed here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VERSIONS = [f"3.{minor}" for minor in range(10, 15) if minor != sys.version_info.minor]


def other_pythons() -> list[Path]:
    """One of each version, the newest last; skips the test if there is none."""
    found = {}
    for version in VERSIONS:
        candidates = [*Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")]
        if on_path := shutil.which(f"python{version}"):
            candidates.append(Path(on_path))
        # pyenv puts a name for each version on the path, which starts that version only if it is selected.
        for python in candidates:
            if subprocess.run([python, "-V"], capture_output=True).returncode == 0:
                found[version] = python
                break
    if not found:
        pytest.skip("no other Python is installed")
    return list(found.values())
