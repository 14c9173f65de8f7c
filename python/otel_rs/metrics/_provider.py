"""The meter provider: upstream's own, which makes native meters."""

from __future__ import annotations

import logging
from atexit import register
from collections.abc import Sequence
from threading import Lock
from time import monotonic
from typing import Any

from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import ExemplarFilter
from opentelemetry.sdk.metrics import _internal as upstream
from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.metrics._internal.measurement_consumer import SynchronousMeasurementConsumer
from opentelemetry.sdk.metrics._internal.sdk_configuration import SdkConfiguration
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util._once import Once
from opentelemetry.util.types import Attributes

from otel_rs import endings, exit, forks
from otel_rs._announced import tell_way
from otel_rs._reload import keep_modules
from otel_rs._shown import shown
from otel_rs.metrics._consumer import MeasurementConsumer
from otel_rs.metrics._meter import Meter
from otel_rs.metrics._storage import NO_LIMIT
from otel_rs.settings import read
from otel_rs.settings.table import METRICS_CARDINALITY_LIMIT, METRICS_EXEMPLAR_FILTER, METRICS_MAX_BYTES, SDK_DISABLED

_logger = logging.getLogger(__name__)


class MeterProvider(upstream.MeterProvider):
    """Makes meters that share a configuration. Behaves as ``opentelemetry.sdk.metrics.MeterProvider``.

    Args:
        metric_readers: Collect the metrics, each for itself. With a ``PeriodicExportingMetricReader`` and one of
            ``otel_rs.exporter.otlp``'s exporters no Python object is made of a point.
        resource: What the telemetry is about. Default: ``Resource.create()``, which reads ``OTEL_SERVICE_NAME`` and
            ``OTEL_RESOURCE_ATTRIBUTES``.
        exemplar_filter: Which measurements may become exemplars. Default: by ``OTEL_METRICS_EXEMPLAR_FILTER``, else
            those that are made within a sampled span.
        shutdown_on_exit: Shut down, which exports what is left, when the interpreter exits.
        views: What becomes of the measurements of which instruments. What a view asks for that is not upstream's own,
            such as a reservoir of the program's, is done by upstream's classes, for that metric alone.

    Series take at most ``OTEL_RS_METRICS_MAX_BYTES``, and there are at most ``OTEL_RS_METRICS_CARDINALITY_LIMIT`` of a
    metric; measurements of further ones are counted together, with the attribute ``otel.metric.overflow``.
    ``OTEL_SDK_DISABLED=true`` makes it hand out meters that do nothing.

    Specification: https://opentelemetry.io/docs/specs/otel/metrics/sdk/#meterprovider
    """

    def __init__(
        self,
        metric_readers: Sequence[MetricReader] = (),
        resource: Resource | None = None,
        exemplar_filter: ExemplarFilter | None = None,
        shutdown_on_exit: bool = True,
        views: Sequence[View] = (),
        *,
        _meter_configurator: Any = None,
    ) -> None:
        keep_modules()
        exit.arrange()
        self._lock, self._meter_lock = Lock(), Lock()
        self._atexit_handler = None
        self._sdk_config = SdkConfiguration(
            exemplar_filter=exemplar_filter or upstream._get_exemplar_filter(read(METRICS_EXEMPLAR_FILTER).value),
            resource=Resource.create({}) if resource is None else resource,
            views=views,
        )
        self._metric_readers = metric_readers
        self._measurement_consumer: Any = _consumer(self._sdk_config, metric_readers)
        # After the consumer, which makes its locks anew.
        forks.call_in_children(self._handle_fork)
        self._disabled = read(SDK_DISABLED).value
        if shutdown_on_exit:
            self._atexit_handler = register(self.shutdown)
        self._meters = {}
        self._shutdown_once = Once()
        self._shutdown = False
        self._meter_configurator = _meter_configurator or upstream._default_meter_configurator
        for reader in metric_readers:
            self._register(reader)
        endings.shut_down_at_end(self)
        for reader in metric_readers:
            tell_way(self, "metrics", reader)

    def __repr__(self) -> str:
        return shown(self, "readers", lambda: list(self._metric_readers))

    def _update_resource(self, resource: Resource) -> None:
        super()._update_resource(resource)
        if isinstance(self._measurement_consumer, MeasurementConsumer):
            self._measurement_consumer.resource_changed()

    def _register(self, reader: MetricReader) -> None:
        with self._all_metric_readers_lock:
            if reader in self._all_metric_readers:
                raise Exception(f"MetricReader {reader} has been registered already in other MeterProvider instance")
            self._all_metric_readers.add(reader)
        reader._set_collect_callback(self._measurement_consumer.collect)
        reader._set_meter_provider(self)

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        """Adds a reader, which collects every metric from then on."""
        upstream.MeterProvider.add_metric_reader(self, metric_reader)
        tell_way(self, "metrics", metric_reader)

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        """The meter of an instrumentation scope: the same one for the same name, version, schema URL and attributes."""
        # Borrowed by another class; or a meter that does nothing.
        if not isinstance(self, MeterProvider) or self._disabled or self._shutdown or not name:
            of_upstream: api.Meter = upstream.MeterProvider.get_meter(self, name, version, schema_url, attributes)
            return of_upstream
        scope = InstrumentationScope(name, version, schema_url, attributes)
        with self._meter_lock:
            meter = self._meters.get(scope)
            if meter is None:
                config = self._apply_meter_configurator(scope)
                meter = self._meters[scope] = Meter(scope, self._measurement_consumer, _meter_config=config)
        return meter

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Has every reader collect and export now, within ``timeout_millis`` in all.

        Returns:
            False if a reader could not export in time.

        Raises:
            Exception: A reader could not collect; the others have been flushed.
        """
        deadline = monotonic() + timeout_millis / 1e3
        in_time, problems = True, []
        for reader in list(self._metric_readers):
            left = (deadline - monotonic()) * 1e3
            try:
                if left <= 0:
                    raise MetricsTimeoutError("No time was left for this reader")
                in_time = reader.force_flush(timeout_millis=left) is not False and in_time
            except Exception as problem:
                problems.append(f"{type(reader).__name__}: {problem!r}")
        if problems:
            raise Exception("Metric readers could not be flushed: " + "; ".join(problems))
        return in_time


def _consumer(sdk_config: Any, metric_readers: Sequence[MetricReader]) -> Any:
    replaced = vars(upstream)["SynchronousMeasurementConsumer"]
    if replaced is not SynchronousMeasurementConsumer:  # by the program
        return replaced(sdk_config=sdk_config, metric_readers=metric_readers)
    max_bytes = read(METRICS_MAX_BYTES).value
    max_series = read(METRICS_CARDINALITY_LIMIT).value
    return MeasurementConsumer(sdk_config, metric_readers, max_bytes, NO_LIMIT if max_series is None else max_series)
