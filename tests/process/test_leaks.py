"""Ten rounds of a broad span program do not increase the number of references, objects and bytes in use."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ..support.receiver import HttpReceiver

ROOT = Path(__file__).parents[2]
SECONDS = 100


def rounds(receiver: HttpReceiver, when: str, what: str, count: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.support.leak_rounds", receiver.endpoint, when, what, str(count)]
    environment = {**os.environ, **({"PYTHONDEVMODE": "1"} if when == "development mode" else {})}
    finished = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        timeout=SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return [json.loads(line) for line in finished.stdout.splitlines()]


# The interpreter fills its own caches for a long time, with stock spans as well as ours, sometimes by hundreds of
# blocks at once; a leak grows in every round. Each round creates at least fifty spans or providers, except the round
# with a collection at every allocation: a leak of one block for each would exceed this number.
MOST_BLOCKS_IN_MOST_ROUNDS = 45
MOST_BYTES = 1024 * 1024
NEARLY_NONE = 300


@pytest.mark.parametrize(
    ("when", "what", "count"),
    [
        pytest.param("plain", "spans", 200, id="spans"),
        pytest.param("development mode", "spans", 50, id="spans, development mode"),
        pytest.param("every allocation", "spans", 20, id="spans, garbage collected at every allocation"),
        pytest.param("plain", "logs", 40, id="logs"),
        pytest.param("development mode", "logs", 40, id="logs, development mode"),
        pytest.param("plain", "providers", 100, id="providers"),
        pytest.param("development mode", "providers", 100, id="providers, development mode"),
    ],
)
def test_ten_rounds_leak_nothing(when: str, what: str, count: int, http_receiver: HttpReceiver) -> None:
    first, *later = rounds(http_receiver, when, what, count)
    assert len(later) == 10
    assert len(http_receiver.log_records() if what == "logs" else http_receiver.spans()) >= 10 * count
    last = later[-1]
    assert last["references"] == first["references"]
    assert last["objects"] == first["objects"]
    # The interpreter's caches also hold references to `None`.
    assert abs(last["shared"].pop("None") - first["shared"].pop("None")) < NEARLY_NONE
    assert last["shared"] == first["shared"]
    blocks = [round["blocks"] for round in (first, *later)]
    # Most of the caches are full after some rounds.
    grown = [after - before for before, after in pairwise(blocks[4:])]
    assert statistics.median(grown) < MOST_BLOCKS_IN_MOST_ROUNDS
    assert last["bytes"] - first["bytes"] < MOST_BYTES


SLICE = """
import gc, sys, pytest
gc.set_threshold({threshold})
sys.exit(pytest.main({arguments}))
"""


@pytest.mark.parametrize(
    ("development_mode", "threshold", "files"),
    [
        pytest.param("1", 700, ["differential/test_programs.py", "differential/test_rules.py"], id="development mode"),
        pytest.param(
            "1", 700, ["process/test_threads.py", "process/test_asyncio.py"], id="threads and tasks, development mode"
        ),
        pytest.param("", 1, ["differential/test_programs.py"], id="garbage collected at every allocation"),
        pytest.param("", 1, ["process/test_asyncio.py"], id="tasks, garbage collected at every allocation"),
    ],
)
def test_the_suite_passes_in_development_mode(development_mode: str, threshold: int, files: list[str]) -> None:
    arguments = ["-q", "-p", "no:cacheprovider", *(f"tests/{file}" for file in files)]
    finished = subprocess.run(
        [sys.executable, "-c", SLICE.format(threshold=threshold, arguments=arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONDEVMODE": development_mode, "OTEL_RS_TEST_PROFILE": "slice"},
        timeout=SECONDS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-5_000:]
