"""test_many_forks.py runs this: it forks 500 children, some at a time, while four threads end spans."""

from __future__ import annotations

import os
import sys

import telemetry

CHILDREN = 500
AT_A_TIME = 20


def child(number: int) -> None:
    telemetry.begin_child()
    telemetry.end_spans(3)
    if number % 3 == 0:
        sys.exit()
    telemetry.flush()
    if number % 3 == 1:
        telemetry.end_span("after the flush")
        telemetry.flush()
    os._exit(0)


telemetry.configure()
load = telemetry.Load()
for first in range(0, CHILDREN, AT_A_TIME):
    pids = []
    for number in range(first, first + AT_A_TIME):
        pid = os.fork()
        if pid == 0:
            child(number)
        pids.append(pid)
    telemetry.wait_for(pids)
    telemetry.record("wave", held=telemetry.lasting_descriptors())
load.end()
