"""The SDK's own metrics of native exporters: upstream's instruments, fed from the native counters.

The export path touches no Python, so it cannot record a measurement. Each collection of metrics records what has
happened since the last one.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation, UpDownCounter, get_meter_provider
from opentelemetry.metrics import Counter as CounterInstrument
from opentelemetry.semconv._incubating.attributes.otel_attributes import (
    OTEL_COMPONENT_NAME,
    OTEL_COMPONENT_TYPE,
    OtelComponentTypeValues,
)
from opentelemetry.semconv._incubating.attributes.rpc_attributes import RPC_RESPONSE_STATUS_CODE
from opentelemetry.semconv._incubating.metrics.otel_metrics import (
    create_otel_sdk_exporter_log_exported,
    create_otel_sdk_exporter_log_inflight,
    create_otel_sdk_exporter_metric_data_point_exported,
    create_otel_sdk_exporter_metric_data_point_inflight,
    create_otel_sdk_exporter_operation_duration,
    create_otel_sdk_exporter_span_exported,
    create_otel_sdk_exporter_span_inflight,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

from otel_rs import _native
from otel_rs.settings.table import Signal

METER = "opentelemetry-sdk"


class _Measured(NamedTuple):
    """What a signal's exporters are measured by."""

    grpc: OtelComponentTypeValues
    http_protobuf: OtelComponentTypeValues
    http_json: OtelComponentTypeValues
    create_in_flight: Callable[[Meter], UpDownCounter]
    create_exported: Callable[[Meter], CounterInstrument]

    def component_type(self, protocol: str) -> str:
        of_protocol = {"grpc": self.grpc, "http/protobuf": self.http_protobuf, "http/json": self.http_json}
        return of_protocol[protocol].value


_MEASURED: dict[Signal, _Measured] = {
    "traces": _Measured(
        OtelComponentTypeValues.OTLP_GRPC_SPAN_EXPORTER,
        OtelComponentTypeValues.OTLP_HTTP_SPAN_EXPORTER,
        OtelComponentTypeValues.OTLP_HTTP_JSON_SPAN_EXPORTER,
        create_otel_sdk_exporter_span_inflight,
        create_otel_sdk_exporter_span_exported,
    ),
    "metrics": _Measured(
        OtelComponentTypeValues.OTLP_GRPC_METRIC_EXPORTER,
        OtelComponentTypeValues.OTLP_HTTP_METRIC_EXPORTER,
        OtelComponentTypeValues.OTLP_HTTP_JSON_METRIC_EXPORTER,
        create_otel_sdk_exporter_metric_data_point_inflight,
        create_otel_sdk_exporter_metric_data_point_exported,
    ),
    "logs": _Measured(
        OtelComponentTypeValues.OTLP_GRPC_LOG_EXPORTER,
        OtelComponentTypeValues.OTLP_HTTP_LOG_EXPORTER,
        OtelComponentTypeValues.OTLP_HTTP_JSON_LOG_EXPORTER,
        create_otel_sdk_exporter_log_inflight,
        create_otel_sdk_exporter_log_exported,
    ),
}

_exporters_of_type: Counter[str] = Counter()


class ExporterMetrics:
    """``otel.sdk.exporter.*`` of an exporter, as long as this object lives."""

    def __init__(
        self, native: _native.OtlpExporter, signal: Signal, endpoint: str, meter_provider: MeterProvider | None
    ) -> None:
        self._native = native
        native.record_operations()
        self._changes = CounterChanges(self._counts())
        measured = _MEASURED[signal]
        component = measured.component_type(native.protocol)
        self._attributes: dict[str, Any] = {
            OTEL_COMPONENT_TYPE: component,
            OTEL_COMPONENT_NAME: f"{component}/{_exporters_of_type[component]}",
        }
        _exporters_of_type[component] += 1
        self._status_name = RPC_RESPONSE_STATUS_CODE if native.protocol == "grpc" else HTTP_RESPONSE_STATUS_CODE
        url = urlsplit(endpoint)
        # A socket has neither.
        if url.hostname:
            self._attributes[SERVER_ADDRESS] = url.hostname
            self._attributes[SERVER_PORT] = url.port or _default_port(native.protocol, url.scheme)
        meter = (meter_provider or get_meter_provider()).get_meter(METER)
        self._in_flight = measured.create_in_flight(meter)
        self._exported = measured.create_exported(meter)
        self._duration = create_otel_sdk_exporter_operation_duration(meter)
        record_on_collection(meter, self._attributes[OTEL_COMPONENT_NAME], self.record)

    def share_name(self, stock: Any) -> None:
        """The stock exporter's own metrics, for what it sends itself, are of the same component."""
        if hasattr(stock, "_standard_attrs"):
            stock._standard_attrs[OTEL_COMPONENT_NAME] = self._attributes[OTEL_COMPONENT_NAME]

    def record(self) -> None:
        """Records what has happened since the last call."""
        with self._changes.lock:
            changes = self._changes.since(self._counts())
            in_flight, exported, rejected, failed, dropped, _bytes = changes
            if any(changes):
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
            for seconds, error, status in self._native.take_operations():
                self._duration.record(seconds, self._with(error, status))

    def _counts(self) -> list[int]:
        counts = self._native.own_counts()
        return [counts[name] for name in ("in_flight", "exported", "rejected", "failed", "dropped", "bytes")]

    def _with(self, error: str | None, status: int | str | None = None) -> dict[str, Any]:
        attributes = self._attributes
        if error:
            attributes = {**attributes, ERROR_TYPE: error}
        if status is not None:
            attributes = {**attributes, self._status_name: status}
        return attributes


class CounterChanges:
    """By how much counters have changed since they were last recorded."""

    def __init__(self, values: Sequence[int]) -> None:
        self.lock = threading.Lock()
        self._values = values
        self._pid = os.getpid()
        _all_changes.add(self)

    def since(self, values: Sequence[int]) -> list[int]:
        """By how much each has changed since the last call. A forked child's counters start anew."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._values = [0] * len(values)
        changes = [now - before for now, before in zip(values, self._values, strict=True)]
        self._values = values
        return changes


_all_changes: weakref.WeakSet[CounterChanges] = weakref.WeakSet()


def _unlock() -> None:
    """In a forked child: the thread that has the lock may not be there."""
    for changes in list(_all_changes):
        changes.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def record_on_collection(meter: Meter, component: str, record: Callable[[], None]) -> None:
    """Calls ``record`` whenever metrics are collected, before they are read, as long as its object lives.

    By an instrument that never observes anything, so that none is exported. One with the name of a metric would not do:
    the SDK keeps the callbacks of the first instrument of a name only.
    """
    weak = weakref.WeakMethod(record)

    def observe(_options: CallbackOptions) -> Sequence[Observation]:
        if method := weak():
            method()
        return ()

    meter.create_observable_counter(f"otel_rs.{component.replace('/', '.')}", callbacks=[observe])


def _default_port(protocol: str, scheme: str) -> int:
    return 80 if protocol != "grpc" and scheme == "http" else 443
