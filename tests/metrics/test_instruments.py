"""Instruments through public names: what is the same in both SDKs, and that nothing raises into the application."""

from __future__ import annotations

import copy
import decimal
import gc
import inspect
import logging
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import metrics as api
from opentelemetry import trace
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from otel_rs.metrics import MeterProvider

from ..support.interpreter import collects_at_allocations
from ..support.values import same_in_every_run
from .conftest import Metering

pytestmark = pytest.mark.sanitize

Make = Callable[..., Metering]

METHODS = {"counter": "add", "up_down_counter": "add", "histogram": "record", "gauge": "set"}
CLASSES = {
    "counter": (sdk.Counter, api.Counter),
    "up_down_counter": (sdk.UpDownCounter, api.UpDownCounter),
    "histogram": (sdk.Histogram, api.Histogram),
    "gauge": (sdk._Gauge, api._Gauge),
    "observable_counter": (sdk.ObservableCounter, api.ObservableCounter),
    "observable_up_down_counter": (sdk.ObservableUpDownCounter, api.ObservableUpDownCounter),
    "observable_gauge": (sdk.ObservableGauge, api.ObservableGauge),
}


def instrument(metering: Metering, kind: str, name: str = "name", **arguments: Any) -> Any:
    return getattr(metering.meter, f"create_{kind}")(name, **arguments)


def measure(metering: Metering, kind: str, *arguments: Any) -> None:
    getattr(instrument(metering, kind), METHODS[kind])(*arguments)


# --- As upstream -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSES)
def test_an_instrument_is_of_upstreams_classes(either: Make, kind: str) -> None:
    made = instrument(either(), kind)
    assert all(isinstance(made, kind) for kind in CLASSES[kind])
    others = [of_sdk for other, (of_sdk, _) in CLASSES.items() if other != kind]
    assert not any(isinstance(made, other) for other in others)


@pytest.mark.parametrize(("kind", "method"), METHODS.items())
def test_the_parameters_have_upstreams_names_and_defaults(either: Make, kind: str, method: str) -> None:
    parameters = inspect.signature(getattr(instrument(either(), kind), method)).parameters
    assert [(parameter.name, parameter.default) for parameter in parameters.values()] == [
        ("amount", inspect.Parameter.empty),
        ("attributes", None),
        ("context", None),
    ]


def test_arguments_by_name_and_unknown_ones(either: Make) -> None:
    metering = either()
    counter = instrument(metering, "counter")
    counter.add(amount=2, attributes={"a": 1}, context=None)
    with pytest.raises(TypeError):
        counter.add(1, unknown=1)
    with pytest.raises(TypeError):
        counter.add()
    assert metering.values() == [2]


@pytest.mark.parametrize("name", ["1a", "", "é", "a" * 256, "a b"])
def test_a_bad_name_is_refused(either: Make, name: str) -> None:
    with pytest.raises(Exception, match="Expected ASCII string of maximum length 255"):
        instrument(either(), "counter", name)


def test_a_bad_unit_is_refused(either: Make) -> None:
    with pytest.raises(Exception, match="Expected ASCII string of maximum length 63"):
        instrument(either(), "histogram", unit="x" * 64)


def test_the_same_instrument_is_handed_out_again(either: Make, caplog: pytest.LogCaptureFixture) -> None:
    metering = either()
    counter = instrument(metering, "counter", "Requests", unit="s")
    assert instrument(metering, "counter", "requests", unit="s") is counter
    others = [
        instrument(metering, "counter", "requests", unit="By"),
        instrument(metering, "counter", "requests", unit="s", description="other"),
        instrument(metering, "up_down_counter", "requests", unit="s"),
    ]
    for each in (counter, *others):
        each.add(1)
    assert len(metering.metrics()) == 4
    assert not caplog.records


def test_the_same_histogram_with_other_boundaries_is_a_conflict(either: Make, caplog: pytest.LogCaptureFixture) -> None:
    metering = either()
    histogram = metering.meter.create_histogram("name", explicit_bucket_boundaries_advisory=[1, 2])
    assert metering.meter.create_histogram("name", explicit_bucket_boundaries_advisory=[3]) is histogram
    (record,) = caplog.records
    assert "has been created already" in record.getMessage()
    assert "Histogram" in record.getMessage()
    histogram.record(1)
    assert metering.points()[0].explicit_bounds == (1, 2)


@pytest.mark.parametrize("boundaries", ["xx", 5, [1, "2"], object()], ids=same_in_every_run)
def test_boundaries_that_are_no_numbers_are_left_out(
    either: Make, boundaries: Any, caplog: pytest.LogCaptureFixture
) -> None:
    metering = either()
    made = metering.meter.create_histogram("name", explicit_bucket_boundaries_advisory=boundaries)
    assert "must be a sequence of numbers" in caplog.text
    made.record(1)
    assert len(metering.points()[0].explicit_bounds) == 15


def test_a_disabled_sdk_gives_meters_that_do_nothing(either: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    metering = either()
    assert isinstance(metering.meter, api.NoOpMeter)
    instrument(metering, "counter").add(1)
    assert metering.metrics() == []


def test_after_the_shutdown_meters_do_nothing(either: Make, caplog: pytest.LogCaptureFixture) -> None:
    metering = either()
    counter = instrument(metering, "counter")
    metering.provider.shutdown()
    assert isinstance(metering.provider.get_meter("another"), api.NoOpMeter)
    counter.add(1)


def test_a_reader_has_one_provider(either: Make) -> None:
    metering = either()
    with pytest.raises(Exception, match="has been registered already"):
        type(metering.provider)(metric_readers=[metering.reader], shutdown_on_exit=False)


def test_readers_come_and_go(either: Make) -> None:
    metering = either()
    counter = instrument(metering, "counter")
    counter.add(1)
    delta = {sdk.Counter: AggregationTemporality.DELTA}
    later = InMemoryMetricReader(preferred_temporality=delta)
    metering.provider.add_metric_reader(later)
    counter.add(10)
    found: Any = later.get_metrics_data()
    assert found.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0].value == 10
    metering.provider.remove_metric_reader(later)
    counter.add(100)
    assert metering.values() == [111]


def test_a_copy_measures_for_its_instrument(metering: Make) -> None:
    meter = metering()
    counter = instrument(meter, "counter")
    copied = copy.copy(counter)
    counter.add(1)
    copied.add(2)
    assert meter.values() == [3]


def test_it_cannot_be_pickled_or_copied_deeply(either: Make) -> None:
    counter = instrument(either(), "counter")
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(counter)
    with pytest.raises(TypeError, match="cannot pickle"):
        copy.deepcopy(counter)


def test_attributes_can_be_set_on_an_instrument(either: Make) -> None:
    counter = instrument(either(), "counter")
    counter.own = 5
    assert counter.own == 5


def test_a_provider_and_meters_of_the_programs_classes(either: Make) -> None:
    class Provider(type(either().provider)):  # type: ignore[misc]
        def get_meter(self, *arguments: Any, **named: Any) -> Any:
            self.asked = arguments
            return super().get_meter(*arguments, **named)

    metering = Metering(Provider)
    instrument(metering, "counter").add(1)
    assert metering.provider.asked == ("library",)
    assert metering.values() == [1]
    metering.provider.shutdown()


def test_garbage_is_collected(either: Make) -> None:
    provider = type(either().provider)
    metering = Metering(provider)
    counter = instrument(metering, "counter")
    counter.add(1)
    gone = weakref.ref(counter)
    metering.provider.shutdown()
    metering.provider = metering.meter = metering.reader = counter = None  # type: ignore[assignment]
    gc.collect()
    assert gone() is None


# --- Nothing raises --------------------------------------------------------------------------------------------------


class Raises:
    def __float__(self) -> float:
        raise ValueError("from __float__")


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize("amount", ["5", None, [1], 10**400, 1j, Raises()], ids=same_in_every_run)
def test_a_bad_amount_costs_itself_and_a_log_line(
    metering: Make, kind: str, amount: Any, caplog: pytest.LogCaptureFixture
) -> None:
    meter = metering()
    measure(meter, kind, amount)
    assert len(caplog.records) == 1
    assert f"amount of type {type(amount).__name__} on" in caplog.text
    measure(meter, kind, 1)
    assert meter.values() == [1]


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf")])
def test_an_amount_that_upstream_ignores_is_ignored_in_its_words(
    either: Make, amount: float, caplog: pytest.LogCaptureFixture
) -> None:
    meter = either()
    measure(meter, "counter", amount)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    reason = "must be non-negative on Counter name." if amount < 0 else f"{amount} is not finite on Counter name"
    assert reason in record.getMessage()
    assert meter.metrics() == []


@pytest.mark.parametrize(
    ("amounts", "total"),
    [
        ([2**63 - 1, 1], float(2**63)),
        ([2**64], float(2**64)),
        ([2**63 - 1], 2**63 - 1),
        ([decimal.Decimal("1.5"), 1], 2.5),
        ([True, True], 2),
    ],
    ids=repr,
)
def test_integers_stay_integers_within_64_bits(metering: Make, amounts: list[Any], total: Any) -> None:
    meter = metering()
    for amount in amounts:
        measure(meter, "counter", amount)
    (value,) = meter.values()
    assert (value, type(value)) == (total, type(total))


class NoTruth:
    def __bool__(self) -> bool:
        raise ValueError("from __bool__")


@pytest.mark.parametrize("exemplar_filter", [sdk.TraceBasedExemplarFilter(), sdk.AlwaysOnExemplarFilter()])
@pytest.mark.parametrize("context", [5, NoTruth(), "text"], ids=same_in_every_run)
def test_a_context_that_is_none_costs_the_exemplar(
    metering: Make, context: Any, exemplar_filter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    meter = metering(exemplar_filter=exemplar_filter)
    measure(meter, "counter", 1, {}, context)
    assert "A measurement becomes no exemplar" in caplog.text
    (point,) = meter.points()
    assert (point.value, point.exemplars) == (1, [])


def test_an_exemplar_filter_that_raises_costs_the_exemplar(metering: Make, caplog: pytest.LogCaptureFixture) -> None:
    class Filter(sdk.ExemplarFilter):
        def should_sample(self, *arguments: Any) -> bool:
            raise ValueError("from the filter")

    meter = metering(exemplar_filter=Filter())
    measure(meter, "counter", 1)
    assert "from the filter" in caplog.text
    assert meter.values() == [1]


@pytest.mark.parametrize("boundaries", [[3, 2, 1], [1, 1], [1, float("nan")], [1, float("inf")], [1, 10**400]])
def test_advisory_boundaries_that_cannot_be_used_are_none(
    metering: Make, boundaries: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    meter = metering()
    histogram = instrument(meter, "histogram", explicit_bucket_boundaries_advisory=boundaries)
    histogram.record(7)
    (record,) = caplog.records
    assert "explicit_bucket_boundaries_advisory must be finite and strictly increasing" in record.getMessage()
    (point,) = meter.points()
    assert (point.count, point.explicit_bounds[1]) == (1, 5.0)


# --- The methods of instruments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", METHODS)
def test_an_instrument_has_the_method_of_its_kind_alone(either: Make, kind: str) -> None:
    made = instrument(either(), kind)
    assert [name for name in ("add", "record", "set") if hasattr(made, name)] == [METHODS[kind]]
    method = getattr(made, METHODS[kind])
    assert method.__name__ == METHODS[kind]
    assert inspect.getdoc(method)
    assert [(parameter.name, parameter.default) for parameter in inspect.signature(method).parameters.values()] == [
        ("amount", inspect.Parameter.empty),
        ("attributes", None),
        ("context", None),
    ]
    assert getattr(type(made), METHODS[kind]).__qualname__ == f"{kind.title().replace('_', '')}.{METHODS[kind]}"


@pytest.mark.parametrize("kind", METHODS)
def test_an_instrument_of_the_class_of_another_measures(either: Make, kind: str) -> None:
    metering = either()
    other = instrument(metering, kind)
    own = type(other)("own", other.instrumentation_scope, metering.provider._measurement_consumer)
    getattr(own, METHODS[kind])(5)
    assert metering.values("own") == [5]


# --- Python code that runs within a measurement ----------------------------------------------------------------------


def test_an_exemplar_filter_that_measures(metering: Make) -> None:
    class Filter(sdk.ExemplarFilter):
        within = False

        def should_sample(self, *arguments: Any) -> bool:
            if not self.within:
                self.within = True
                counter.add(10)
                histogram.record(1)
                self.within = False
            return True

    meter = metering(exemplar_filter=Filter())
    counter, histogram = instrument(meter, "counter"), instrument(meter, "histogram", "other")
    for _ in range(3):
        counter.add(1)
    assert meter.values("name") == [33]
    assert meter.points("other")[0].count == 3


def test_an_exemplar_filter_that_measures_without_end(metering: Make) -> None:
    class Filter(sdk.ExemplarFilter):
        def should_sample(self, *arguments: Any) -> bool:
            counter.add(1)
            return True

    meter = metering(exemplar_filter=Filter())
    counter = instrument(meter, "counter")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        counter.add(1)
    finally:
        sys.setrecursionlimit(limit)
    assert meter.values()[0] > 1


def test_an_attribute_whose_text_measures(metering: Make) -> None:
    class Measures:
        def __str__(self) -> str:
            counter.add(10)
            return "measured"

    meter = metering()
    counter = instrument(meter, "counter")
    counter.add(1, {"key": Measures()})
    assert {tuple(point.attributes.items()): point.value for point in meter.points()} == {
        (): 10,
        (("key", "measured"),): 1,
    }


@collects_at_allocations
def test_a_garbage_callback_that_measures(metering: Make) -> None:
    meter = metering(exemplar_filter=sdk.AlwaysOnExemplarFilter())
    counter = instrument(meter, "counter")
    collected = 0

    def callback(phase: str, info: Any) -> None:
        nonlocal collected
        collected += 1
        counter.add(1, {"from": "gc"})

    threshold = gc.get_threshold()
    gc.callbacks.append(callback)
    gc.set_threshold(1)
    try:
        for number in range(2000):
            counter.add(1, {"number": number % 50, "list": [number % 3]})
            meter.points()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(callback)
    points = meter.points()
    assert collected > 100
    assert sum(point.value for point in points if "number" in point.attributes) == 2000
    assert [point.value for point in points if "from" in point.attributes] == [collected]


def test_a_dict_that_another_thread_changes(metering: Make) -> None:
    meter = metering()
    counter = instrument(meter, "counter")
    shared: dict[str, Any] = {"a": 1}
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            shared["b"] = [1]
            shared.pop("b", None)

    thread = threading.Thread(target=change)
    thread.start()
    for _ in range(2000):
        counter.add(1, shared)
    done.set()
    thread.join()
    assert sum(meter.values()) == 2000


# --- Threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temporality", [AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE])
def test_32_threads_lose_nothing_while_a_reader_collects(temporality: AggregationTemporality) -> None:
    reader = InMemoryMetricReader(
        preferred_temporality={sdk.Counter: temporality, sdk.Histogram: temporality, sdk.UpDownCounter: temporality}
    )
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("library")
    counter, histogram = meter.create_counter("counter"), meter.create_histogram("histogram")
    start = threading.Barrier(33)

    def work(number: int) -> None:
        start.wait()
        for round in range(500):
            counter.add(1, {"series": round % 7})
            histogram.record(round % 10, {"series": round % 7, "thread": number % 3})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    start.wait()
    collections = []
    while any(thread.is_alive() for thread in threads):
        collections.append(totals(reader))
    for thread in threads:
        thread.join()
    collections.append(totals(reader))
    if temporality is AggregationTemporality.DELTA:
        assert sum(adds for adds, _ in collections) == 16_000
        assert sum(records for _, records in collections) == 16_000
    else:
        assert collections[-1] == (16_000, 16_000)
        assert collections == sorted(collections, key=lambda found: found[0])
    provider.shutdown()


def totals(reader: InMemoryMetricReader) -> tuple[int, int]:
    data: Any = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else ()
    found = {metric.name: metric.data.data_points for metric in metrics}
    return (
        sum(point.value for point in found.get("counter", ())),
        sum(point.count for point in found.get("histogram", ())),
    )


# --- Exemplars -------------------------------------------------------------------------------------------------------


def test_an_exemplar_has_the_ids_of_the_span_that_is_current(either: Make) -> None:
    meter = either()
    counter = instrument(meter, "counter")
    with TracerProvider(shutdown_on_exit=False).get_tracer("library").start_as_current_span("span") as span:
        counter.add(1, {"a": 1})
    counter.add(1, {"a": 1})
    (point,) = meter.points()
    (exemplar,) = point.exemplars
    context = span.get_span_context()
    assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)
    assert (exemplar.value, exemplar.filtered_attributes) == (1, {})


def test_an_exemplar_outside_a_span_has_no_ids(metering: Make) -> None:
    meter = metering(exemplar_filter=sdk.AlwaysOnExemplarFilter())
    histogram = instrument(meter, "histogram")
    with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, False, trace.TraceFlags(1)))):
        histogram.record(1)
    histogram.record(1)
    with trace.use_span(trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)):
        histogram.record(10)
    (point,) = meter.points()
    assert [(exemplar.trace_id, exemplar.span_id) for exemplar in point.exemplars] == [(None, None)] * 2
