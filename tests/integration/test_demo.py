"""The program that `make demo` runs."""

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def test_demo_shows_the_trace_and_succeeds():
    demo = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, timeout=90, check=False)

    assert demo.returncode == 0, demo.stderr
    assert "demo-shop: GET /server_request  SERVER" in demo.stdout
