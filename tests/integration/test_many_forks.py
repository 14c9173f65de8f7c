"""500 children of a program that ends and exports spans, counts and logs, meanwhile: none hangs, loses anything or
leaks a descriptor."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from .ended_spans import EndedSpans

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="descriptors are read from /proc")

PROGRAM = Path(__file__).parent / "programs" / "many_forks.py"


@pytest.mark.parametrize("protocol", ["grpc"])
def test_five_hundred_children(collector, start_program, tmp_path, protocol):
    ended = EndedSpans(tmp_path)
    environment = ended.environment(protocol, collector.ports[protocol])
    environment["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "delta"
    with start_program(sys.executable, PROGRAM, **environment) as program:
        assert program.process.wait(timeout=90) == 0, program.output()
        ended.assert_received_once(collector, program)
    ended.assert_measured(collector, program, "delta")
    ended.assert_logged(collector, program)

    children = ended.lines_of("child")
    assert len({child["pid"] for child in children}) == len(children) == 500
    assert [child["inherited"] for child in children if child["inherited"]] == []
    (connections,) = ended.lines_of("connections")
    assert connections["before"]
    assert connections["after"] == connections["before"]
    waves = [wave["held"] for wave in ended.lines_of("wave")]
    assert len(waves) == 25
    assert all(held == waves[0] for held in waves), "the parent has more descriptors after forks"
