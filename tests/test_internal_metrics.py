"""The SDK's own metrics of processors and exporters, side by side with the stock SDK's."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttp
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader, Sum
from opentelemetry.sdk.trace.export import BatchSpanProcessor as StockBatchSpanProcessor

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter

from .receiver import Answer, HttpReceiver

HOUR_MILLIS = 3_600_000
STOCK, NATIVE = "stock", "native"


@pytest.fixture(autouse=True)
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")


class Measured:
    """A provider, its batch processor and the metrics of both."""

    def __init__(self, kind: str, receiver: Any, **settings: Any) -> None:
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        http = isinstance(receiver, HttpReceiver)
        self.exporter: Any
        if kind == STOCK:
            exporter = StockHttp if http else StockGrpc
            self.exporter = exporter(endpoint=receiver.endpoint, timeout=1, meter_provider=self.meters)
        else:
            exporter = HttpSpanExporter if http else GrpcSpanExporter
            self.exporter = exporter(endpoint=receiver.endpoint, timeout=1)
        settings = {"schedule_delay_millis": HOUR_MILLIS, **settings}
        batch, provider = {
            STOCK: (StockBatchSpanProcessor, sdk.TracerProvider),
            NATIVE: (BatchSpanProcessor, TracerProvider),
        }[kind]
        self.processor = batch(self.exporter, meter_provider=self.meters, **settings)
        self.provider = provider(shutdown_on_exit=False, meter_provider=self.meters)
        self.provider.add_span_processor(self.processor)

    def end_spans(self, count: int) -> None:
        tracer = self.provider.get_tracer("test")
        for _ in range(count):
            tracer.start_span("span").end()

    def metrics(self) -> dict[str, Any]:
        """What does not depend on time or on which component it is."""
        metrics = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                assert scope.scope.name == "opentelemetry-sdk"
                for metric in scope.metrics:
                    if metric.name.startswith("otel.sdk.metric_reader"):
                        continue
                    points = []
                    for point in metric.data.data_points:
                        attributes = dict(point.attributes)
                        if name := attributes.get("otel.component.name"):
                            attributes["otel.component.name"] = name.rpartition("/")[0]
                        value = point.count if isinstance(metric.data, Histogram) else point.value
                        points.append((sorted(attributes.items()), value))
                    data = metric.data
                    kind = (type(data), getattr(data, "is_monotonic", None), data.aggregation_temporality)
                    metrics[metric.name] = (metric.unit, metric.description, kind, sorted(points))
        return metrics

    def stop(self) -> None:
        self.provider.shutdown()
        self.meters.shutdown()


@pytest.fixture
def measured() -> Iterator[Callable[..., Measured]]:
    made = []

    def make(*args: Any, **settings: Any) -> Measured:
        made.append(Measured(*args, **settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def points(metrics: dict[str, Any], name: str) -> dict[Any, int]:
    """Values by `error.type`."""
    return {dict(attributes).get("error.type"): value for attributes, value in metrics[name][3]}


def test_what_goes_well_reads_as_with_the_stock_sdk(receiver: Any, measured: Any) -> None:
    seen = []
    for kind in (STOCK, NATIVE):
        one = measured(kind, receiver, max_queue_size=100, max_export_batch_size=10)
        before = one.metrics()
        one.end_spans(25)
        assert one.processor.force_flush()
        one.end_spans(3)
        during = one.metrics()
        assert one.processor.force_flush()
        seen.append((before, during, one.metrics()))
    stock, native = seen
    for number in range(3):
        assert native[number] == stock[number]
    assert set(native[2]) == {
        "otel.sdk.span.started",
        "otel.sdk.span.live",
        "otel.sdk.processor.span.processed",
        "otel.sdk.processor.span.queue.capacity",
        "otel.sdk.processor.span.queue.size",
        "otel.sdk.exporter.span.exported",
        "otel.sdk.exporter.span.inflight",
        "otel.sdk.exporter.operation.duration",
    }
    assert native[2]["otel.sdk.exporter.span.exported"][2][0] is Sum


def test_a_full_queue_and_a_shutdown_read_as_with_the_stock_sdk(http_receiver: Any, measured: Any) -> None:
    seen = []
    for kind in (STOCK, NATIVE):
        one = measured(kind, http_receiver, max_queue_size=10, max_export_batch_size=10)
        # Nine wait; ten would be a batch, which goes at once.
        one.end_spans(9)
        one.processor.shutdown()
        one.end_spans(4)
        seen.append(one.metrics()["otel.sdk.processor.span.processed"])
    assert seen[0] == seen[1]
    assert points({"processed": seen[1]}, "processed") == {None: 9, "already_shutdown": 4}


def test_spans_dropped_from_a_full_queue_are_counted(http_receiver: Any, measured: Any) -> None:
    http_receiver.fall_silent()
    one = measured(NATIVE, http_receiver, max_queue_size=10, max_export_batch_size=10, max_concurrent_exports=1)
    one.end_spans(10)
    from .receiver import wait_until

    wait_until(lambda: http_receiver.requests, "the first batch is under way")
    one.end_spans(17)
    metrics = one.metrics()
    assert points(metrics, "otel.sdk.processor.span.processed") == {None: 10, "queue_full": 7}
    assert points(metrics, "otel.sdk.processor.span.queue.size") == {None: 10}
    assert points(metrics, "otel.sdk.processor.span.queue.capacity") == {None: 10}
    assert points(metrics, "otel.sdk.exporter.span.inflight") == {None: 10}
    assert "otel.sdk.exporter.span.exported" not in metrics


def test_failed_exports_are_told_apart(receiver: Any, measured: Any) -> None:
    """The stock SDK names the exception over gRPC, and over HTTP counts what was refused as if it was not."""
    refused = 400 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.INVALID_ARGUMENT
    seen = []
    for kind in (STOCK, NATIVE):
        receiver.answers = [Answer(refused)]
        one = measured(kind, receiver)
        one.end_spans(5)
        one.processor.force_flush()
        one.end_spans(2)
        one.processor.force_flush()
        seen.append(one.metrics())
    stock, native = seen
    assert set(native) == set(stock)
    for name in ("otel.sdk.exporter.span.exported", "otel.sdk.exporter.operation.duration"):
        assert native[name][:3] == stock[name][:3]
        exported = name.endswith("exported")
        assert points(native, name) == {None: 2 if exported else 1, "_OTHER": 5 if exported else 1}
        assert sum(value for _, value in stock[name][3]) == (7 if exported else 2)
    assert native["otel.sdk.exporter.span.inflight"] == stock["otel.sdk.exporter.span.inflight"]


def test_rejected_spans_have_a_type_of_error_of_their_own(http_receiver: Any, measured: Any) -> None:
    from .test_export_counts import partial_success

    http_receiver.answers = [Answer(200, body=partial_success(2))]
    one = measured(NATIVE, http_receiver)
    one.end_spans(5)
    assert one.processor.force_flush()
    assert points(one.metrics(), "otel.sdk.exporter.span.exported") == {None: 3, "rejected": 2}


def test_the_last_spans_are_told_at_the_shutdown(http_receiver: Any, measured: Any) -> None:
    one = measured(NATIVE, http_receiver)
    one.end_spans(5)
    one.provider.shutdown()
    gone = weakref.ref(one.processor)
    one.processor = one.provider = one.exporter = None
    gc.collect()
    assert gone() is None
    metrics = one.metrics()
    assert points(metrics, "otel.sdk.exporter.span.exported") == {None: 5}
    assert points(metrics, "otel.sdk.processor.span.processed") == {None: 5}
    one.provider = TracerProvider(shutdown_on_exit=False)


def test_two_processors_are_told_apart(http_receiver: Any, grpc_receiver: Any, measured: Any) -> None:
    one = measured(NATIVE, http_receiver)
    other = GrpcSpanExporter(endpoint=grpc_receiver.endpoint)
    one.provider.add_span_processor(BatchSpanProcessor(other, meter_provider=one.meters))
    one.end_spans(5)
    assert one.provider.force_flush()
    metrics = one.metrics()
    for name in ("otel.sdk.exporter.span.exported", "otel.sdk.processor.span.processed"):
        assert [value for _, value in metrics[name][3]] == [5, 5]
    components = [dict(point[0])["otel.component.type"] for point in metrics["otel.sdk.exporter.span.exported"][3]]
    assert components == ["otlp_grpc_span_exporter", "otlp_http_span_exporter"]


def test_nothing_is_measured_unless_asked_for(http_receiver: Any, measured: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED")
    one = measured(NATIVE, http_receiver)
    one.end_spans(5)
    assert one.processor.force_flush()
    assert one.metrics() == {}
    assert one.exporter._native.take_operations() == []
