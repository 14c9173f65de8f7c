"""Where all measurements of a provider go."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from time import time_ns
from typing import Any

from opentelemetry.metrics import CallbackOptions
from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.measurement_consumer import SynchronousMeasurementConsumer
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData, PeriodicExportingMetricReader

from otel_rs import _native
from otel_rs.metrics._storage import ReaderStorage

_DEFAULT_TIMEOUT_NANOS = 10_000 * 10**6


class MeasurementConsumer(_native.MeasurementConsumer, SynchronousMeasurementConsumer):
    """Upstream's consumer, whose storages have native streams."""

    def __new__(cls, sdk_config: Any, metric_readers: Iterable[MetricReader], max_bytes: int, max_series: int) -> Any:
        return super().__new__(cls, sdk_config.exemplar_filter, max_bytes)

    def __init__(
        self, sdk_config: Any, metric_readers: Iterable[MetricReader], max_bytes: int, max_series: int
    ) -> None:
        self._lock = Lock()
        self._sdk_config = sdk_config
        self._max_series = max_series
        self._async_instruments = []
        self._reader_storages = {reader: self._storage_of(reader) for reader in metric_readers}

    def _storage_of(self, reader: MetricReader) -> ReaderStorage:
        return ReaderStorage(
            self._sdk_config,
            reader._instrument_class_temporality,
            reader._instrument_class_aggregation,
            self,
            self._max_series,
        )

    def _streams_of(self, instrument: Any) -> list[Any]:
        """Called natively: where the instrument's measurements go, native streams and upstream's matches."""
        return [
            match.stream or match
            for storage in self._reader_storages.values()
            for match in storage.matches_of(instrument)
        ]

    def collect(self, metric_reader: MetricReader, timeout_millis: float = 10_000) -> MetricsData | None:
        with self._lock:
            storage = self._reader_storages[metric_reader]
            self._observe(storage, timeout_millis)
            if _exports_natively(metric_reader):
                return storage.collect_natively()  # type: ignore[return-value]
            data: MetricsData | None = storage.collect()
            return data

    def _observe(self, storage: ReaderStorage, timeout_millis: float) -> None:
        """Calls the callbacks of observable instruments."""
        options = CallbackOptions()
        deadline = time_ns() + timeout_millis * 1e6
        for instrument in self._async_instruments:
            remaining = deadline - time_ns()
            if remaining < _DEFAULT_TIMEOUT_NANOS:
                options = CallbackOptions(timeout_millis=remaining / 1e6)
            measurements: Iterable[Measurement] = instrument.callback(options)
            if time_ns() >= deadline:
                raise MetricsTimeoutError("Timed out while executing callback")
            for measurement in measurements:
                should_sample = self._sdk_config.exemplar_filter.should_sample(
                    measurement.value, measurement.time_unix_nano, measurement.attributes, measurement.context
                )
                storage.consume_measurement(measurement, should_sample)

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        with self._lock:
            self._reader_storages = {**self._reader_storages, metric_reader: self._storage_of(metric_reader)}
        self._readers_changed()

    def remove_metric_reader(self, metric_reader: MetricReader) -> None:
        super().remove_metric_reader(metric_reader)
        self._readers_changed()


def _exports_natively(reader: MetricReader) -> bool:
    """Whether nobody but a native exporter sees what the reader collects."""
    if type(reader) is not PeriodicExportingMetricReader:
        return False
    from otel_rs.exporter.otlp._metrics import takes_collections

    return takes_collections(reader._exporter)
