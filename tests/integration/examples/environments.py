"""Environments and the like that take a network and minutes to make, kept in `.cache/examples`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).parents[3] / ".cache" / "examples"
UV = [sys.executable, "-m", "uv", "--quiet"]


def made(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name in the cache, which `make` fills the first time."""
    folder = CACHE / name
    if not (folder / ".made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        make(folder)
        (folder / ".made").touch()
    return folder


def environment_with(name: str, *requirements: str) -> Path:
    """The `bin` of an environment with these packages of PyPI."""

    def make(folder: Path) -> None:
        subprocess.run([*UV, "venv", "--python", sys.executable, folder], check=True)
        subprocess.run([*UV, "pip", "install", "--system-certs", "--python", folder, *requirements], check=True)

    return made(name, make) / "bin"
