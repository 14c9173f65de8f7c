"""8 threads end spans as fast as they can while the collector is slow: bounded memory, exact counts, no blocking."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def unloaded() -> dict[str, float]:
    """The latencies of `end()` with the same number of threads, at a rate that the receiver can handle."""
    for receiver in started(HttpReceiver):
        destinations = {"healthy": destination_for(receiver)}
        settings = Settings(destinations, UNLOADED, THREADS, burst=20, pause=0.01, timed="end")
        with application(settings) as running:
            healthy = running.report()["destinations"]["healthy"]
    assert healthy["counts"]["dropped"] == 0
    return healthy["latencies"]


@pytest.fixture
def slow(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from started(request.param)


@pytest.mark.parametrize(
    ("slow", "attribute", "max_queue_size", "max_queue_bytes"),
    [
        pytest.param(SlowHttp, 1_000, 30_000, 512 * MIB, id="spans, http"),
        pytest.param(SlowGrpc, 3_000, 10_000_000, 32 * MIB, id="bytes, grpc"),
    ],
    indirect=["slow"],
)
def test_an_overload_has_bounded_memory_and_exact_counts_and_does_not_block(
    slow: Any,
    attribute: int,
    max_queue_size: int,
    max_queue_bytes: int,
    http_receiver: HttpReceiver,
    unloaded: dict[str, float],
) -> None:
    """In each case one of the two limits is reached long before the other."""
    settings = Settings(
        {
            "overloaded": destination_for(
                slow, processor={"max_queue_size": max_queue_size, "max_export_batch_size": BATCH}
            ),
            # A healthy destination that gets some of the spans is not affected.
            "healthy": {**destination_for(http_receiver), "every": 100},
        },
        seconds=OVERLOADED,
        threads=THREADS,
        timed="end",
        pause=0,
        burst=1_000,
        attribute=attribute,
        environment={"OTEL_RS_BSP_MAX_QUEUE_BYTES": str(max_queue_bytes)},
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
    arrived = {span.span_id for span in slow.spans()}
    assert counts["created"] == overloaded["ended"]
    assert counts["created"] == counts["exported"] + counts["dropped"]
    assert counts["exported"] == len(slow.spans()) == len(arrived)
    assert counts["dropped"] > counts["exported"], "the test caused an overload"
    (line,) = report["log"]
    assert re.fullmatch(
        rf"Queue full \({max_queue_size} spans or {max_queue_bytes} bytes\), dropping spans: \d+ so far", line
    )
    assert healthy["counts"]["exported"] == healthy["ended"] == len(http_receiver.spans())

    # Memory is bounded: the queue by its limit, running exports by their batches.
    span_bytes = overloaded["sent"] / counts["exported"]
    room = min(max_queue_size, max_queue_bytes / span_bytes)
    assert 0.99 * room < overloaded["max_pending"] <= room + CONCURRENT_EXPORTS * BATCH
    before, *later = [sample["bytes"] for sample in report["samples"]]
    allowed = room * span_bytes
    grown = max(later) - before
    assert 0.9 * allowed < grown, "the measurement includes the queue"
    # Running requests need memory besides the queue, and the allocator keeps freed memory for each thread.
    assert grown < 2.5 * allowed + 16 * MIB

    # `end()` does not block: if it waited for a request, it would take as long as the request.
    took = overloaded["latencies"]
    assert took["median"] < 5 * unloaded["median"]
    assert took["p999"] < max(5 * unloaded["p999"], 1e9 * REQUEST_SECONDS / 50)
    print(f"end(), in us: overloaded {shown(took)}; unloaded {shown(unloaded)}")
    print(f"{grown / MIB:.1f} MiB more for {allowed / MIB:.1f} MiB that may wait; {counts}")


def shown(latencies: dict[str, float]) -> str:
    return ", ".join(f"{name} {latencies[name] / 1e3:.1f}" for name in ("median", "p99", "p999"))
