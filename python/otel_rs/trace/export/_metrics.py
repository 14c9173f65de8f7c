"""The SDK's own metrics of native pipelines and exporters: upstream's instruments, told by the native counters.

The export path touches no Python, so it cannot record a measurement; whoever collects metrics is told what has happened
since the last time.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation, get_meter_provider
from opentelemetry.sdk._shared_internal._processor_metrics import ProcessorMetrics
from opentelemetry.semconv._incubating.attributes.otel_attributes import (
    OTEL_COMPONENT_NAME,
    OTEL_COMPONENT_TYPE,
    OtelComponentTypeValues,
)
from opentelemetry.semconv._incubating.metrics.otel_metrics import (
    create_otel_sdk_exporter_operation_duration,
    create_otel_sdk_exporter_span_exported,
    create_otel_sdk_exporter_span_inflight,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

from otel_rs import _native
from otel_rs.exporter.otlp._exporter import NativeSpanExporter

_METER = "opentelemetry-sdk"

_SPAN_EXPORTERS = {
    "grpc": OtelComponentTypeValues.OTLP_GRPC_SPAN_EXPORTER.value,
    "http/protobuf": OtelComponentTypeValues.OTLP_HTTP_SPAN_EXPORTER.value,
    "http/json": OtelComponentTypeValues.OTLP_HTTP_JSON_SPAN_EXPORTER.value,
}

_exporters_of_type: Counter[str] = Counter()
_measured_exporters: weakref.WeakKeyDictionary[NativeSpanExporter, ExporterMetrics] = weakref.WeakKeyDictionary()


class PipelineMetrics:
    """``otel.sdk.processor.span.*`` of a pipeline."""

    def __init__(self, pipeline: _native.SpanPipeline, meter_provider: MeterProvider | None, capacity: int) -> None:
        self._pipeline = pipeline
        self._told = _Told()
        provider = meter_provider or get_meter_provider()
        component = OtelComponentTypeValues.BATCHING_SPAN_PROCESSOR
        self._metrics = ProcessorMetrics("traces", component, provider, capacity=capacity)
        this = weakref.ref(self)
        self._metrics.register_queue_size(lambda: pipeline.processed()[3] if (pipeline := _pipeline_of(this)) else 0)
        name = self._metrics._standard_attrs[OTEL_COMPONENT_NAME]
        _tell_on_collection(provider.get_meter(_METER), name, self.tell)

    def tell(self) -> None:
        """Records what has happened since the last call."""
        with self._told.lock:
            processed, queue_full, after_shutdown = self._told.since(self._pipeline.processed()[:3])
            if processed:
                self._metrics.finish_items(processed)
            if queue_full:
                self._metrics.drop_items(queue_full)
            if after_shutdown:
                self._metrics.drop_items(after_shutdown, "already_shutdown")


class ExporterMetrics:
    """``otel.sdk.exporter.*`` of an exporter."""

    def __init__(self, exporter: NativeSpanExporter, meter_provider: MeterProvider | None) -> None:
        self._native = exporter._native
        self._native.record_operations()
        self._told = _Told()
        component = _SPAN_EXPORTERS[self._native.protocol]
        self._attributes: dict[str, Any] = {
            OTEL_COMPONENT_TYPE: component,
            OTEL_COMPONENT_NAME: f"{component}/{_exporters_of_type[component]}",
        }
        _exporters_of_type[component] += 1
        url = urlsplit(exporter._endpoint)
        self._attributes[SERVER_ADDRESS] = url.hostname or ""
        self._attributes[SERVER_PORT] = url.port or _default_port(self._native.protocol, url.scheme)
        meter = (meter_provider or get_meter_provider()).get_meter(_METER)
        self._in_flight = create_otel_sdk_exporter_span_inflight(meter)
        self._exported = create_otel_sdk_exporter_span_exported(meter)
        self._duration = create_otel_sdk_exporter_operation_duration(meter)
        _tell_on_collection(meter, self._attributes[OTEL_COMPONENT_NAME], self.tell)

    def tell(self) -> None:
        """Records what has happened since the last call."""
        with self._told.lock:
            counts = self._native.counts()
            names = ("in_flight", "exported", "rejected", "failed", "dropped", "bytes")
            in_flight, exported, rejected, failed, dropped, sent = self._told.since([counts[name] for name in names])
            if sent:
                # Nothing, if that is what is in flight: there has been something in between.
                self._in_flight.add(in_flight, self._attributes)
            for items, error in (
                (exported, None),
                (rejected, "rejected"),
                (failed, "_OTHER"),
                (dropped, "RequestPayloadTooLargeError"),
            ):
                if items:
                    self._exported.add(items, self._with(error))
            for seconds, error in self._native.take_operations():
                self._duration.record(seconds, self._with(error))

    def _with(self, error: str | None) -> dict[str, Any]:
        return {**self._attributes, ERROR_TYPE: error} if error else self._attributes


def measure_exporter(exporter: object, meter_provider: MeterProvider | None) -> ExporterMetrics | None:
    """The metrics of a native exporter, which are made at the first call for it; None for any other exporter."""
    if not isinstance(exporter, NativeSpanExporter):
        return None
    metrics = _measured_exporters.get(exporter)
    if metrics is None:
        metrics = _measured_exporters[exporter] = ExporterMetrics(exporter, meter_provider)
    return metrics


class _Told:
    """What was recorded of counters that only go up (or, in flight, both ways)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._values: Sequence[int] = ()
        self._pid = os.getpid()

    def since(self, values: Sequence[int]) -> list[int]:
        """By how much each has changed since the last call. A forked child's counters start anew."""
        if self._pid != os.getpid() or not self._values:
            self._pid = os.getpid()
            self._values = [0] * len(values)
        changes = [now - before for now, before in zip(values, self._values, strict=True)]
        self._values = values
        return changes


def _tell_on_collection(meter: Meter, component: str, tell: Callable[[], None]) -> None:
    """Calls ``tell`` whenever metrics are collected, before they are read, as long as its object lives.

    By an instrument that never observes anything, so that none is exported. One with the name of a metric would not do:
    the SDK keeps the callbacks of the first instrument of a name only.
    """
    weak = weakref.WeakMethod(tell)

    def observe(_options: CallbackOptions) -> Sequence[Observation]:
        if method := weak():
            method()
        return ()

    meter.create_observable_counter(f"otel_rs.{component.replace('/', '.')}", callbacks=[observe])


def _pipeline_of(metrics: weakref.ref[PipelineMetrics]) -> _native.SpanPipeline | None:
    this = metrics()
    return this._pipeline if this else None


def _default_port(protocol: str, scheme: str) -> int:
    return 80 if protocol != "grpc" and scheme == "http" else 443
