"""Environments in which nothing is installed but what a page installs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from ..integration.examples.wheels import packed
from .pages import ROOT

UV = [sys.executable, "-m", "uv", "--quiet"]


def wheels_for(folder: Path, commands: Iterable[tuple[str, Path]]) -> Path:
    """Wheels of what the commands, each with its folder, install: of the development set, and of otel-rs as it is."""
    names = {"otel-rs"}
    for command, here in commands:
        for requirement in requirements_of(command, here):
            if is_in_the_development_set(requirement):
                names |= {requirement.name, *_of_extras(requirement)}
    return packed(folder, *sorted(names))


def requirements_of(command: str, here: Path) -> list[Requirement]:
    """What a `pip install` names, also in a file."""
    if not command.startswith("pip install "):
        return []
    words = command.partition("#")[0].split()[2:]
    if "-r" in words:
        option = words.index("-r")
        words[option : option + 2] = (here / words[option + 1]).read_text().splitlines()
    found = []
    for word in words:
        with suppress(InvalidRequirement):  # a folder, or a comment in a file
            found.append(Requirement(word.strip("'\"")))
    return found


def is_in_the_development_set(requirement: Requirement) -> bool:
    try:
        distribution(requirement.name)
    except PackageNotFoundError:
        return False
    return True


def _of_extras(requirement: Requirement) -> list[str]:
    """What the extras, as in `celery[redis]`, require besides."""
    found = []
    for each in map(Requirement, distribution(requirement.name).requires or []):
        if each.marker and any(each.marker.evaluate({"extra": extra}) for extra in requirement.extras):
            found += [each.name, *_of_extras(each)]
    return found


def new(folder: Path, wheels: Path, *, from_index: bool) -> dict[str, str]:
    """Makes an environment, and returns the variables of a terminal in which it is active.

    Its pip is uv, which takes the same arguments and needs a tenth of the time.
    """
    # The index is asked for pip, too, which opentelemetry-bootstrap runs.
    options = ["--system-certs", "--seed"] if from_index else ["--offline"]
    subprocess.run([*UV, "venv", *options, "--python", sys.executable, folder], check=True)
    pip = folder / "bin" / "pip"
    options = ["--system-certs"] if from_index else ["--offline", "--no-index"]
    options += ["--python", str(folder), "--find-links", str(wheels)]
    pip.write_text(f'#!/bin/sh\ncommand=$1; shift\nexec {shlex.join(UV)} pip "$command" {shlex.join(options)} "$@"\n')
    pip.chmod(0o755)
    home = folder.parent / "home"
    home.mkdir()
    (home / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON", "UV_"))}
    index = {name: value for name, value in os.environ.items() if name.startswith("UV_")} if from_index else {}
    if from_index:
        # Upstream's packages are released one after the other.
        index |= dict.fromkeys(("PIP_CONSTRAINT", "UV_CONSTRAINT"), str(ROOT / "requirements-dev.txt"))
    return {
        **kept,
        **index,
        "HOME": str(home),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}:/usr/sbin",
        "VIRTUAL_ENV": str(folder),
        "NO_PROXY": "127.0.0.1,localhost,0.0.0.0",
        "no_proxy": "127.0.0.1,localhost,0.0.0.0",
        "PYTHONUNBUFFERED": "1",
        # So that nobody waits.
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
    }
