"""Several concurrent exports to one destination; several destinations that do not wait for one another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from otel_rs import BatchSpanProcessor, TracerProvider

from ..support.receiver import DEADLINE_SECONDS, Answer, GrpcReceiver, HttpReceiver, Receiver, wait_until

HOUR_MILLIS = 3_600_000


class Holding(Receiver):
    """Answers no request until it is released, and records the largest number of waiting requests."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.inside = self.most_inside = 0
        self._counting = threading.Lock()
        super().__init__()

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        with self._counting:
            self.inside += 1
            self.most_inside = max(self.inside, self.most_inside)
        self.let_go.wait(DEADLINE_SECONDS)
        with self._counting:
            self.inside -= 1
        return super()._take(body, headers, path, encoded_size)

    def stop(self) -> None:
        self.let_go.set()
        super().stop()  # type: ignore[misc]


class HoldingHttp(Holding, HttpReceiver):
    pass


class HoldingGrpc(Holding, GrpcReceiver):
    pass


@pytest.fixture(params=[HoldingHttp, HoldingGrpc], ids=["http", "grpc"])
def holding(request: pytest.FixtureRequest) -> Iterator[Any]:
    receiver = request.param()
    yield receiver
    receiver.stop()


def end_spans(provider: Any, count: int) -> None:
    tracer = provider.get_tracer("test")
    for _ in range(count):
        tracer.start_span("span").end()


@pytest.fixture
def make() -> Iterator[Any]:
    made = []

    def make(*exporters: Any, **settings: Any) -> tuple[TracerProvider, list[BatchSpanProcessor]]:
        provider = TracerProvider(shutdown_on_exit=False)
        settings = {"max_queue_size": 100_000, "schedule_delay_millis": HOUR_MILLIS, **settings}
        processors = [BatchSpanProcessor(exporter, **settings) for exporter in exporters]
        for processor in processors:
            provider.add_span_processor(processor)
        made.extend(processors)
        return provider, processors

    yield make
    for processor in made:
        processor.shutdown(100)


@pytest.mark.parametrize("allowed", [1, None, 4])
def test_as_many_exports_run_at_once_as_allowed(holding: Any, exporter_to: Any, make: Any, allowed: Any) -> None:
    provider, (processor,) = make(exporter_to(holding), max_export_batch_size=10, max_concurrent_exports=allowed)
    end_spans(provider, 100)
    allowed = allowed or 2
    wait_until(lambda: holding.inside == allowed, "all allowed exports run")
    counts = processor.counts()
    assert (counts["in_flight"], counts["pending"]) == (10 * allowed, 100)
    assert processor.span_exporter.counts()["in_flight"] == 10 * allowed
    holding.let_go.set()
    assert provider.force_flush()
    assert holding.most_inside == allowed
    assert len({span.span_id for span in holding.spans()}) == 100
    assert processor.counts()["exported"] == 100


def test_the_number_of_concurrent_exports_comes_from_the_environment(
    holding: Any, exporter_to: Any, make: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("OTEL_RS_BSP_MAX_CONCURRENT_EXPORTS", "3")
    provider, _ = make(exporter_to(holding), max_export_batch_size=10)
    end_spans(provider, 100)
    wait_until(lambda: holding.inside == 3, "as many exports run as the variable allows")


def test_a_flush_waits_for_every_running_export(holding: Any, exporter_to: Any, make: Any) -> None:
    provider, (processor,) = make(exporter_to(holding), max_export_batch_size=10, max_concurrent_exports=3)
    end_spans(provider, 25)
    done = threading.Event()
    flushing = threading.Thread(target=lambda: processor.force_flush(20_000) and done.set())
    flushing.start()
    wait_until(lambda: holding.inside == 3, "the flush exports everything")
    assert not done.wait(0.1)
    holding.let_go.set()
    assert done.wait(DEADLINE_SECONDS)
    flushing.join()
    assert len(holding.spans()) == 25


def test_shutdown_cancels_every_running_export(holding: Any, exporter_to: Any, make: Any) -> None:
    provider, (processor,) = make(exporter_to(holding), max_export_batch_size=10, max_concurrent_exports=3)
    end_spans(provider, 100)
    wait_until(lambda: holding.inside == 3, "three exports run")
    started = time.monotonic()
    processor.shutdown(200)
    assert time.monotonic() - started < 5
    counts = wait_until(lambda: (counts := processor.counts())["pending"] == 0 and counts, "nothing is pending")
    assert (counts["created"], counts["failed"], counts["dropped"]) == (100, 30, 70)


def test_a_destination_that_hangs_does_not_delay_another(
    holding: Any, receiver: Any, exporter_to: Any, make: Any
) -> None:
    """8 threads end spans; one destination never answers, the other gets every span in time."""
    provider, (hangs, works) = make(
        exporter_to(holding), exporter_to(receiver), max_export_batch_size=100, schedule_delay_millis=50
    )
    started = time.monotonic()
    threads = [threading.Thread(target=end_spans, args=(provider, 1_000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    receiver.wait_for_spans(8_000)
    assert time.monotonic() - started < 10
    assert works.force_flush(5_000)
    assert works.counts()["exported"] == 8_000
    assert hangs.counts()["pending"] == 8_000


def test_a_destination_that_retries_does_not_delay_another(
    http_receiver: Any, grpc_receiver: Any, exporter_to: Any, make: Any
) -> None:
    http_receiver.answers = [Answer(503)] * 1_000
    provider, (retries, works) = make(
        exporter_to(http_receiver), exporter_to(grpc_receiver), max_export_batch_size=100, schedule_delay_millis=50
    )
    end_spans(provider, 1_000)
    started = time.monotonic()
    assert works.force_flush(5_000)
    assert time.monotonic() - started < 5
    assert (works.counts()["exported"], retries.counts()["exported"]) == (1_000, 0)


def test_two_processors_with_one_exporter_have_separate_counts_and_a_common_sum(
    http_receiver: Any, exporter_to: Any, make: Any
) -> None:
    exporter = exporter_to(http_receiver)
    provider, processors = make(exporter, exporter, max_export_batch_size=10)
    end_spans(provider, 30)
    assert provider.force_flush()
    assert [processor.counts()["exported"] for processor in processors] == [30, 30]
    assert exporter.counts()["exported"] == 60
