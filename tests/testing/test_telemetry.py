"""The fixtures in a process of their own, as in a project that uses them: they set the global providers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).with_name("telemetry.py")


def test_the_fixtures() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stdout
    assert " passed" in finished.stdout
