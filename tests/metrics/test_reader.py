"""The periodic reader beside upstream's: what it takes over, and what it leaves to Python."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics import export as sdk_export
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

from otel_rs.exporter.otlp.http import OTLPMetricExporter
from otel_rs.metrics import MeterProvider
from otel_rs.metrics.export import PeriodicExportingMetricReader

from ..support.receiver import HttpReceiver, wait_until

HOUR_MILLIS = 3_600_000
THREAD = "OtelPeriodicExportingMetricReader"

READERS = {"stock": sdk_export.PeriodicExportingMetricReader, "native": PeriodicExportingMetricReader}
PROVIDERS = {"stock": sdk.MeterProvider, "native": MeterProvider}


class Kept(MetricExporter):
    """A Python exporter."""

    def __init__(self) -> None:
        super().__init__()
        self.exported: list[MetricsData] = []
        self.ended = 0

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        self.exported.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self.ended += 1


@pytest.fixture(name="made")
def made_fixture() -> Iterator[list[Any]]:
    """Providers that are shut down after the test."""
    made: list[Any] = []
    yield made
    for provider in made:
        if not provider._shutdown:
            provider.shutdown()


def threads() -> int:
    return sum(thread.name == THREAD for thread in threading.enumerate())


def values(receiver: HttpReceiver, name: str = "counter") -> list[int]:
    return [point.as_int for metric in receiver.metrics() if metric.name == name for point in metric.sum.data_points]


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("is_native", [True, False], ids=["native exporter", "Python exporter"])
def test_each_combination_exports_at_intervals_at_flushes_and_at_the_end(
    provider: Any, reader: Any, is_native: bool, http_receiver: HttpReceiver, made: list[Any]
) -> None:
    exporters: list[Any] = []

    def metering(interval: float) -> Any:
        exporters.append(OTLPMetricExporter(http_receiver.endpoint_of("metrics")) if is_native else Kept())
        made.append(provider([reader(exporters[-1], export_interval_millis=interval)], shutdown_on_exit=False))
        return made[-1].get_meter("test").create_counter("counter")

    def seen() -> list[int]:
        if is_native:
            return values(http_receiver)
        return [
            point.value
            for data in exporters[-1].exported
            for metric in data.resource_metrics[0].scope_metrics[0].metrics
            for point in metric.data.data_points
        ]

    metering(20).add(1)
    wait_until(lambda: seen()[-1:] == [1], "the interval exports")
    made[0].shutdown()
    counter = metering(HOUR_MILLIS)
    counter.add(5)
    assert made[1].force_flush()
    assert seen()[-1] == 5
    counter.add(2)
    made[1].shutdown()
    assert seen()[-1] == 7
    assert is_native or [exporter.ended for exporter in exporters] == [1, 1]


def test_python_has_a_thread_for_what_only_it_can_collect(http_receiver: HttpReceiver, made: list[Any]) -> None:
    before = threads()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), 20)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    meter = made[0].get_meter("test")
    meter.create_counter("counter").add(3)
    wait_until(lambda: values(http_receiver)[-1:] == [3], "the native reader exports")
    assert threads() == before
    meter.create_observable_counter("observed", [lambda options: [Observation(4)]])
    wait_until(lambda: values(http_receiver, "observed")[-1:] == [4], "Python's thread asks for it")
    assert threads() == before + 1
    (both,) = {
        len(request.message.resource_metrics[0].scope_metrics[0].metrics) for request in http_receiver.requests[-1:]
    }
    assert both == 2, "one request has both"
    made[0].shutdown()
    assert threads() == before


def test_instruments_that_threads_make_at_once_share_a_thread(http_receiver: HttpReceiver, made: list[Any]) -> None:
    before = threads()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), HOUR_MILLIS)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    meter = made[0].get_meter("test")
    start = threading.Barrier(8)

    def make(number: int) -> None:
        start.wait()
        meter.create_observable_counter(f"observed.{number}", [lambda options: [Observation(1)]])

    makers = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert threads() == before + 1


def test_what_two_collections_observe_before_either_is_exported_is_counted_once(
    http_receiver: HttpReceiver, made: list[Any]
) -> None:
    exporter = OTLPMetricExporter(
        http_receiver.endpoint_of("metrics"),
        preferred_temporality={sdk.ObservableCounter: sdk_export.AggregationTemporality.DELTA},
    )
    reader = PeriodicExportingMetricReader(exporter, HOUR_MILLIS)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    made[0].get_meter("test").create_observable_counter("observed", [lambda options: [Observation(9)]])
    # As the reader's thread and a flush at the same time.
    assert reader._collect is not None
    both = [reader._collect(reader) for _ in range(2)]  # type: ignore[call-arg, arg-type]
    for found in both:
        reader._receive_metrics(found)  # type: ignore[arg-type]
    assert sum(values(http_receiver, "observed")) == 9


def test_a_reader_that_comes_later_observes_too(http_receiver: HttpReceiver, made: list[Any]) -> None:
    made.append(MeterProvider(shutdown_on_exit=False))
    made[0].get_meter("test").create_observable_counter("observed", [lambda options: [Observation(4)]])
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), 20)
    made[0].add_metric_reader(reader)
    wait_until(lambda: values(http_receiver, "observed")[-1:] == [4], "it is observed")
    made[0].remove_metric_reader(reader)


def test_a_reader_that_is_removed_exports_what_is_left(http_receiver: HttpReceiver, made: list[Any]) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), HOUR_MILLIS)
    made.append(MeterProvider(shutdown_on_exit=False))
    made[0].add_metric_reader(reader)
    counter = made[0].get_meter("test").create_counter("counter")
    counter.add(3)
    made[0].remove_metric_reader(reader)
    counter.add(3)
    # Upstream forgets the reader before it ends, so that its last collection finds nothing.
    assert values(http_receiver) == [3]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_an_infinite_interval_exports_when_somebody_flushes_alone(
    reader: Any, http_receiver: HttpReceiver, made: list[Any]
) -> None:
    made.append(
        MeterProvider(
            [reader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), math.inf)], shutdown_on_exit=False
        )
    )
    counter = made[0].get_meter("test").create_counter("counter")
    counter.add(1)
    assert made[0].force_flush()
    counter.add(1)
    made[0].shutdown()
    assert values(http_receiver) == [1]


@pytest.mark.parametrize("interval", [0, -1])
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_an_interval_that_is_none_raises(reader: Any, interval: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        reader(OTLPMetricExporter("http://127.0.0.1:1"), export_interval_millis=interval)


def test_a_subclass_that_receives_for_itself_gets_upstreams_data(http_receiver: HttpReceiver, made: list[Any]) -> None:
    received = []

    class Own(PeriodicExportingMetricReader):
        def _receive_metrics(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> None:
            received.append(metrics_data)
            super()._receive_metrics(metrics_data, timeout_millis, **kwargs)

    reader = Own(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), HOUR_MILLIS)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    made[0].get_meter("test").create_counter("counter").add(3)
    made[0].force_flush()
    assert [type(data) for data in received] == [MetricsData]
    assert values(http_receiver) == [3]


def test_an_exporter_that_leaves_the_native_way_gets_upstreams_data(
    http_receiver: HttpReceiver, made: list[Any]
) -> None:
    session = requests.Session()
    exporter = OTLPMetricExporter(http_receiver.endpoint_of("metrics"), session=session)
    reader = PeriodicExportingMetricReader(exporter, 20)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    counter = made[0].get_meter("test").create_counter("counter")
    counter.add(3)
    wait_until(lambda: values(http_receiver)[-1:] == [3], "it exports natively")
    session.headers["x-own"] = "value"
    counter.add(4)
    wait_until(lambda: values(http_receiver)[-1:] == [7], "the stock exporter exports")
    wait_until(lambda: http_receiver.requests[-1].headers.get("x-own") == "value", "with what was changed")


def test_a_callback_may_flush(http_receiver: HttpReceiver, made: list[Any]) -> None:
    """Upstream's lock would wait for itself."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), HOUR_MILLIS)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    meter = made[0].get_meter("test")
    meter.create_counter("counter").add(3)
    flushed = []

    def observe(options: CallbackOptions) -> list[Observation]:
        flushed.append(made[0].force_flush())
        return [Observation(4)]

    meter.create_observable_counter("observed", [observe])
    assert made[0].force_flush()
    assert flushed == [True], "it is not called again by its own flush"
    assert (values(http_receiver), values(http_receiver, "observed")) == ([3, 3], [4])


@pytest.mark.parametrize("timeout", [10_000, math.inf])
def test_a_callback_may_shut_down(timeout: float, http_receiver: HttpReceiver, made: list[Any]) -> None:
    """Upstream's thread cannot wait for itself, so that its exporter is never shut down."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), 20)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    meter = made[0].get_meter("test")
    meter.create_counter("counter").add(3)
    problems: list[BaseException] = []
    ended = threading.Event()

    def observe(options: CallbackOptions) -> list[Observation]:
        if not ended.is_set():
            try:
                made[0].shutdown(timeout)
            except Exception as problem:
                problems.append(problem)
            ended.set()
        return []

    meter.create_observable_counter("observed", [observe])
    assert ended.wait(20)
    assert (problems, reader._shutdown) == ([], True)
    assert values(http_receiver)[-1:] == [3]


def test_a_shutdown_may_take_any_time(http_receiver: HttpReceiver, made: list[Any]) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), HOUR_MILLIS)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    made[0].get_meter("test").create_observable_counter("observed", [lambda options: [Observation(4)]])
    made[0].shutdown(math.inf)
    assert values(http_receiver, "observed") == [4]


def test_a_last_collection_that_hangs_after_another_one_costs_what_it_observes(
    http_receiver: HttpReceiver, made: list[Any]
) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), 20)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    counter = made[0].get_meter("test").create_counter("counter")
    counter.add(3)
    observing, go_on = threading.Event(), threading.Event()

    def observe(options: CallbackOptions) -> list[Observation]:
        if not observing.is_set():
            observing.set()
            reader._shutdown_event.wait(20)
        else:
            counter.add(5)
            go_on.wait(20)
        return []

    made[0].get_meter("test").create_observable_counter("observed", [observe])
    assert observing.wait(20)
    made[0].shutdown(2_000)
    go_on.set()
    assert values(http_receiver)[-1:] == [8]


def test_the_last_collection_takes_longer_than_an_interval(
    http_receiver: HttpReceiver, made: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """As upstream, whose reader waits for its exporter: the shutdown's deadline counts."""
    take = http_receiver._take

    def take_slowly(*arguments: Any) -> Any:
        time.sleep(0.2)
        return take(*arguments)

    http_receiver._take = take_slowly  # type: ignore[method-assign]
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), 50)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    made[0].get_meter("test").create_observable_counter("observed", [lambda options: [Observation(4)]])
    made[0].shutdown()
    assert values(http_receiver, "observed")[-1:] == [4]
    assert caplog.messages == []


def test_an_export_goes_on_while_its_exporter_leaves_the_native_way(
    http_receiver: HttpReceiver, made: list[Any]
) -> None:
    take, arrived, go_on = http_receiver._take, threading.Event(), threading.Event()

    def hold(*arguments: Any) -> Any:
        arrived.set()
        go_on.wait(20)
        return take(*arguments)

    http_receiver._take = hold  # type: ignore[method-assign]
    session = requests.Session()
    deltas = {sdk.Counter: sdk_export.AggregationTemporality.DELTA}
    exporter = OTLPMetricExporter(http_receiver.endpoint_of("metrics"), session=session, preferred_temporality=deltas)
    made.append(MeterProvider([PeriodicExportingMetricReader(exporter, HOUR_MILLIS)], shutdown_on_exit=False))
    counter = made[0].get_meter("test").create_counter("counter")
    counter.add(3)
    flush = threading.Thread(target=made[0].force_flush)
    flush.start()
    assert arrived.wait(20)
    session.headers["x-own"] = "value"
    counter.add(4)
    go_on.set()
    flush.join()
    made[0].force_flush()
    assert values(http_receiver) == [3, 4]
    assert (exporter.counts()["exported"], exporter.counts()["failed"]) == (2, 0)


@pytest.fixture(name="slow")
def slow_fixture(made: list[Any], http_receiver: HttpReceiver) -> Iterator[Callable[[], threading.Event]]:
    """A provider with a callback that goes on when it is told to."""
    go_on = threading.Event()

    def make() -> threading.Event:
        def observe(options: CallbackOptions) -> list[Observation]:
            observing.set()
            go_on.wait(20)
            return [Observation(4)]

        observing = threading.Event()
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), HOUR_MILLIS)
        made.append(MeterProvider([reader], shutdown_on_exit=False))
        made[0].get_meter("test").create_observable_counter("observed", [observe])
        return observing

    yield make
    go_on.set()


def test_a_flush_does_not_wait_for_another_collection_for_longer_than_it_may(
    slow: Callable[[], threading.Event], made: list[Any]
) -> None:
    observing = slow()
    (reader,) = made[0]._metric_readers
    thread = threading.Thread(target=reader.collect)
    thread.start()
    assert observing.wait(20)
    with pytest.raises(sdk.MetricsTimeoutError):
        reader.force_flush(100)


def test_without_a_thread_what_is_measured_is_exported_all_the_same(
    http_receiver: HttpReceiver, made: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), 20)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    meter = made[0].get_meter("test")

    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        meter.create_observable_counter("observed", [lambda options: [Observation(os.getpid())]])
    assert "can't start new thread" in caplog.text
    meter.create_counter("counter").add(3)
    wait_until(lambda: values(http_receiver)[-1:] == [3], "the native reader exports")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), ValueError("from the callback")], ids=repr)
def test_the_thread_of_a_reader_goes_on_whatever_a_callback_raises(
    error: BaseException,
    http_receiver: HttpReceiver,
    made: list[Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Upstream's ends with the first two, and nothing is exported from then on."""
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    before = threads()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), 20)
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    meter, raised = made[0].get_meter("test"), []

    def observe(options: CallbackOptions) -> list[Observation]:
        if not raised:
            raised.append(error)
            raise error
        return [Observation(4)]

    meter.create_observable_counter("observed", [observe])
    wait_until(lambda: values(http_receiver, "observed")[-1:] == [4], "the next interval observes")
    assert threads() == before + 1
    (line,) = caplog.messages
    assert "of a metric reader" in line or line == "Callback failed for instrument observed."


def test_what_is_measured_is_exported_whatever_callbacks_do(http_receiver: HttpReceiver, made: list[Any]) -> None:
    """Upstream exports nothing at all where they take longer than they may."""
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(http_receiver.endpoint_of("metrics")), 20, export_timeout_millis=5
    )
    made.append(MeterProvider([reader], shutdown_on_exit=False))
    meter = made[0].get_meter("test")

    def observe(options: CallbackOptions) -> list[Observation]:
        until = time.monotonic() + options.timeout_millis / 1e3
        while time.monotonic() <= until:
            time.sleep(0.001)
        return [Observation(4)]

    for name in ("first", "second"):
        meter.create_observable_counter(name, [observe])
    meter.create_counter("counter").add(3)
    wait_until(lambda: values(http_receiver)[-1:] == [3], "the native reader exports")


def test_a_reader_may_be_removed_while_it_collects(
    http_receiver: HttpReceiver, made: list[Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", problems.append)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(http_receiver.endpoint_of("metrics")), 20)
    made.append(MeterProvider(shutdown_on_exit=False))
    made[0].add_metric_reader(reader)
    observing, go_on = threading.Event(), threading.Event()

    def observe(options: CallbackOptions) -> list[Observation]:
        if not observing.is_set():
            observing.set()
            go_on.wait(20)
        return [Observation(4)]

    made[0].get_meter("test").create_observable_counter("observed", [observe])
    assert observing.wait(20)
    # Another collection begins before the reader is removed, and gets its turn afterwards.
    collect, begun = reader._collect, threading.Event()
    found: list[Any] = []

    def collect_late() -> None:
        begun.set()
        found.append(collect(reader, timeout_millis=20_000))  # type: ignore[misc, call-arg, arg-type]

    late = threading.Thread(target=collect_late)
    late.start()
    assert begun.wait(20)
    remove = threading.Thread(target=made[0].remove_metric_reader, args=(reader,))
    remove.start()
    wait_until(lambda: reader not in made[0]._measurement_consumer._reader_storages, "it is removed")
    go_on.set()
    for thread in (remove, late):
        thread.join(20)
        assert not thread.is_alive()
    assert (found, problems) == ([None], [])


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_flush_after_the_shutdown_says_that_it_exports_nothing(
    provider: Any, reader: Any, http_receiver: HttpReceiver, made: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    exporter = OTLPMetricExporter(http_receiver.endpoint_of("metrics"))
    made.append(provider([reader(exporter, HOUR_MILLIS)], shutdown_on_exit=False))
    counter = made[0].get_meter("test").create_counter("counter")
    counter.add(1)
    made[0].shutdown()
    assert caplog.messages == []
    counter.add(1)
    made[0].force_flush()
    assert caplog.messages == ["Exporter already shutdown, ignoring batch"]
    made[0].shutdown()
    assert caplog.messages[1:] == ["shutdown can only be called once"]
    assert values(http_receiver) == [1]
