"""Views: what only upstream's classes can do is done by them, for that metric alone; and bounds of series."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics import (
    AlwaysOnExemplarFilter,
    Exemplar,
    ExemplarFilter,
    ExemplarReservoir,
    SimpleFixedSizeExemplarReservoir,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    InMemoryMetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    SumAggregation,
    View,
)

from otel_rs.exporter.otlp.http import OTLPMetricExporter
from otel_rs.metrics import MeterProvider

from ..support.receiver import HttpReceiver, started
from .conftest import Metering

Make = Callable[..., Metering]


@pytest.fixture(scope="module", name="receiver")
def receiver_fixture() -> Iterator[HttpReceiver]:
    yield from started(HttpReceiver)


class Last(ExemplarReservoir):
    """Keeps the last measurement."""

    def __init__(self, **arguments: Any) -> None:
        self._kept: list[Exemplar] = []

    def offer(self, value: Any, time_unix_nano: int, attributes: Any, context: Any) -> None:
        self._kept = [Exemplar({"own": "reservoir"}, value, time_unix_nano)]

    def collect(self, point_attributes: Any) -> list[Exemplar]:
        kept, self._kept = self._kept, []
        return kept


class Doubled(SumAggregation):
    """An aggregation of the program's own."""

    def _create_aggregation(self, *arguments: Any) -> Any:
        made = super()._create_aggregation(*arguments)
        kind = type(made)

        class OfDoubles(kind):  # type: ignore[misc,valid-type]
            def collect(self, *arguments: Any) -> Any:
                point = super().collect(*arguments)
                return point and type(point)(**{**vars(point), "value": point.value * 2})

        made.__class__ = OfDoubles
        return made


class OfFours(ExemplarFilter):
    """One measurement of a series: which of several a reservoir keeps is random."""

    def should_sample(self, value: Any, *arguments: Any) -> bool:
        return bool(value % 4 == 0)


VIEWS = {
    "reservoir": View(instrument_name="special", exemplar_reservoir_factory=lambda kind: Last),
    "size": View(
        instrument_name="special",
        exemplar_reservoir_factory=lambda kind: lambda **arguments: SimpleFixedSizeExemplarReservoir(3),
    ),
    "aggregation": View(instrument_name="special", aggregation=Doubled()),
    "keys": View(instrument_name="special", attribute_keys={"a", 1}),  # type: ignore[arg-type]
}


def program(meter: Any) -> None:
    special, native = meter.create_counter("special"), meter.create_counter("plain")
    for number in range(1, 5):
        for counter in (special, native):
            counter.add(number, {"a": number % 2, "b": number})


def shown(points: list[Any]) -> list[Any]:
    return [
        (point.value, point.attributes, [(each.value, each.filtered_attributes) for each in point.exemplars])
        for point in points
    ]


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_a_view_that_is_not_native_falls_back_for_its_metric_alone(metering: Make, view: View) -> None:
    ours, theirs = (
        metering(views=[view], exemplar_filter=OfFours()),
        Metering(sdk.MeterProvider, views=[view], exemplar_filter=OfFours()),
    )
    for each in (ours, theirs):
        program(each.meter)
    found, expected = ours.metrics(), theirs.metrics()
    assert [metric.name for metric in found] == [metric.name for metric in expected] == ["special", "plain"]
    for got, wanted in zip(found, expected, strict=True):
        assert shown(got.data.data_points) == shown(wanted.data.data_points)
        assert got.data.is_monotonic
    theirs.provider.shutdown()


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_it_is_sent_by_a_native_exporter_beside_the_others(receiver: HttpReceiver, view: View) -> None:
    receiver.requests.clear()
    exporter = OTLPMetricExporter(receiver.endpoint_of("metrics"))
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)
    provider = MeterProvider([reader], views=[view], exemplar_filter=OfFours(), shutdown_on_exit=False)
    program(provider.get_meter("library"))
    reader.collect()
    provider.shutdown()
    special, plain = receiver.metrics()
    assert (special.name, plain.name) == ("special", "plain")
    times = 2 if isinstance(view._aggregation, Doubled) else 1
    assert sum(point.as_int for point in special.sum.data_points) == 10 * times
    assert sum(point.as_int for point in plain.sum.data_points) == 10
    assert {point.time_unix_nano for metric in (special, plain) for point in metric.sum.data_points} == {
        plain.sum.data_points[0].time_unix_nano
    }


def test_a_reservoir_of_the_program_keeps_what_it_says(either: Make) -> None:
    metering = either(views=[VIEWS["reservoir"]], exemplar_filter=AlwaysOnExemplarFilter())
    program(metering.meter)
    exemplars = [exemplar for point in metering.points("special") for exemplar in point.exemplars]
    assert [(each.value, each.filtered_attributes) for each in exemplars] == [
        (value, {"own": "reservoir"}) for value in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(
    "aggregation",
    [
        ExplicitBucketHistogramAggregation((2, 1)),
        ExplicitBucketHistogramAggregation((math.nan,)),
        ExponentialBucketHistogramAggregation(max_size=1),
        ExponentialBucketHistogramAggregation(max_size=20_000),
        ExponentialBucketHistogramAggregation(max_scale=-20),
    ],
    ids=lambda aggregation: str(vars(aggregation)),
)
def test_a_view_that_cannot_be_made_counts_as_if_it_were_not_there(
    metering: Make, aggregation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    meter = metering(views=[View(instrument_name="name", aggregation=aggregation)])
    counter = meter.meter.create_counter("name")
    for _ in range(3):
        counter.add(1)
    assert meter.values() == [3]
    (record,) = caplog.records
    assert "is not applied to instrument name" in record.getMessage()


def test_views_in_conflict_are_told(either: Make, caplog: pytest.LogCaptureFixture) -> None:
    metering = either(views=[View(instrument_name="a", name="same"), View(instrument_name="b", name="same")])
    for name in "ab":
        metering.meter.create_counter(name).add(1)
    metering.points()
    assert "will cause conflicting metrics identities" in caplog.text


def test_a_histogram_of_an_observable_instrument_is_refused(either: Make, caplog: pytest.LogCaptureFixture) -> None:
    metering = either(views=[View(instrument_name="*", aggregation=ExplicitBucketHistogramAggregation())])
    metering.meter.create_observable_gauge("name", [lambda options: [Observation(1)]])
    assert metering.values() == [1]
    assert "will produce semantic errors" in caplog.text


class ByAttributes(SumAggregation):
    """An aggregation of the program's own that asks for what it measures."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def _create_aggregation(self, instrument: Any, attributes: Any, *arguments: Any) -> Any:
        self.asked.append(attributes)
        return super()._create_aggregation(instrument, attributes, *arguments)


@pytest.mark.parametrize("of", ["view", "reader"])
def test_an_aggregation_of_the_programs_own_is_asked_for_each_series(either: Make, of: str) -> None:
    own = ByAttributes()
    if of == "view":
        metering = either(views=[View(instrument_name="name", aggregation=own)])
    else:
        metering = either(reader=InMemoryMetricReader(preferred_aggregation={sdk.Counter: own}))
    counter = metering.meter.create_counter("name")
    for number in range(3):
        counter.add(1, {"number": number % 2})
    assert metering.values() == [2, 1]
    assert [attributes for attributes in own.asked if attributes] == [{"number": 0}, {"number": 1}]


class Refused(SumAggregation):
    """Upstream's raises from `add`."""

    def _create_aggregation(self, *arguments: Any) -> Any:
        raise ValueError("from the aggregation")


@pytest.mark.parametrize("preferred", [Refused(), None, "sum"], ids=["raises", "None", "text"])
def test_without_a_preference_that_cannot_be_made_the_default_aggregation_counts(
    metering: Make, preferred: Any, caplog: pytest.LogCaptureFixture
) -> None:
    meter = metering(
        reader=InMemoryMetricReader(preferred_aggregation={sdk.Counter: preferred}),
        views=[View(instrument_name="renamed", name="other")],
    )
    for name in ("first", "renamed", "second"):
        meter.meter.create_counter(name).add(3)
    assert [(metric.name, metric.data.data_points[0].value) for metric in meter.metrics()] == [
        ("first", 3),
        ("other", 3),
        ("second", 3),
    ]
    (line,) = caplog.messages
    assert "that a reader prefers for Counter is not used" in line


def test_a_view_that_cannot_be_made_costs_no_preference(metering: Make, caplog: pytest.LogCaptureFixture) -> None:
    exponential = ExponentialBucketHistogramAggregation()
    meter = metering(
        reader=InMemoryMetricReader(preferred_aggregation={sdk.Histogram: exponential}),
        views=[View(instrument_name="named", name=object())],  # type: ignore[arg-type]
    )
    for name in ("named", "other"):
        meter.meter.create_histogram(name).record(3)
    assert [type(metric.data) for metric in meter.metrics()] == [ExponentialHistogram] * 2
    (line,) = caplog.messages
    assert "is not applied to instrument named" in line


@pytest.mark.parametrize("scale", [21, -11, 1.5])
def test_a_view_with_a_scale_that_there_is_not_counts_as_if_it_were_not_there(
    metering: Make, scale: Any, caplog: pytest.LogCaptureFixture
) -> None:
    meter = metering(
        views=[View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation(max_scale=scale))]
    )
    # Upstream's mapping of a scale raises when it is first made, and is broken from then on.
    for name in ("first", "second"):
        meter.meter.create_histogram(name).record(7)
    assert [point.bucket_counts[2] for point in meter.points()] == [1, 1]
    for name in ("first", "second"):
        assert f"is not applied to instrument {name}" in caplog.text


def test_a_temporality_that_is_a_plain_integer(metering: Make) -> None:
    preferred: Any = {sdk.Counter: int(AggregationTemporality.DELTA)}
    meter = metering(reader=InMemoryMetricReader(preferred_temporality=preferred))
    counter = meter.meter.create_counter("name")
    for _ in range(2):
        counter.add(2)
        assert meter.values() == [2]


def test_series_beyond_the_limit_are_counted_together(metering: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RS_METRICS_CARDINALITY_LIMIT", "10")
    meter = metering()
    counter = meter.meter.create_counter("name")
    for number in range(100):
        counter.add(1, {"number": number})
    points = meter.points()
    assert len(points) == 10
    assert [point.value for point in points if point.attributes == {"otel.metric.overflow": True}] == [91]


def test_the_limit_holds_for_all_collections_of_deltas_together(
    metering: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/differences.md: upstream's begins anew at each collection."""
    monkeypatch.setenv("OTEL_RS_METRICS_CARDINALITY_LIMIT", "3")
    preferred: Any = {sdk.Counter: AggregationTemporality.DELTA}
    meter = metering(reader=InMemoryMetricReader(preferred_temporality=preferred))
    counter = meter.meter.create_counter("name")
    found = []
    for numbers in ([1, 2, 3], [2, 3, 4]):
        for number in numbers:
            counter.add(number, {"number": number})
        found.append([(point.attributes, point.value) for point in meter.points()])
    overflow = {"otel.metric.overflow": True}
    assert found == [[({"number": 1}, 1), ({"number": 2}, 2), (overflow, 3)], [({"number": 2}, 2), (overflow, 7)]]


def test_series_beyond_the_bytes_are_counted_together_and_told_once(
    metering: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_RS_METRICS_MAX_BYTES", "20000")
    meter = metering()
    counter = meter.meter.create_counter("name")
    for number in range(10_000):
        counter.add(1, {"number": number})
    points = meter.points()
    assert 10 < len(points) < 200
    assert sum(point.value for point in points) == 10_000
    assert points[-1].attributes == {"otel.metric.overflow": True}
    assert len(caplog.records) == 1
