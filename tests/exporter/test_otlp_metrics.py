"""The OTLP metric exporters over both protocols, compared with the stock exporters on the same data."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as StockGrpc
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as StockHttp
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.metrics import (
    AlwaysOnExemplarFilter,
    Counter,
    Exemplar,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExportResult
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    LastValueAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_rs.exporter.otlp.grpc import OTLPMetricExporter as Grpc
from otel_rs.exporter.otlp.http import OTLPMetricExporter as Http

from ..support.receiver import DEADLINE_SECONDS, GRPC_METHODS, Answer, HttpReceiver, wait_until
from ..support.values import same_in_every_run

KINDS: dict[str, Any] = {"http": Http, "grpc": Grpc}
STOCK_KINDS: dict[str, Any] = {"http": StockHttp, "grpc": StockGrpc}
SUCCESS, FAILURE = MetricExportResult.SUCCESS, MetricExportResult.FAILURE
DELTA, CUMULATIVE = AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE

both_protocols = pytest.mark.parametrize("protocol", KINDS)

START, NOW = 1641946015139533244, 1641946016139533244
TRACE_ID, SPAN_ID = 0xD4CDA95B652F4A1592B449D5929FDA1B, 0x6E0C63257DE34C92


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """`make(receiver, ...)` creates an exporter that sends to the receiver, shut down after the test."""
    made = []

    def make(receiver: Any, kinds: dict[str, Any] = KINDS, **arguments: Any) -> Any:
        exporter = kinds[receiver.protocol](**{"endpoint": receiver.endpoint_of("metrics"), **arguments})
        made.append(exporter)
        return exporter

    yield make
    for exporter in made:
        exporter.shutdown()


# --- Data ------------------------------------------------------------------------------------------------------------


def number_point(value: Any, **fields: Any) -> sdk.NumberDataPoint:
    return sdk.NumberDataPoint(
        **{
            "attributes": {"a": 1, "b": True},
            "start_time_unix_nano": START,
            "time_unix_nano": NOW,
            "value": value,
            **fields,
        }
    )


def histogram_point(**fields: Any) -> sdk.HistogramDataPoint:
    return sdk.HistogramDataPoint(
        **{
            "attributes": {"a": 1, "b": True},
            "start_time_unix_nano": START,
            "time_unix_nano": NOW,
            "count": 5,
            "sum": 67,
            "bucket_counts": [1, 4, 0],
            "explicit_bounds": [10.0, 20.0],
            "min": 8,
            "max": 18.5,
            **fields,
        }
    )


def exponential_point(**fields: Any) -> sdk.ExponentialHistogramDataPoint:
    return sdk.ExponentialHistogramDataPoint(
        **{
            "attributes": {"a": 1, "b": True},
            "start_time_unix_nano": START,
            "time_unix_nano": NOW,
            "count": 36,
            "sum": 3,
            "scale": 4,
            "zero_count": 5,
            "positive": sdk.Buckets(6, [7, 8]),
            "negative": sdk.Buckets(-9, [300, 11]),
            "flags": 12,
            "min": 13.0,
            "max": 14.0,
            **fields,
        }
    )


def gauge(*points: Any, name: str = "gauge") -> sdk.Metric:
    return sdk.Metric(name, "about it", "s", sdk.Gauge(points))


def total(*points: Any, name: str = "sum", monotonic: bool = True, temporality: Any = CUMULATIVE) -> sdk.Metric:
    return sdk.Metric(name, "about it", "s", sdk.Sum(points, temporality, monotonic))


def histogram(*points: Any, name: str = "histogram", temporality: Any = DELTA) -> sdk.Metric:
    return sdk.Metric(name, "about it", "s", sdk.Histogram(points, temporality))


def exponential(*points: Any, name: str = "exponential", temporality: Any = DELTA) -> sdk.Metric:
    return sdk.Metric(name, "about it", "s", sdk.ExponentialHistogram(points, temporality))


def in_scope(*metrics: sdk.Metric, name: str = "first", **scope: Any) -> sdk.ScopeMetrics:
    scope = {"version": "1.2", "schema_url": f"https://example.com/{name}", **scope}
    return sdk.ScopeMetrics(InstrumentationScope(name, **scope), metrics, "not this one")


def of_resource(*scopes: sdk.ScopeMetrics, attributes: Any = None, schema_url: str = "") -> sdk.ResourceMetrics:
    return sdk.ResourceMetrics(Resource(attributes or {"a": 1, "b": False}, schema_url), scopes, "not this one")


def data(*metrics: sdk.Metric) -> sdk.MetricsData:
    return sdk.MetricsData([of_resource(in_scope(*metrics), schema_url="https://example.com/resource")])


EXEMPLARS = [
    Exemplar({"filtered": "banana"}, 298.0, NOW, SPAN_ID, TRACE_ID),
    Exemplar({"filtered": "banana"}, 7, NOW, None, None),
    Exemplar({}, -1.5, NOW, 1, None),
    Exemplar(None, 0, 0, 0, 0),
]

CASES: dict[str, sdk.MetricsData] = {
    "int sum": data(total(number_point(33))),
    "double sum": data(total(number_point(2.98))),
    "delta sum that is not monotonic": data(total(number_point(-5), monotonic=False, temporality=DELTA)),
    "int gauge": data(gauge(number_point(9000))),
    "double gauge": data(gauge(number_point(52.028))),
    "zeros": data(total(number_point(0)), gauge(number_point(0.0)), gauge(number_point(-0.0))),
    "extremes": data(*(gauge(number_point(value)) for value in (2**63 - 1, -(2**63), 1.7e308, 5e-324))),
    "not finite": data(*(gauge(number_point(float(value))) for value in ("inf", "-inf", "nan"))),
    "no start": data(total(number_point(1, start_time_unix_nano=None)), gauge(number_point(1, time_unix_nano=0))),
    "no attributes": data(total(number_point(1, attributes=None), number_point(2, attributes={}))),
    "exemplars of a number": data(
        total(number_point(1, exemplars=EXEMPLARS)), gauge(number_point(1.5, exemplars=EXEMPLARS))
    ),
    "histogram": data(histogram(histogram_point())),
    "cumulative histogram": data(histogram(histogram_point(), histogram_point(attributes={}), temporality=CUMULATIVE)),
    "histogram of nothing": data(histogram(histogram_point(count=0, sum=0, bucket_counts=(), explicit_bounds=()))),
    "histogram without sum and bounds": data(histogram(histogram_point(sum=None, min=None, max=None))),
    "histogram of the unset": data(histogram(histogram_point(min=float("inf"), max=float("-inf")))),
    "exemplars of a histogram": data(histogram(histogram_point(exemplars=EXEMPLARS))),
    "exponential histogram": data(exponential(exponential_point())),
    "exponential histogram of large counts": data(
        exponential(exponential_point(count=2**64 - 1, positive=sdk.Buckets(-(2**31), [2**64 - 1, 0, 1])))
    ),
    "negative scale": data(exponential(exponential_point(scale=-10, flags=0, zero_count=0), temporality=CUMULATIVE)),
    "no buckets": data(exponential(exponential_point(positive=sdk.Buckets(3, []), negative=sdk.Buckets(0, ())))),
    "exemplars of an exponential histogram": data(exponential(exponential_point(exemplars=EXEMPLARS))),
    "no points": data(gauge(), total(), histogram(), exponential()),
    "no metrics": sdk.MetricsData([of_resource(in_scope()), of_resource(attributes={"c": 1})]),
    "no description": data(sdk.Metric("name", None, None, sdk.Gauge([number_point(1)]))),
    "unicode": data(sdk.Metric("größe", "日本", "µs", sdk.Gauge([number_point(1, attributes={"schlüssel": "ß"})]))),
    "several scopes": sdk.MetricsData(
        [
            of_resource(in_scope(histogram(histogram_point())), in_scope(gauge(number_point(1)), name="second")),
            of_resource(in_scope(total(number_point(1)), name="third"), attributes={"other": (1, 2)}, schema_url="x"),
        ]
    ),
    "scope without version": sdk.MetricsData(
        [of_resource(in_scope(gauge(number_point(1)), version=None, schema_url=None))]
    ),
    "scope with attributes": sdk.MetricsData(
        [of_resource(in_scope(gauge(number_point(1)), attributes={"one": 1, "two": "2"}))]
    ),
    "values of all types": data(
        gauge(
            number_point(
                1,
                attributes={
                    "bool": False,
                    "str": "text",
                    "int": -3,
                    "double": 2.5,
                    "bytes": b"\x00\xff",
                    "none": None,
                    "strs": ["a", "b"],
                    "mixed": (1, "a", None, 2.5, [True]),
                    "mapping": {"inner": {"x": [1]}},
                },
            )
        )
    ),
    "resource with bytes": sdk.MetricsData(
        [of_resource(in_scope(gauge(number_point(1))), attributes={"service.name": "svc", "build.id": b"\x01\x02"})]
    ),
}


def canonical(message: Any) -> bytes:
    """Google's encoding of a message; unlike `==` it treats two NaNs as equal."""
    return message.SerializeToString(deterministic=True)


def assert_sent_as_stock(receiver: Any, make: Any, metrics: sdk.MetricsData, **arguments: Any) -> list[Any]:
    """Asserts that both exporters send the same; returns what they sent."""
    stock, native = make(receiver, STOCK_KINDS, **arguments), make(receiver, **arguments)
    assert stock.export(metrics) is SUCCESS
    expected = list(receiver.requests)
    assert native.export(metrics) is SUCCESS
    sent = receiver.requests[len(expected) :]
    assert [canonical(request.message) for request in sent] == [canonical(request.message) for request in expected]
    assert {request.path for request in sent} == {request.path for request in expected}
    return [request.message for request in sent]


# --- The spans -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_metrics_are_sent_as_the_stock_exporter_sends_them(receiver: Any, make: Any, name: str) -> None:
    (message,) = assert_sent_as_stock(receiver, make, CASES[name])
    assert canonical(message) == canonical(encode_metrics(CASES[name]))


def collected() -> sdk.MetricsData:
    """What the stock SDK collects from all instruments, with exemplars, several scopes and an exponential histogram."""
    reader = sdk.InMemoryMetricReader(preferred_temporality={Histogram: DELTA})
    provider = MeterProvider(
        [reader],
        Resource({"service.name": "shop", "host.ips": ["10.0.0.1", "::1"]}, "https://example.com/schema"),
        exemplar_filter=AlwaysOnExemplarFilter(),
        shutdown_on_exit=False,
        views=[
            View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation()),
            View(instrument_name="renamed", name="new_name", attribute_keys={"kept"}),
            View(instrument_name="last", aggregation=LastValueAggregation()),
        ],
    )
    meter = provider.get_meter("first", "1.0", "https://example.com/first", {"scope": "attribute"})
    tracer = sdk_trace.TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("parent"):
        for value in range(5):
            attributes = {"kept": value % 2, "dropped": [value], "text": "x" * value}
            meter.create_counter("counter", "By", "bytes").add(value * 10, attributes)
            meter.create_up_down_counter("up_and_down").add(-value / 3, attributes)
            meter.create_histogram("histogram", "ms").record(value**4, attributes)
            meter.create_histogram("exponential").record((value - 2) * 1.7, attributes)
            meter.create_gauge("gauge").set(value / 7, attributes)
            meter.create_counter("renamed").add(1, attributes)
            meter.create_counter("last").add(value)
    other = provider.get_meter("second")
    other.create_observable_gauge("observable_gauge", [lambda _: [Observation(1.5, {"a": 1}), Observation(2)]])
    other.create_observable_counter("observable_counter", [lambda _: [Observation(9)]])
    other.create_observable_up_down_counter("observable_up_and_down", [lambda _: [Observation(-9)]])
    metrics = reader.get_metrics_data()
    provider.shutdown()
    assert metrics is not None
    return metrics


def test_metrics_that_the_sdk_collects_are_sent_as_the_stock_exporter_sends_them(receiver: Any, make: Any) -> None:
    assert_sent_as_stock(receiver, make, collected())
    names = {metric.name for metric in receiver.metrics()}
    assert {"counter", "exponential", "new_name", "observable_up_and_down"} <= names
    kinds = {metric.WhichOneof("data") for metric in receiver.metrics()}
    assert kinds == {"gauge", "sum", "histogram", "exponential_histogram"}


def test_json_contains_the_same_metrics(http_receiver: Any, make: Any) -> None:
    for metrics in (collected(), *CASES.values()):
        http_receiver.requests.clear()
        for protocol in ("http/protobuf", "http/json"):
            assert make(http_receiver, protocol=protocol).export(metrics) is SUCCESS
        binary, json = http_receiver.requests
        assert json.headers["content-type"] == "application/json"
        assert canonical(json.message) == canonical(binary.message)


@pytest.mark.parametrize("temporality", ["cumulative", "delta", "lowmemory"])
def test_a_reader_exports_by_itself(
    receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch, temporality: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality)
    reader = sdk.PeriodicExportingMetricReader(make(receiver), export_interval_millis=3_600_000)
    provider = MeterProvider([reader], Resource({}), shutdown_on_exit=False)
    provider.get_meter("test").create_counter("counter").add(3)
    assert provider.force_flush()
    provider.shutdown()
    counter = receiver.metrics()[0]
    assert counter.sum.data_points[0].as_int == 3
    assert counter.sum.aggregation_temporality == (CUMULATIVE if temporality == "cumulative" else DELTA)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=5)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats()
DOUBLES = st.none() | st.floats()
COUNTS = st.integers(0, 2**64 - 1)
TIMES = st.integers(0, 2**64 - 1)
EXEMPLAR = st.builds(
    Exemplar, ATTRIBUTES, NUMBERS, TIMES, st.none() | st.integers(0, 2**64 - 1), st.none() | st.integers(0, 2**128 - 1)
)
COMMON = {
    "attributes": ATTRIBUTES,
    "start_time_unix_nano": TIMES,
    "time_unix_nano": TIMES,
    "exemplars": st.lists(EXEMPLAR, max_size=2),
}
MEASURED = {"count": COUNTS, "sum": DOUBLES, "min": DOUBLES, "max": DOUBLES}
BUCKETS = st.builds(sdk.Buckets, st.integers(-(2**31), 2**31 - 1), st.lists(COUNTS, max_size=5))
POINTS = {
    "number": st.builds(sdk.NumberDataPoint, value=NUMBERS, **COMMON),
    "histogram": st.builds(
        sdk.HistogramDataPoint,
        bucket_counts=st.lists(COUNTS, max_size=5),
        explicit_bounds=st.lists(st.floats(), max_size=4),
        **MEASURED,
        **COMMON,
    ),
    "exponential": st.builds(
        sdk.ExponentialHistogramDataPoint,
        scale=st.integers(-(2**31), 2**31 - 1),
        zero_count=COUNTS,
        positive=BUCKETS,
        negative=BUCKETS,
        flags=st.integers(0, 2**32 - 1),
        **MEASURED,
        **COMMON,
    ),
}
TEMPORALITIES = st.sampled_from([DELTA, CUMULATIVE])
METRICS = st.builds(
    sdk.Metric,
    st.text(max_size=9),
    st.none() | st.text(max_size=9),
    st.none() | st.text(max_size=9),
    st.builds(sdk.Gauge, st.lists(POINTS["number"], max_size=3))
    | st.builds(sdk.Sum, st.lists(POINTS["number"], max_size=3), TEMPORALITIES, st.booleans())
    | st.builds(sdk.Histogram, st.lists(POINTS["histogram"], max_size=3), TEMPORALITIES)
    | st.builds(sdk.ExponentialHistogram, st.lists(POINTS["exponential"], max_size=3), TEMPORALITIES),
)


@pytest.fixture(scope="module")
def shared() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def shared_exporter(shared: HttpReceiver) -> Iterator[Any]:
    exporter = Http(endpoint=shared.endpoint_of("metrics"))
    yield exporter
    exporter.shutdown()


@given(metrics=st.lists(METRICS, min_size=1, max_size=3))
def test_any_metrics_are_sent_as_the_stock_encoder_encodes_them(
    shared: Any, shared_exporter: Any, metrics: Any
) -> None:
    shared.requests.clear()
    assert shared_exporter.export(data(*metrics)) is SUCCESS
    assert canonical(shared.requests[0].message) == canonical(encode_metrics(data(*metrics)))


# --- Values that cannot be encoded -----------------------------------------------------------------------------------


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


BAD: dict[str, Any] = {
    "value is no number": (total, number_point("33")),
    "value is none": (gauge, number_point(None)),
    "negative count": (histogram, histogram_point(count=-1)),
    "count is no number": (histogram, histogram_point(bucket_counts=["1"])),
    "no counts": (histogram, histogram_point(bucket_counts=None)),
    "scale beyond 32 bits": (exponential, exponential_point(scale=2**31)),
    "no buckets": (exponential, exponential_point(positive=None)),
    "another class": (total, object()),
}


@pytest.mark.parametrize("name", BAD)
def test_a_point_that_cannot_be_encoded_is_dropped_and_logged(receiver: Any, make: Any, log: Any, name: str) -> None:
    kind, bad = BAD[name]
    good = {total: number_point(1), gauge: number_point(1), histogram: histogram_point()}.get(kind, exponential_point())
    assert make(receiver).export(data(kind(good, bad, good, name="the name"), gauge(number_point(1)))) is SUCCESS
    (line,) = log()
    assert line.startswith("A data point of the metric `the name` could not be encoded: ")
    assert canonical(receiver.requests[0].message) == canonical(
        encode_metrics(data(kind(good, good, name="the name"), gauge(number_point(1))))
    )


def test_an_object_that_is_not_a_metric_is_dropped_and_logged(receiver: Any, make: Any, log: Any) -> None:
    good = gauge(number_point(1))
    metrics = sdk.MetricsData([of_resource(in_scope(good, "no metric", good), "no scope"), "no resource"])  # type: ignore
    assert make(receiver).export(metrics) is SUCCESS
    assert [line.partition(":")[0] for line in log()] == [
        "A metric could not be encoded",
        "Metrics of a scope could not be encoded",
        "Metrics of a resource could not be encoded",
    ]
    assert len(receiver.metrics()) == 2


def test_an_exemplar_that_cannot_be_encoded_is_dropped_and_logged(receiver: Any, make: Any, log: Any) -> None:
    exemplars = [Exemplar({}, 1, 2), Exemplar({}, "1", 2), Exemplar({}, 3, 2, 2**64, 1)]  # type: ignore[arg-type]
    assert make(receiver).export(data(total(number_point(1, exemplars=exemplars)))) is SUCCESS
    assert [line.partition(":")[0] for line in log()] == ["An exemplar could not be encoded"] * 2
    (point,) = receiver.metrics()[0].sum.data_points
    assert [exemplar.as_int for exemplar in point.exemplars] == [1]


def test_true_is_one(receiver: Any, make: Any) -> None:
    assert make(receiver).export(data(gauge(number_point(True)))) is SUCCESS
    assert receiver.metrics()[0].gauge.data_points[0].as_int == 1


def test_integers_beyond_64_bits_are_sent_as_doubles(receiver: Any, make: Any) -> None:
    assert make(receiver).export(data(total(number_point(2**63), number_point(-(2**70))))) is SUCCESS
    points = receiver.metrics()[0].sum.data_points
    assert [point.as_double for point in points] == [2.0**63, -(2.0**70)]


class Summary:
    data_points = ()


def test_an_unknown_kind_of_data_is_logged_and_sent_without_points(receiver: Any, make: Any, log: Any) -> None:
    metrics = data(sdk.Metric("summary", "", "", Summary()), gauge(number_point(1)))  # type: ignore[arg-type]
    assert_sent_as_stock(receiver, make, metrics)
    assert log().count("unsupported data type Summary") == 2


@pytest.mark.parametrize("value", ["\ud800", 10**30, Unprintable(), [Unprintable()], object()], ids=same_in_every_run)
def test_a_bad_attribute_affects_only_itself(receiver: Any, make: Any, value: Any) -> None:
    assert make(receiver).export(data(gauge(number_point(1, attributes={"odd": value, "even": 2})))) is SUCCESS
    attributes = receiver.metrics()[0].gauge.data_points[0].attributes
    assert ("even", 2) in [(attribute.key, attribute.value.int_value) for attribute in attributes]


# --- Splitting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 100])
def test_large_exports_are_split_as_the_stock_exporter_splits_them(receiver: Any, make: Any, size: int) -> None:
    points = [number_point(value) for value in range(3)]
    metrics = sdk.MetricsData(
        [
            of_resource(in_scope(gauge(*points), total(*points)), in_scope(gauge(points[0]), name="second")),
            of_resource(in_scope(histogram(*[histogram_point()] * 2), name="third"), attributes={"x": 1}),
        ]
    )
    sent = assert_sent_as_stock(receiver, make, metrics, max_export_batch_size=size)
    assert len(sent) == -(-9 // size)


def test_metrics_without_points_are_in_no_part(receiver: Any, make: Any) -> None:
    metrics = data(gauge(), gauge(number_point(1)), total())
    assert_sent_as_stock(receiver, make, metrics, max_export_batch_size=1)


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_refused_part_does_not_affect_the_others(receiver: Any, make: Any, refused: int) -> None:
    refusal = Answer({"http": 400, "grpc": grpc.StatusCode.INVALID_ARGUMENT}[receiver.protocol])
    fine = Answer({"http": 200, "grpc": grpc.StatusCode.OK}[receiver.protocol])
    receiver.answers = [refusal if part == refused else fine for part in range(3)]
    exporter = make(receiver, max_export_batch_size=1)
    assert exporter.export(data(gauge(*map(number_point, range(3))))) is FAILURE
    assert len(receiver.requests) == 3


@both_protocols
@pytest.mark.parametrize("size", [0, -1])
def test_an_invalid_size_raises(protocol: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"max_export_batch_size is .*accepted"):
        KINDS[protocol](max_export_batch_size=size)


# --- Preferences -----------------------------------------------------------------------------------------------------

TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
HISTOGRAMS = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"


@both_protocols
@pytest.mark.parametrize("argument", [None, {}, {Counter: CUMULATIVE, UpDownCounter: DELTA}], ids=str)
@pytest.mark.parametrize("value", [None, "cumulative", "CUMULATIVE", "delta", " Delta ", "lowmemory"])
def test_preferred_temporalities_are_those_of_the_stock_exporter(
    protocol: str, value: str | None, argument: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv(TEMPORALITY, value)
    stock = STOCK_KINDS[protocol](preferred_temporality=argument)
    native = KINDS[protocol](preferred_temporality=argument)
    assert native._preferred_temporality == stock._preferred_temporality
    stock.shutdown()


@both_protocols
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ExplicitBucketHistogramAggregation),
        ("", ExplicitBucketHistogramAggregation),
        ("explicit_bucket_histogram", ExplicitBucketHistogramAggregation),
        ("base2_exponential_bucket_histogram", ExponentialBucketHistogramAggregation),
        (" BASE2_exponential_bucket_histogram", ExponentialBucketHistogramAggregation),
    ],
)
def test_the_variable_is_the_histograms_aggregation(
    protocol: str, value: str | None, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv(HISTOGRAMS, value)
    assert type(KINDS[protocol]()._preferred_aggregation[Histogram]) is expected
    chosen = LastValueAggregation()
    preferred = KINDS[protocol](preferred_aggregation={Histogram: chosen, Counter: chosen})._preferred_aggregation
    assert preferred == {Histogram: chosen, Counter: chosen}


@both_protocols
@pytest.mark.parametrize("variable", [TEMPORALITY, HISTOGRAMS])
def test_an_invalid_preference_is_logged_and_ignored(
    protocol: str, variable: str, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setenv(variable, "fast")
    exporter = KINDS[protocol]()
    (line,) = log()
    assert all(word in line for word in (variable, "'fast'", "accepted"))
    assert set(exporter._preferred_temporality.values()) == {CUMULATIVE}
    assert type(exporter._preferred_aggregation[Histogram]) is ExplicitBucketHistogramAggregation


@both_protocols
def test_every_instrument_has_a_temporality(protocol: str) -> None:
    assert set(KINDS[protocol]()._preferred_temporality) == {
        Counter,
        Histogram,
        ObservableCounter,
        ObservableGauge,
        ObservableUpDownCounter,
        UpDownCounter,
    }


# --- Settings and results --------------------------------------------------------------------------------------------


@both_protocols
def test_parameters_are_those_of_the_stock_exporter(protocol: str) -> None:
    def parameters(kind: type[Any]) -> list[Any]:
        return [
            (parameter.name, parameter.kind)
            for parameter in inspect.signature(kind).parameters.values()
            if not parameter.name.startswith("_")
        ]

    own = {"http": [("protocol", inspect.Parameter.KEYWORD_ONLY)], "grpc": []}[protocol]
    assert parameters(KINDS[protocol]) == parameters(STOCK_KINDS[protocol]) + own


@both_protocols
def test_it_is_a_metric_exporter(protocol: str) -> None:
    exporter = KINDS[protocol]()
    assert isinstance(exporter, sdk.MetricExporter)
    assert exporter.force_flush() is True
    assert exporter.force_flush(timeout_millis=5) is True
    exporter.set_meter_provider(MeterProvider(shutdown_on_exit=False))
    exporter.shutdown(timeout_millis=5)


@pytest.mark.parametrize("signal", ["METRICS_", ""])
def test_the_signals_variables_override_the_general_ones(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, signal: str
) -> None:
    for other in ("TRACES_", "LOGS_", *([""] if signal else [])):
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{other}ENDPOINT", "http://127.0.0.1:1")
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{other}HEADERS", "x-a=other")
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{other}TIMEOUT", "1")
    endpoint = receiver.endpoint_of("metrics") if signal else receiver.base
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT", endpoint)
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}HEADERS", "x-a=mine")
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}TIMEOUT", "7")
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}COMPRESSION", "gzip")
    exporter = KINDS[receiver.protocol]()
    assert exporter.export(data(gauge(number_point(1)))) is SUCCESS
    (request,) = receiver.requests
    assert request.headers["x-a"] == "mine"
    assert request.path == {"http": "/v1/metrics", "grpc": GRPC_METHODS["metrics"]}[receiver.protocol]
    if receiver.protocol == "http":
        assert request.headers["content-encoding"] == "gzip"
    assert len(receiver.metrics()) == 1
    exporter.shutdown()
    assert (exporter._timeout if receiver.protocol == "grpc" else exporter._client._timeout) == 7


def test_rejected_points_are_logged(receiver: Any, make: Any, log: Any) -> None:
    partial = ExportMetricsPartialSuccess(rejected_data_points=2, error_message="too old")
    status = {"http": 200, "grpc": grpc.StatusCode.OK}[receiver.protocol]
    receiver.answers = [Answer(status, body=ExportMetricsServiceResponse(partial_success=partial).SerializeToString())]
    assert make(receiver).export(data(gauge(number_point(1)), gauge(number_point(2)))) is SUCCESS
    assert log() == ["The receiver rejected 2 data points: too old"]


def test_a_refused_export_fails_and_is_logged(receiver: Any, make: Any, log: Any) -> None:
    receiver.answers = [Answer({"http": 400, "grpc": grpc.StatusCode.INVALID_ARGUMENT}[receiver.protocol])]
    assert make(receiver).export(data(gauge(number_point(1)))) is FAILURE
    (line,) = log()
    assert line.startswith("Failed to export 1 metrics: ")


def test_after_shutdown_nothing_is_sent(receiver: Any, make: Any, log: Any) -> None:
    lines = []
    for kinds in (STOCK_KINDS, KINDS):
        exporter = kinds[receiver.protocol](endpoint=receiver.endpoint_of("metrics"))
        assert exporter.shutdown() is None
        log()
        assert exporter.export(data(gauge(number_point(1)))) is FAILURE
        exporter.shutdown()
        lines.append(log())
    assert lines[0] == lines[1]
    assert receiver.requests == []


def test_a_request_that_is_too_large_is_dropped_and_logged(http_receiver: Any, make: Any, log: Any) -> None:
    metrics = data(gauge(*[number_point(1)] * 100))
    size = encode_metrics(metrics).ByteSize()
    assert make(http_receiver, max_request_size=size).export(metrics) is SUCCESS
    assert make(http_receiver, max_request_size=0).export(metrics) is SUCCESS
    assert make(http_receiver, max_request_size=-1).export(metrics) is SUCCESS
    assert log() == []
    assert make(http_receiver, max_request_size=size - 1).export(metrics) is FAILURE
    assert log() == [f"Dropping metrics batch: serialized size {size} bytes exceeds max_request_size {size - 1} bytes."]
    assert len(http_receiver.requests) == 3


def test_other_threads_run_during_an_export(receiver: Any, make: Any) -> None:
    receiver.fall_silent()
    exporter = make(receiver, timeout=2)
    exporting = threading.Thread(target=exporter.export, args=(data(gauge(number_point(1))),))
    exporting.start()
    wait_until(lambda: receiver.requests, "the export runs")
    assert exporting.is_alive()
    exporting.join(DEADLINE_SECONDS)


def test_points_of_a_subclass_are_accepted(receiver: Any, make: Any) -> None:
    class Mine(sdk.NumberDataPoint):
        pass

    class MySum(sdk.Sum):
        pass

    metric = replace(total(), data=MySum([Mine({}, 1, 2, 3)], DELTA, True))
    assert_sent_as_stock(receiver, make, data(metric))
