"""Collectors that send without end cost their own exports, no longer than the timeout, and nothing else."""

from __future__ import annotations

import json
import time

import pytest

from ..support.receiver import Receiver
from .floods import FLOODS, floods
from .programs import Program

TIMEOUT = 1
# What a busy machine may add, to an export that ends at its timeout and to one that arrives.
LATE_SECONDS = 3
SLOW_SECONDS = 1
# The buffers of all connections; without bounds it would be gigabytes.
GROWTH_BYTES = 64 * 2**20
IDLE_SECONDS = 0.3

SPANS_TO_ALL = """
def flooded(**exporter):
    floods = json.loads(os.environ["FLOODS"]).items()
    return {
        name: make(endpoint, exporter, protocol, shutdown_on_exit=True, schedule_delay_millis=50)
        for name, (protocol, endpoint) in floods
    }
"""

BESIDE_A_HEALTHY_ONE = f"""
{SPANS_TO_ALL}
tracer, processor = make()

def arrival():
    end_spans(tracer, 1)
    flushed, seconds = timed(processor.force_flush, 20_000)
    assert flushed
    return seconds

def peak_bytes():
    with open("/proc/self/status") as status:
        return 1024 * int(status.read().split("VmHWM:")[1].split()[0])

usual = max(arrival() for _ in range(20))
hostile = flooded(timeout={TIMEOUT})
before, begun = peak_bytes(), time.monotonic()
for each, _ in hostile.values():
    end_spans(each, 1)
beside, ended = [], {{}}
while len(ended) < len(hostile):
    beside.append(arrival())
    for name, (_, each) in hostile.items():
        if not checked_counts(each)["pending"]:
            ended.setdefault(name, time.monotonic() - begun)
grown = peak_bytes() - before
cpu = time.process_time()
time.sleep({IDLE_SECONDS})
cpu = time.process_time() - cpu
counts = [each.counts()["failed"] for _, each in hostile.values()]
print(json.dumps([usual, max(beside), ended, grown, cpu, counts, processor.counts()["exported"]]))
"""


def test_collectors_that_send_without_end_cost_only_their_own_exports(program: Program, receiver: Receiver) -> None:
    with floods() as peers:
        usual, beside, ended, grown, cpu, failed, exported = program(BESIDE_A_HEALTHY_ONE, FLOODS=json.dumps(peers))
    print(f"usual {usual}, beside them {beside}, grown by {grown}, {cpu} s of CPU afterwards, ended {ended}")
    assert failed == [1] * len(FLOODS)
    assert max(ended.values()) < TIMEOUT + LATE_SECONDS, ended
    assert beside < 2 * usual + SLOW_SECONDS
    assert exported == len(receiver.spans())
    assert grown < GROWTH_BYTES
    # Their connections are closed.
    assert cpu < IDLE_SECONDS / 3


@pytest.mark.parametrize("receiver", ["http"], indirect=True)
def test_the_exit_keeps_its_deadline_beside_collectors_that_send_without_end(program: Program) -> None:
    with floods() as peers:
        exiting = program(
            f"""
{SPANS_TO_ALL}
for tracer, _ in flooded(timeout=30).values():
    end_spans(tracer, 1)
print(json.dumps(time.monotonic()))
""",
            FLOODS=json.dumps(peers),
            OTEL_RS_EXIT_TIMEOUT=str(1000 * TIMEOUT),
        )
    assert time.monotonic() - exiting < TIMEOUT + LATE_SECONDS
