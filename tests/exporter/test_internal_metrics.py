"""The SDK's own metrics of processors and exporters, compared with the stock SDK's."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as StockGrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as StockGrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as StockHttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as StockHttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttpSpanExporter
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader, PeriodicExportingMetricReader, Sum
from opentelemetry.sdk.trace.export import BatchSpanProcessor as StockBatchSpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor as StockSimpleSpanProcessor

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPLogExporter as GrpcLogExporter
from otel_rs.exporter.otlp.grpc import OTLPMetricExporter as GrpcMetricExporter
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPLogExporter as HttpLogExporter
from otel_rs.exporter.otlp.http import OTLPMetricExporter as HttpMetricExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter

from ..support.receiver import Answer, HttpReceiver
from .test_otlp_metrics import data, gauge, number_point

HOUR_MILLIS = 3_600_000
STOCK, NATIVE = "stock", "native"

EXPORTERS: dict[tuple[str, str, str], Any] = {
    ("traces", STOCK, "grpc"): StockGrpcSpanExporter,
    ("traces", STOCK, "http"): StockHttpSpanExporter,
    ("traces", NATIVE, "grpc"): GrpcSpanExporter,
    ("traces", NATIVE, "http"): HttpSpanExporter,
    ("metrics", STOCK, "grpc"): StockGrpcMetricExporter,
    ("metrics", STOCK, "http"): StockHttpMetricExporter,
    ("metrics", NATIVE, "grpc"): GrpcMetricExporter,
    ("metrics", NATIVE, "http"): HttpMetricExporter,
    ("logs", STOCK, "grpc"): StockGrpcLogExporter,
    ("logs", STOCK, "http"): StockHttpLogExporter,
    ("logs", NATIVE, "grpc"): GrpcLogExporter,
    ("logs", NATIVE, "http"): HttpLogExporter,
}
NOUNS = {"traces": "span", "metrics": "metric_data_point", "logs": "log"}
each_signal = pytest.mark.parametrize("signal", NOUNS)


@pytest.fixture(autouse=True)
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")


def metrics_of(reader: InMemoryMetricReader) -> dict[str, Any]:
    """The metrics without values that depend on time or on the component's name."""
    metrics = {}
    data = reader.get_metrics_data()
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


class Measured:
    """A provider, its batch processor and the metrics of both."""

    def __init__(self, kind: str, receiver: Any, **settings: Any) -> None:
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        exporter = EXPORTERS["traces", kind, receiver.protocol]
        self.exporter = exporter(endpoint=receiver.endpoint, timeout=1, meter_provider=self.meters)
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
        return metrics_of(self.reader)

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


def test_metrics_of_successful_exports_equal_the_stock_sdks(receiver: Any, measured: Any) -> None:
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


def test_metrics_of_a_full_queue_and_a_shutdown_equal_the_stock_sdks(http_receiver: Any, measured: Any) -> None:
    seen = []
    for kind in (STOCK, NATIVE):
        one = measured(kind, http_receiver, max_queue_size=10, max_export_batch_size=10)
        # Nine spans wait; ten would be a full batch, which is exported at once.
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
    from ..support.receiver import wait_until

    wait_until(lambda: http_receiver.requests, "the first batch is being exported")
    one.end_spans(17)
    metrics = one.metrics()
    assert points(metrics, "otel.sdk.processor.span.processed") == {None: 10, "queue_full": 7}
    assert points(metrics, "otel.sdk.processor.span.queue.size") == {None: 10}
    assert points(metrics, "otel.sdk.processor.span.queue.capacity") == {None: 10}
    assert points(metrics, "otel.sdk.exporter.span.inflight") == {None: 10}
    assert "otel.sdk.exporter.span.exported" not in metrics


def test_failed_exports_have_an_error_type(receiver: Any, measured: Any) -> None:
    """Over gRPC the stock SDK uses the exception's name; over HTTP it counts refused spans as exported."""
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
        kind = "_OTHER" if exported else str(refused) if isinstance(refused, int) else refused.name
        assert points(native, name) == {None: 2 if exported else 1, kind: 5 if exported else 1}
        assert sum(value for _, value in stock[name][3]) == (7 if exported else 2)
    assert native["otel.sdk.exporter.span.inflight"] == stock["otel.sdk.exporter.span.inflight"]


def test_rejected_spans_have_their_own_error_type(http_receiver: Any, measured: Any) -> None:
    from .test_export_counts import partial_success

    http_receiver.answers = [Answer(200, body=partial_success(2))]
    one = measured(NATIVE, http_receiver)
    one.end_spans(5)
    assert one.processor.force_flush()
    assert points(one.metrics(), "otel.sdk.exporter.span.exported") == {None: 3, "rejected": 2}


def test_shutdown_records_the_last_spans(http_receiver: Any, measured: Any) -> None:
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


def test_two_processors_have_different_component_names(http_receiver: Any, grpc_receiver: Any, measured: Any) -> None:
    one = measured(NATIVE, http_receiver)
    other = GrpcSpanExporter(endpoint=grpc_receiver.endpoint, meter_provider=one.meters)
    one.provider.add_span_processor(BatchSpanProcessor(other, meter_provider=one.meters))
    one.end_spans(5)
    assert one.provider.force_flush()
    metrics = one.metrics()
    for name in ("otel.sdk.exporter.span.exported", "otel.sdk.processor.span.processed"):
        assert [value for _, value in metrics[name][3]] == [5, 5]
    components = [dict(point[0])["otel.component.type"] for point in metrics["otel.sdk.exporter.span.exported"][3]]
    assert components == ["otlp_grpc_span_exporter", "otlp_http_span_exporter"]


def test_no_processor_is_measured_by_default(http_receiver: Any, measured: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED")
    one = measured(NATIVE, http_receiver)
    one.end_spans(5)
    assert one.processor.force_flush()
    assert one.metrics() == {}
    assert one.exporter._native.take_operations() == []


# --- Exporters without a native processor ----------------------------------------------------------------------------


class Exporter:
    """An exporter of one signal, and its metrics."""

    def __init__(self, signal: str, kind: str, receiver: Any, **arguments: Any) -> None:
        self.signal = signal
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        arguments = {"endpoint": receiver.endpoint_of(signal), "timeout": 1, "meter_provider": self.meters, **arguments}
        self.exporter = EXPORTERS[signal, kind, receiver.protocol](**arguments)

    def export(self, count: int) -> bool:
        """Exports `count` spans, log records or metrics with one data point each, in one call."""
        telemetry: Any
        if self.signal == "traces":
            spans = sdk.TracerProvider(shutdown_on_exit=False).get_tracer("test")
            telemetry = [spans.start_span("span") for _ in range(count)]
            for span in telemetry:
                span.end()
        elif self.signal == "metrics":
            telemetry = data(*(gauge(number_point(number)) for number in range(count)))
        else:
            kept = InMemoryLogRecordExporter()
            logs = LoggerProvider(shutdown_on_exit=False)
            logs.add_log_record_processor(SimpleLogRecordProcessor(kept))
            for _ in range(count):
                logs.get_logger("test").emit(LogRecord(body="record"))
            telemetry = kept.get_finished_logs()
        return bool(self.exporter.export(telemetry).name == "SUCCESS")

    def metrics(self) -> dict[str, Any]:
        return metrics_of(self.reader)

    def stop(self) -> None:
        self.exporter.shutdown()
        self.meters.shutdown()


@pytest.fixture
def exporter_of() -> Iterator[Callable[..., Exporter]]:
    made = []

    def make(*args: Any, **arguments: Any) -> Exporter:
        made.append(Exporter(*args, **arguments))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@each_signal
def test_metrics_of_direct_exports_equal_the_stock_exporters(receiver: Any, exporter_of: Any, signal: str) -> None:
    seen = []
    for kind in (STOCK, NATIVE):
        one = exporter_of(signal, kind, receiver)
        before = one.metrics()
        assert one.export(3)
        assert one.export(1)
        during = one.metrics()
        assert one.export(2)
        seen.append((before, during, one.metrics()))
    stock, native = seen
    assert native == stock
    assert set(native[2]) == {
        f"otel.sdk.exporter.{NOUNS[signal]}.exported",
        f"otel.sdk.exporter.{NOUNS[signal]}.inflight",
        "otel.sdk.exporter.operation.duration",
    }
    assert points(native[2], f"otel.sdk.exporter.{NOUNS[signal]}.exported") == {None: 6}
    assert points(native[2], "otel.sdk.exporter.operation.duration") == {None: 3}


@each_signal
def test_failed_direct_exports_have_an_error_type(receiver: Any, exporter_of: Any, signal: str) -> None:
    refused = 400 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.INVALID_ARGUMENT
    seen = []
    for kind in (STOCK, NATIVE):
        receiver.answers = [Answer(refused)]
        one = exporter_of(signal, kind, receiver)
        assert not one.export(5)
        assert one.export(2)
        seen.append(one.metrics())
    stock, native = seen
    assert set(native) == set(stock)
    assert points(native, f"otel.sdk.exporter.{NOUNS[signal]}.exported") == {None: 2, "_OTHER": 5}
    assert sorted(points(native, "otel.sdk.exporter.operation.duration").values()) == [1, 1]
    inflight = f"otel.sdk.exporter.{NOUNS[signal]}.inflight"
    assert native[inflight] == stock[inflight]


@each_signal
def test_json_has_its_own_component_type(http_receiver: Any, exporter_of: Any, signal: str) -> None:
    one = exporter_of(signal, NATIVE, http_receiver, protocol="http/json")
    assert one.export(1)
    ((attributes, _),) = one.metrics()["otel.sdk.exporter.operation.duration"][3]
    component = {"traces": "span", "metrics": "metric", "logs": "log"}[signal]
    assert dict(attributes)["otel.component.type"] == f"otlp_http_json_{component}_exporter"


def test_metrics_of_a_simple_processor_equal_the_stock_sdks(receiver: Any, exporter_of: Any) -> None:
    seen = []
    for kind in (STOCK, NATIVE):
        one = exporter_of("traces", kind, receiver)
        provider: Any = {STOCK: sdk.TracerProvider, NATIVE: TracerProvider}[kind](shutdown_on_exit=False)
        provider.add_span_processor(StockSimpleSpanProcessor(one.exporter))
        for _ in range(3):
            provider.get_tracer("test").start_span("span").end()
        during = one.metrics()
        provider.shutdown()
        seen.append((during, one.metrics()))
    assert seen[0] == seen[1]
    assert points(seen[1][0], "otel.sdk.exporter.span.exported") == {None: 3}


def test_metrics_of_log_processors_equal_the_stock_sdks(receiver: Any, exporter_of: Any) -> None:
    seen = []
    for kind in (STOCK, NATIVE):
        one = exporter_of("logs", kind, receiver)
        logs = LoggerProvider(shutdown_on_exit=False)
        logs.add_log_record_processor(BatchLogRecordProcessor(one.exporter, schedule_delay_millis=HOUR_MILLIS))
        for _ in range(3):
            logs.get_logger("test").emit(LogRecord(body="record"))
        assert logs.force_flush()
        during = one.metrics()
        logs.shutdown()
        seen.append((during, one.metrics()))
    assert seen[0] == seen[1]
    assert points(seen[1][0], "otel.sdk.exporter.log.exported") == {None: 3}


def test_a_metric_exporter_reports_to_the_provider_it_exports_for(receiver: Any) -> None:
    """As in upstream, ``set_meter_provider`` passes the provider later."""
    seen = []
    for kind in (STOCK, NATIVE):
        exporter = EXPORTERS["metrics", kind, receiver.protocol](endpoint=receiver.endpoint_of("metrics"))
        reader = InMemoryMetricReader()
        periodic = PeriodicExportingMetricReader(exporter, export_interval_millis=HOUR_MILLIS)
        meters = MeterProvider([reader, periodic], shutdown_on_exit=False)
        exporter.set_meter_provider(meters)
        assert exporter.export(data(gauge(number_point(1)), gauge(number_point(2)))).name == "SUCCESS"
        seen.append(metrics_of(reader))
        assert meters.force_flush()
        meters.shutdown()
    stock, native = ({name: one for name, one in metrics.items() if "exporter" in name} for metrics in seen)
    assert native == stock
    assert points(native, "otel.sdk.exporter.metric_data_point.exported") == {None: 2}


def test_a_new_meter_provider_gets_only_later_exports(http_receiver: Any, exporter_of: Any) -> None:
    seen = []
    for kind in (STOCK, NATIVE):
        one = exporter_of("metrics", kind, http_receiver)
        assert one.export(3)
        other = InMemoryMetricReader()
        meters = MeterProvider([other], shutdown_on_exit=False)
        one.exporter.set_meter_provider(meters)
        assert one.export(2)
        seen.append((one.metrics(), metrics_of(other)))
        meters.shutdown()
    assert seen[0] == seen[1]
    exported = "otel.sdk.exporter.metric_data_point.exported"
    assert [points(metrics, exported) for metrics in seen[1]] == [{None: 3}, {None: 2}]


def test_shutdown_records_what_was_exported(http_receiver: Any, exporter_of: Any) -> None:
    one = exporter_of("logs", NATIVE, http_receiver)
    assert one.export(3)
    one.exporter.shutdown()
    one.exporter = GrpcLogExporter()
    gc.collect()
    assert points(one.metrics(), "otel.sdk.exporter.log.exported") == {None: 3}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_reports_only_its_own_exports(http_receiver: Any, exporter_of: Any) -> None:
    one = exporter_of("logs", NATIVE, http_receiver)
    assert one.export(3)
    changes = one.exporter._own_metrics._changes
    exported = "otel.sdk.exporter.log.exported"
    # As if another thread collects at this moment.
    with changes.lock:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                ok = one.export(2) and one.exporter.counts()["exported"] == 2
                one.exporter._own_metrics.record()
                status = 0 if ok and points(one.metrics(), exported) == {None: 2} else 2
            finally:
                os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert points(one.metrics(), exported) == {None: 3}


def test_an_exporter_to_a_unix_socket_has_no_server_attributes(exporter_of: Any, grpc_receiver: Any) -> None:
    one = exporter_of("traces", NATIVE, grpc_receiver, endpoint="unix:/nowhere/at/all", timeout=0.1)
    assert not one.export(1)
    ((attributes, _),) = one.metrics()["otel.sdk.exporter.operation.duration"][3]
    names = {"otel.component.name", "otel.component.type", "error.type", "rpc.response.status_code"}
    assert set(dict(attributes)) == names


@each_signal
def test_no_exporter_is_measured_by_default(
    http_receiver: Any, exporter_of: Any, signal: str, monkeypatch: Any
) -> None:
    monkeypatch.delenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED")
    one = exporter_of(signal, NATIVE, http_receiver)
    assert one.export(3)
    assert one.metrics() == {}
    assert one.exporter._native.take_operations() == []


def test_the_metrics_module_is_not_imported_when_metrics_are_off(monkeypatch: Any) -> None:
    program = (
        "import sys\n"
        "from otel_rs import BatchSpanProcessor\n"
        "from otel_rs.exporter.otlp.grpc import OTLPSpanExporter\n"
        "BatchSpanProcessor(OTLPSpanExporter()).shutdown()\n"
        "print([name for name in sys.modules if name.startswith('otel_rs') and name.endswith('_metrics')])"
    )
    imported = {"false": [], "true": ["otel_rs.exporter.otlp._exporter_metrics", "otel_rs.batching._metrics"]}
    for enabled, expected in imported.items():
        monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", enabled)
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        assert ran.stdout.strip() == str(expected)
