"""What the OTLP metric exporters have in common."""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)

from otel_rs.exporter.otlp._config import max_data_points
from otel_rs.exporter.otlp._exporter import Arguments, NativeExporter
from otel_rs.exporter.otlp._stock import stock_class_for
from otel_rs.exporter.otlp._twin import Follower
from otel_rs.settings import read
from otel_rs.settings.table import METRICS_HISTOGRAMS, METRICS_TEMPORALITY

Temporalities = dict[type, AggregationTemporality]
Aggregations = dict[type, Aggregation]


class NativeMetricExporter(NativeExporter, MetricExporter):
    """Base of the OTLP metric exporters."""

    _signal = "metrics"

    def __init__(
        self,
        arguments: Arguments,
        meter_provider: MeterProvider | None,
        *,
        preferred_temporality: Temporalities | None,
        preferred_aggregation: Aggregations | None,
        max_export_batch_size: int | None,
    ) -> None:
        MetricExporter.__init__(
            self,
            preferred_temporality={**_temporalities(), **(preferred_temporality or {})},
            preferred_aggregation={**_aggregations(), **(preferred_aggregation or {})},
        )
        self._max_data_points = max_data_points(max_export_batch_size)
        self._prepare(arguments, meter_provider, self._max_data_points)

    def _more_stock_arguments(self) -> dict[str, Any]:
        return {
            "preferred_temporality": self._preferred_temporality,
            "preferred_aggregation": self._preferred_aggregation,
            "max_export_batch_size": self._max_data_points,
        }

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Sends the metrics and waits for the outcome, retries included, with the GIL released.

        ``timeout_millis`` has no effect, as upstream: the exporter's own timeout counts, for each request.
        """
        if not isinstance(self, NativeMetricExporter):  # borrowed by another class
            of_stock: MetricExportResult = stock_class_for(self, "metrics").export(
                self, metrics_data, timeout_millis, **kwargs
            )
            return of_stock
        if self._stock_exports():
            result: MetricExportResult = self._export_by_stock(metrics_data, _data_points_of(metrics_data))
            return result
        if self._refuses_after_shutdown():
            return MetricExportResult.FAILURE
        return MetricExportResult.SUCCESS if self._native.export_metrics(metrics_data) else MetricExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Takes no more metrics; an export under way goes on, but is not tried again."""
        if not isinstance(self, NativeMetricExporter):  # borrowed by another class
            stock_class_for(self, "metrics").shutdown(self)
            return
        self._shut_down()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is kept here: True."""
        return True

    def set_meter_provider(self, meter_provider: MeterProvider) -> None:
        """The exporter's own metrics go there from now on, as by the argument ``meter_provider``."""
        if not isinstance(self, NativeMetricExporter):  # borrowed by another class
            stock_class_for(self, "metrics").set_meter_provider(self, meter_provider)
            return
        self._meter_provider = meter_provider
        if self._twin.stock is not None:
            self._twin.stock.set_meter_provider(meter_provider)
        self._measure(meter_provider)


def _data_points_of(metrics_data: MetricsData) -> int:
    return sum(
        len(metric.data.data_points)
        for resource_metrics in metrics_data.resource_metrics
        for scope_metrics in resource_metrics.scope_metrics
        for metric in scope_metrics.metrics
    )


_DELTA: dict[str, tuple[type, ...]] = {
    "cumulative": (),
    "delta": (Counter, Histogram, ObservableCounter),
    "lowmemory": (Counter, Histogram),
}
_INSTRUMENTS = (Counter, UpDownCounter, Histogram, ObservableCounter, ObservableUpDownCounter, ObservableGauge)

_HISTOGRAMS: dict[str, type[ExplicitBucketHistogramAggregation | ExponentialBucketHistogramAggregation]] = {
    "explicit_bucket_histogram": ExplicitBucketHistogramAggregation,
    "base2_exponential_bucket_histogram": ExponentialBucketHistogramAggregation,
}


def _temporalities() -> Temporalities:
    delta = _DELTA[read(METRICS_TEMPORALITY).value]
    return {
        instrument: AggregationTemporality.DELTA if instrument in delta else AggregationTemporality.CUMULATIVE
        for instrument in _INSTRUMENTS
    }


def _aggregations() -> Aggregations:
    return {Histogram: _HISTOGRAMS[read(METRICS_HISTOGRAMS).value]()}


def follow_exporter(exporter: Any, follower: Follower) -> None:
    """The follower, to which nothing here keeps a strong reference, is told when the exporter leaves the native way."""
    exporter._twin.followers.add(follower)


def takes_collections(exporter: Any) -> bool:
    """Whether the exporter sends natively, and nobody has put a method in `export`'s place."""
    return (
        isinstance(exporter, NativeMetricExporter)
        and type(exporter).export is NativeMetricExporter.export
        and "export" not in vars(exporter)
        and not exporter._stock_exports()
    )
