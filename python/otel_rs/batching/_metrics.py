"""The SDK's own metrics of native batch processors: upstream's instruments, fed from the native counters."""

from __future__ import annotations

import weakref
from typing import Literal

from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.sdk._shared_internal._processor_metrics import ProcessorMetrics
from opentelemetry.semconv._incubating.attributes.otel_attributes import OTEL_COMPONENT_NAME, OtelComponentTypeValues

from otel_rs import _native
from otel_rs.exporter.otlp._exporter_metrics import METER, CounterChanges, record_on_collection


class BatchProcessorMetrics:
    """``otel.sdk.processor.span.*`` or ``.log.*`` of a batch processor."""

    def __init__(
        self,
        signal: Literal["traces", "logs"],
        component: OtelComponentTypeValues,
        native: _native.BatchProcessor,
        meter_provider: MeterProvider | None,
        capacity: int,
    ) -> None:
        self._native_processor = native
        self._changes = CounterChanges(native.processed()[:3])
        provider = meter_provider or get_meter_provider()
        self._metrics = ProcessorMetrics(signal, component, provider, capacity=capacity)
        this = weakref.ref(self)
        self._metrics.register_queue_size(lambda: native.processed()[3] if (native := _native_of(this)) else 0)
        name = self._metrics._standard_attrs[OTEL_COMPONENT_NAME]
        record_on_collection(provider.get_meter(METER), name, self.record)

    def record(self) -> None:
        """Records what has happened since the last call."""
        with self._changes.lock:
            processed, queue_full, after_shutdown = self._changes.since(self._native_processor.processed()[:3])
            if processed:
                self._metrics.finish_items(processed)
            if queue_full:
                self._metrics.drop_items(queue_full)
            if after_shutdown:
                self._metrics.drop_items(after_shutdown, "already_shutdown")


def _native_of(metrics: weakref.ref[BatchProcessorMetrics]) -> _native.BatchProcessor | None:
    this = metrics()
    return this._native_processor if this else None
