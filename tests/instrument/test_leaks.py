"""Rounds of requests, also of such as fail or are given up, do not increase the number of references and objects."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "leaks.py"
# A round has more than a hundred requests.
MOST_BLOCKS_IN_MOST_ROUNDS = 40


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
def test_requests_leak_nothing(sampler: str) -> None:
    finished = subprocess.run(
        [sys.executable, PROGRAM],
        env={**os.environ, "OTEL_TRACES_SAMPLER": sampler},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert finished.returncode == 0, finished.stderr
    natives, first, *later = map(json.loads, finished.stdout.splitlines())
    assert all(module.startswith("otel_rs.") for module in natives)
    last = later[-1]
    assert last["references"] == first["references"]
    assert last["objects"] == first["objects"]
    blocks = [each["blocks"] for each in (first, *later)]
    assert statistics.median(after - before for before, after in pairwise(blocks)) < MOST_BLOCKS_IN_MOST_ROUNDS
