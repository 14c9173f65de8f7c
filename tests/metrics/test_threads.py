"""32 threads measure while two readers collect: to the unit, each reader has all that was measured, once."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

from otel_rs import TracerProvider
from otel_rs.metrics import MeterProvider

from ..support.receiver import DEADLINE_SECONDS

pytestmark = pytest.mark.sanitize

THREADS = 32
ROUNDS = 250
DELTA, CUMULATIVE = AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE
KINDS = (sdk.Counter, sdk.UpDownCounter, sdk.Histogram)


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    """Makes the interpreter switch threads a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


Point = tuple[str, tuple[tuple[str, Any], ...]]


class PatientReader(InMemoryMetricReader):
    """Among so many threads on a full machine a collection may take longer than the ten seconds it has by default."""

    def collect(self, timeout_millis: float = DEADLINE_SECONDS * 1e3) -> None:
        super().collect(timeout_millis)


class Reader:
    """All that was collected: of deltas the sum, of the others the last."""

    def __init__(self, temporality: AggregationTemporality) -> None:
        self.temporality = temporality
        self.reader = PatientReader(preferred_temporality=dict.fromkeys(KINDS, temporality))
        self.values: Counter[Point] = Counter()
        self.counts: Counter[Point] = Counter()
        self.in_buckets: Counter[Point] = Counter()
        self.collections = 0

    def collect(self) -> None:
        data: Any = self.reader.get_metrics_data()
        self.collections += 1
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
            for point in metric.data.data_points:
                self._take((metric.name, tuple(sorted(point.attributes.items()))), point)

    def _take(self, name: Point, point: Any) -> None:
        if hasattr(point, "value"):
            self._keep(self.values, name, point.value)
            return
        self._keep(self.values, name, point.sum)
        self._keep(self.counts, name, point.count)
        self._keep(self.in_buckets, name, _in_buckets(point))

    def _keep(self, kept: Counter[Point], name: Point, found: int) -> None:
        is_delta = self.temporality is DELTA
        assert is_delta or found >= kept[name] or name[0] == "up_down_counter", "what is cumulative never shrinks"
        kept[name] = found + (kept[name] if is_delta else 0)


def _in_buckets(point: Any) -> int:
    if hasattr(point, "bucket_counts"):
        return sum(point.bucket_counts)
    return int(sum(point.positive.bucket_counts) + sum(point.negative.bucket_counts) + point.zero_count)


class Measured:
    """What one thread has measured."""

    def __init__(self) -> None:
        self.values: Counter[Point] = Counter()
        self.counts: Counter[Point] = Counter()

    def add(self, name: str, attributes: dict[str, Any], value: int) -> None:
        point = (name, tuple(sorted(attributes.items())))
        self.values[point] += value
        self.counts[point] += 1


def measure(meter: Any, tracer: Any, number: int, measured: Measured, is_done: Callable[[], bool]) -> None:
    chance = random.Random(number)
    counter, up_down_counter = meter.create_counter("counter"), meter.create_up_down_counter("up_down_counter")
    histogram, exponential = meter.create_histogram("histogram"), meter.create_histogram("exponential")
    for round in count():
        if round >= ROUNDS and is_done():
            return
        # Some series that all threads have from the first moment, some that come later, and one of each thread's own.
        attributes: dict[str, Any] = [{}, {"a": round % 3}, {"b": round // 50}, {"thread": number}][round % 4]
        instruments: list[tuple[str, Callable[..., None], int]] = [
            ("counter", counter.add, chance.randrange(1000)),
            ("up_down_counter", up_down_counter.add, chance.randrange(-1000, 1000)),
            ("histogram", histogram.record, chance.randrange(20_000)),
            ("exponential", exponential.record, chance.choice([0, 1, chance.randrange(1 << 40)])),
        ]
        # In a span each is an exemplar, too.
        with tracer.start_as_current_span("span"):
            for name, method, value in instruments:
                method(value, attributes)
                measured.add(name, attributes, value)


def test_two_readers_have_all_that_32_threads_measure_to_the_unit() -> None:
    readers = [Reader(DELTA), Reader(CUMULATIVE)]
    view = View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation(max_size=20))
    provider = MeterProvider([reader.reader for reader in readers], views=[view], shutdown_on_exit=False)
    meter = provider.get_meter("library")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("library")
    all_measured = [Measured() for _ in range(THREADS)]
    start, done = threading.Barrier(THREADS + len(readers)), threading.Event()
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            start.wait(DEADLINE_SECONDS)
            work()
        except BaseException as error:
            errors.append(error)

    def collecting(reader: Reader) -> Callable[[], None]:
        def work() -> None:
            while not done.is_set():
                reader.collect()

        return work

    def have_collected() -> bool:
        return bool(errors) or all(reader.collections > 1 for reader in readers)

    def measuring(number: int) -> Callable[[], None]:
        return lambda: measure(meter, tracer, number, all_measured[number], have_collected)

    collectors = [threading.Thread(target=run, args=(collecting(reader),), daemon=True) for reader in readers]
    threads = [threading.Thread(target=run, args=(measuring(number),), daemon=True) for number in range(THREADS)]
    for thread in (*collectors, *threads):
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    done.set()
    for thread in (*threads, *collectors):
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()
    if errors:
        raise errors[0]

    values: Counter[Point] = Counter()
    counts: Counter[Point] = Counter()
    for measured in all_measured:
        values.update(measured.values)
        counts.update(measured.counts)
    of_histograms = Counter({point: count for point, count in counts.items() if "counter" not in point[0]})
    for reader in readers:
        reader.collect()
        assert reader.values == values
        assert reader.counts == of_histograms
        assert reader.in_buckets == of_histograms
    provider.shutdown()
