"""8 threads end spans, or emit log records, as fast as they can while the collector is slow: bounded memory, exact
counts, no blocking."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ..support.receiver import Answer, GrpcReceiver, HttpReceiver, Receiver, started
from .durations import seconds
from .running import Settings, application, destination_for

THREADS = 8
OVERLOADED = seconds(3, nightly=30)
UNLOADED = seconds(1, nightly=5)
REQUEST_SECONDS = 0.1
BATCH = 512
CONCURRENT_EXPORTS = 2
MIB = 1024 * 1024


class Slow(Receiver):
    """Answers every request slowly, until it is told to hurry."""

    def __init__(self) -> None:
        self.hurry = threading.Event()
        super().__init__()

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        self.hurry.wait(REQUEST_SECONDS)
        return super()._take(body, headers, path, encoded_size)


class SlowHttp(Slow, HttpReceiver):
    pass


class SlowGrpc(Slow, GrpcReceiver):
    pass


# What is timed, and of which signal it is.
TIMED = {"spans": ("end", None), "log records": ("emit", "alone")}


@functools.cache
def unloaded(signal: str) -> dict[str, float]:
    """The latencies of the call with the same number of threads, at a rate that the receiver can handle."""
    timed, logs = TIMED[signal]
    for receiver in started(HttpReceiver):
        destinations = {"healthy": destination_for(receiver, logs=logs)}
        settings = Settings(destinations, UNLOADED, THREADS, burst=20, pause=0.01, timed=timed)
        with application(settings) as running:
            healthy = running.report()["destinations"]["healthy"]
    assert healthy["counts"]["dropped"] == 0
    return healthy["latencies"]


@pytest.fixture
def slow(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from started(request.param)


@pytest.mark.parametrize(
    ("slow", "attribute", "max_queue_size", "max_queue_bytes", "signal"),
    [
        pytest.param(SlowHttp, 1_000, 30_000, 512 * MIB, "spans", id="spans, http"),
        pytest.param(SlowGrpc, 3_000, 10_000_000, 32 * MIB, "spans", id="bytes of spans, grpc"),
        pytest.param(SlowHttp, 3_000, 10_000_000, 32 * MIB, "log records", id="bytes of log records, http"),
    ],
    indirect=["slow"],
)
def test_an_overload_has_bounded_memory_and_exact_counts_and_does_not_block(
    slow: Any,
    attribute: int,
    max_queue_size: int,
    max_queue_bytes: int,
    signal: str,
    http_receiver: HttpReceiver,
) -> None:
    """In each case one of the two limits is reached long before the other."""
    timed, logs = TIMED[signal]
    settings = Settings(
        {
            "overloaded": destination_for(
                slow, processor={"max_queue_size": max_queue_size, "max_export_batch_size": BATCH}, logs=logs
            ),
            # A healthy destination that gets some of the spans is not affected.
            "healthy": {**destination_for(http_receiver, logs=logs), "every": 100},
        },
        seconds=OVERLOADED,
        threads=THREADS,
        timed=timed,
        pause=0,
        burst=1_000,
        attribute=attribute,
        environment={f"OTEL_RS_{'BLRP' if logs else 'BSP'}_MAX_QUEUE_BYTES": str(max_queue_bytes)},
    )
    with application(settings) as running:
        # The measured time is over; the rest of the queue is exported quickly.
        hurrying = threading.Timer(OVERLOADED + 2, slow.hurry.set)
        hurrying.start()
        try:
            report = running.report()
        finally:
            hurrying.cancel()
            hurrying.join()
    assert report["wrong"] == []
    overloaded, healthy = report["destinations"]["overloaded"], report["destinations"]["healthy"]

    # The counts are exact.
    counts = overloaded["counts"]
    arrived = slow.log_records() if logs else slow.spans()
    unique = {item.SerializeToString() if logs else item.span_id for item in arrived}
    assert counts["created"] == overloaded["ended"]
    assert counts["created"] == counts["exported"] + counts["dropped"]
    assert counts["exported"] == len(arrived) == len(unique)
    assert counts["dropped"] > counts["exported"], "the test caused an overload"
    (line,) = report["log"]
    assert re.fullmatch(
        rf"Queue full \({max_queue_size} {signal} or {max_queue_bytes} bytes\), dropping {signal}: \d+ so far", line
    )
    kept = http_receiver.log_records() if logs else http_receiver.spans()
    assert healthy["counts"]["exported"] == healthy["ended"] == len(kept)

    # Memory is bounded: the queue by its limit, running exports by their batches. Most items have room when all are
    # as small as the smallest: a record has its number in it.
    smallest = min(item.ByteSize() for item in arrived)
    assert overloaded["max_pending"] <= min(max_queue_size, max_queue_bytes / smallest) + CONCURRENT_EXPORTS * BATCH
    item_bytes = overloaded["sent"] / counts["exported"]
    room = min(max_queue_size, max_queue_bytes / item_bytes)
    assert 0.99 * room < overloaded["max_pending"]
    before, *later = [sample["bytes"] for sample in report["samples"]]
    allowed = room * item_bytes
    grown = max(later) - before
    assert 0.9 * allowed < grown, "the measurement includes the queue"
    # Running requests need memory besides the queue, and the allocator keeps freed memory for each thread.
    assert grown < 2.5 * allowed + 16 * MIB

    # The call does not block: if it waited for a request, it would take as long as the request.
    took, usual = overloaded["latencies"], unloaded(signal)
    assert took["median"] < 5 * usual["median"]
    assert took["p999"] < max(5 * usual["p999"], 1e9 * REQUEST_SECONDS / 50)
    print(f"the call, in us: overloaded {shown(took)}; unloaded {shown(usual)}")
    print(f"{grown / MIB:.1f} MiB more for {allowed / MIB:.1f} MiB that may wait; {counts}")


def shown(latencies: dict[str, float]) -> str:
    return ", ".join(f"{name} {latencies[name] / 1e3:.1f}" for name in ("median", "p99", "p999"))
