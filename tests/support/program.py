"""Runs a Python program in its own process, so that its imports and global state are its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from .receiver import DEADLINE_SECONDS

# Functions for the programs.
PRELUDE = """
import sys

def loaded():
    return [name for name in ("grpc", "google.protobuf", "requests") if name in sys.modules]

def without(*names):
    '''From now on imports of these packages fail, as if they were not installed.'''
    class Missing:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.partition(".")[0] in names:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Missing)

def native(thing):
    return thing.__module__.startswith("otel_rs.")
"""


def run(program: str, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the program with warnings as errors, by `command` or this Python; asserts that it succeeds."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    done = subprocess.run(
        [*(command or (sys.executable, "-W", "error")), "-c", PRELUDE + textwrap.dedent(program)],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done
