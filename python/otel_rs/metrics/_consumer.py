"""Where all measurements of a provider go."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from threading import TIMEOUT_MAX, Lock, RLock
from time import time_ns
from typing import Any

from opentelemetry.context import get_current
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.metrics._internal.export import PeriodicExportingMetricReader as StockReader
from opentelemetry.sdk.metrics._internal.instrument import _Asynchronous
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.measurement_consumer import SynchronousMeasurementConsumer
from opentelemetry.sdk.metrics.export import MetricReader

from otel_rs import _native, forks
from otel_rs.metrics._match import NativeMatch
from otel_rs.metrics._reader import PeriodicExportingMetricReader
from otel_rs.metrics._storage import ReaderStorage

_logger = logging.getLogger(__name__)

_DEFAULT_TIMEOUT_NANOS = 10_000 * 10**6


class MeasurementConsumer(_native.MeasurementConsumer, SynchronousMeasurementConsumer):
    """Upstream's consumer, whose storages have native streams."""

    _reader_storages: dict[MetricReader, ReaderStorage]

    def __new__(cls, sdk_config: Any, metric_readers: Iterable[MetricReader], max_bytes: int, max_series: int) -> Any:
        return super().__new__(cls, sdk_config.exemplar_filter, max_bytes)

    def __init__(
        self, sdk_config: Any, metric_readers: Iterable[MetricReader], max_bytes: int, max_series: int
    ) -> None:
        self._lock = Lock()
        # Not `_lock`, which whoever makes an instrument or adds a reader takes: a callback may do that.
        self._collecting = RLock()
        self._observing = False
        self._sdk_config = sdk_config
        self._max_series = max_series
        self._async_instruments = []
        self._reader_storages = {reader: self._storage_of(reader) for reader in metric_readers}
        # Its own: instruments may outlive the provider.
        forks.call_in_children(self._handle_fork)

    def _storage_of(self, reader: MetricReader) -> ReaderStorage:
        return ReaderStorage(self._sdk_config, reader, self, self._max_series)

    def _streams_of(self, instrument: Any) -> list[Any]:
        """Called natively: where the instrument's measurements go, native streams and upstream's matches."""
        return [
            match.stream or match
            for storage in self._reader_storages.values()
            for match in storage.matches_of(instrument)
        ]

    def collect(self, metric_reader: MetricReader, timeout_millis: float = 10_000) -> Any:
        """MetricsData, or a native Collection where nobody but a native exporter sees it; None if there is nothing."""
        # A child that is forked meanwhile, in a callback or a signal's handler, goes on with the one it holds.
        collecting = self._collecting
        if not collecting.acquire(timeout=min(max(timeout_millis, 0) / 1e3, TIMEOUT_MAX)):
            raise MetricsTimeoutError("Timed out while another collection was under way")
        try:
            storage = self._reader_storages.get(metric_reader)
            if storage is None:  # removed since the collection began
                return None
            # A callback may flush: what it observes goes with the collection that called it.
            if not self._observing:
                self._observe(storage, timeout_millis)
            if storage.native is not None:
                return storage.collect_stock()
            if _exports_natively(metric_reader):
                return storage.collect_natively()
            return storage.collect()
        finally:
            collecting.release()

    def _observe(self, storage: ReaderStorage, timeout_millis: float) -> None:
        """Calls the callbacks of observable instruments."""
        self._observing = True
        try:
            self._call_callbacks(storage, timeout_millis)
        finally:
            self._observing = False

    def _call_callbacks(self, storage: ReaderStorage, timeout_millis: float) -> None:
        options = CallbackOptions()
        deadline = time_ns() + timeout_millis * 1e6
        for instrument in list(self._async_instruments):
            remaining = deadline - time_ns()
            if remaining <= 0:
                raise MetricsTimeoutError("Timed out while executing callback")
            if remaining < _DEFAULT_TIMEOUT_NANOS:
                options = CallbackOptions(timeout_millis=remaining / 1e6)
            if type(instrument).callback is _Asynchronous.callback:
                self._observe_natively(instrument, storage, options)
            else:
                for measurement in instrument.callback(options):
                    storage.consume_measurement(measurement, self._is_sampled(measurement))

    def _observe_natively(self, instrument: Any, storage: ReaderStorage, options: CallbackOptions) -> None:
        """As upstream's `callback`, without a measurement object of the SDK's for each observation."""
        if not instrument._is_enabled():
            return
        for callback in instrument._callbacks:
            try:
                for observation in callback(options):
                    if not math.isfinite(observation.value):
                        _logger.warning(
                            "Callback returned a non-finite value %s for instrument %s, ignoring measurement.",
                            observation.value,
                            instrument.name,
                        )
                        continue
                    for match in storage.matches_of(instrument):
                        self._take(match, instrument, observation)
            except Exception:
                _logger.exception("Callback failed for instrument %s.", instrument.name)

    def _take(self, match: NativeMatch, instrument: Any, observation: Observation) -> None:
        if match.stream is not None:
            match.stream.measure(self, observation.value, observation.attributes, observation.context or None)
            return
        measurement = self._measurement(
            observation.value, instrument, observation.context or get_current(), observation.attributes
        )
        match.consume_measurement(measurement, self._is_sampled(measurement))

    def _is_sampled(self, measurement: Measurement) -> bool:
        sampled: bool = self._sdk_config.exemplar_filter.should_sample(
            measurement.value, measurement.time_unix_nano, measurement.attributes, measurement.context
        )
        return sampled

    def register_asynchronous_instrument(self, instrument: Any) -> None:
        super().register_asynchronous_instrument(instrument)
        for reader in self._reader_storages:
            if isinstance(reader, PeriodicExportingMetricReader):
                reader.collect_in_python()

    def resource_changed(self) -> None:
        for storage in self._reader_storages.values():
            storage.register_streams()

    def _handle_fork(self) -> None:
        """In a forked child, where another thread of the parent may have held a lock."""
        self._lock, self._collecting, self._observing = Lock(), RLock(), False
        for storage in self._reader_storages.values():
            storage.handle_fork()

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        if self._async_instruments and isinstance(metric_reader, PeriodicExportingMetricReader):
            metric_reader.collect_in_python()
        with self._lock:
            self._reader_storages = {**self._reader_storages, metric_reader: self._storage_of(metric_reader)}
        self._readers_changed()

    def remove_metric_reader(self, metric_reader: MetricReader) -> None:
        super().remove_metric_reader(metric_reader)
        self._readers_changed()


def _exports_natively(reader: MetricReader) -> bool:
    """Whether nobody but a native exporter sees what the reader collects."""
    if type(reader) is not StockReader:
        return False
    from otel_rs.exporter.otlp._metrics import takes_collections

    return takes_collections(reader._exporter)
