"""The paths of a program's metrics: what a reader gets, and what a collector gets; on the stock SDK and on ours."""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics import export as sdk_export
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation

from otel_rs.exporter.otlp.http import OTLPMetricExporter
from otel_rs.metrics import MeterProvider
from otel_rs.metrics import export as native_export

from ..support.receiver import HttpReceiver
from .comparable import Comparison, keeping_all_offers, without_ids_of_others
from .programs import Program
from .run import Collector, run


class StockRaises(Exception):
    """The stock SDK cannot collect: docs/differences.md."""


class Stop(Exception):
    """The native run has collected as often as the stock SDK could."""


class Kept(MetricExporter):
    """Keeps what a reader of the stock SDK exports."""

    def __init__(self, temporality: Any, aggregation: Any) -> None:
        histograms = {sdk.Histogram: ExplicitBucketHistogramAggregation()}
        super().__init__(preferred_temporality=temporality, preferred_aggregation={**histograms, **aggregation})
        self.data: Any = None

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        self.data = metrics_data
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


def periodic(exporter: MetricExporter) -> MetricReader:
    """The stock SDK's. It exports when it is told to collect."""
    return sdk_export.PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)


def exported(reader: Any) -> Any:
    reader._exporter.data = None
    reader.collect()
    return reader._exporter.data


def stock(program: Program, reader_of: Callable[[Any, Any], MetricReader], get: Callable[[Any], Any]) -> list[Any]:
    found: list[Any] = []

    def collected(number: int, reader: Any) -> None:
        try:
            found.append((number, get(reader)))
        except Exception as error:
            raise StockRaises from error

    with keeping_all_offers(), contextlib.suppress(StockRaises):
        run(sdk.MeterProvider, program, reader_of, collected, is_stock=True)
    return found


def native(
    program: Program, reader_of: Callable[[Any, Any], MetricReader], get: Callable[[Any], Any], most: int
) -> list[Any]:
    found: list[Any] = []

    def collected(number: int, reader: Any) -> None:
        if len(found) == most:
            raise Stop
        found.append((number, get(reader)))

    # Upstream's reservoirs are there, too, where a view asks for one of its own.
    with without_ids_of_others(), contextlib.suppress(Stop):
        run(MeterProvider, program, reader_of, collected, is_stock=False)
    return found


def same(expected: str, got: str) -> None:
    if expected != got:
        lines = difflib.unified_diff(expected.split("\n"), got.split("\n"), "expected", "got", lineterm="")
        raise AssertionError("\n".join(["the metrics differ", *(line[:400] for line in lines)]))


def read(program: Program, receiver: HttpReceiver) -> int:
    """A Python reader gets upstream's objects."""
    expected = stock(program, Collector, Collector.collected)
    got = native(program, Collector, Collector.collected, len(expected))
    of_stock, of_native = Comparison(), Comparison()
    for (number, data), (_, ours) in zip(expected, got, strict=True):
        left, right = of_stock.of_data(number, data), of_native.of_data(number, ours)
        same(left.shown(), right.shown())
        left.check_exemplars_of(right)
    return len(expected)


def sent_by(periodic_of: Callable[..., MetricReader], program: Program, receiver: HttpReceiver) -> int:
    """A collector gets a request."""

    def reader_of(temporality: Any, aggregation: Any) -> MetricReader:
        exporter = OTLPMetricExporter(
            receiver.endpoint_of("metrics"), preferred_temporality=temporality, preferred_aggregation=aggregation
        )
        return periodic_of(exporter, export_interval_millis=math.inf)

    def arrived(reader: Any) -> Any:
        reader.collect()
        requests = [received.message for received in receiver.requests]
        receiver.requests.clear()
        assert len(requests) <= 1
        return requests[0] if requests else None

    expected = stock(program, lambda *preferences: periodic(Kept(*preferences)), exported)
    got = native(program, reader_of, arrived, len(expected))
    # A native reader's request begins with what Python collected.
    in_order = periodic_of is not native_export.PeriodicExportingMetricReader
    of_stock, of_native = Comparison(in_order), Comparison(in_order)
    for (number, data), (_, request) in zip(expected, got, strict=True):
        left, right = of_stock.encoded(number, data, encode_metrics), of_native.of_request(number, request)
        same(left.shown(), right.shown())
        left.check_exemplars_of(right)
    return len(expected)


Path = Callable[[Program, HttpReceiver], int]
PATHS: dict[str, Path] = {
    "read": read,
    "collected by Python, sent": partial(sent_by, sdk_export.PeriodicExportingMetricReader),
    "collected natively, sent": partial(sent_by, native_export.PeriodicExportingMetricReader),
}
