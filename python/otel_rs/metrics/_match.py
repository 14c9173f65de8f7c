"""What a view makes of an instrument: upstream's class around a native stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from opentelemetry.metrics import Counter, ObservableCounter
from opentelemetry.sdk.metrics import (
    AlignedHistogramBucketExemplarReservoir,
    Exemplar,
    SimpleFixedSizeExemplarReservoir,
)
from opentelemetry.sdk.metrics._internal import aggregation as upstream
from opentelemetry.sdk.metrics._internal._view_instrument_match import _ViewInstrumentMatch
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.point import Buckets
from opentelemetry.sdk.metrics._internal.view import _default_reservoir_factory
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)
from opentelemetry.sdk.metrics.view import (
    DefaultAggregation,
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    LastValueAggregation,
    SumAggregation,
    View,
)

from otel_rs import _native
from otel_rs.metrics._instruments import is_synchronous

_MIN_SCALE, _MAX_SCALE = -10, 20

_OF_UPSTREAM = {
    kind._create_aggregation
    for kind in (
        DefaultAggregation,
        DropAggregation,
        ExplicitBucketHistogramAggregation,
        ExponentialBucketHistogramAggregation,
        LastValueAggregation,
        SumAggregation,
    )
}

Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint


@dataclass(eq=False, repr=False)
class StreamConfig:
    """What the native stream is made of."""

    name: str
    description: str
    unit: str
    aggregation: str
    is_monotonic: bool
    is_synchronous: bool
    temporality: int
    attribute_keys: list[str] | None
    max_series: int
    bounds: Sequence[float] = field(default_factory=tuple)
    max_size: int = 0
    max_scale: int = 0
    record_min_max: bool = True
    reservoir_size: int | None = 1


class NativeMatch(_ViewInstrumentMatch):
    """Has a native stream, or ``stream`` is None and it is upstream's."""

    stream: _native.Stream | None = None

    def __init__(
        self,
        view: View,
        instrument: Any,
        instrument_class_aggregation: Any,
        temporality: AggregationTemporality,
        consumer: _native.MeasurementConsumer,
        max_series: int,
        reader: _native.PeriodicReader | None,
        more_arguments: dict[str, Any],
    ) -> None:
        """``max_series`` with the one of what is beyond; ``reader`` is told of new series; ``more_arguments`` are
        upstream's."""
        super().__init__(view, instrument, instrument_class_aggregation, **more_arguments)
        config = self._config(temporality, max_series)
        if config is not None:
            self.stream = reader.stream(consumer, config) if reader else _native.Stream(consumer, config)
        self._consumer = consumer

    def handle_fork(self) -> None:
        """In a forked child, where another thread of the parent may have held the lock: no series yet, as natively."""
        self._lock = Lock()
        self._attributes_aggregation = {}
        # Of SDKs since 1.45.2: where the next delta begins.
        self._previous_collection_start_nanos = None

    def _config(self, temporality: AggregationTemporality, max_series: int) -> StreamConfig | None:
        """None for what only upstream's class can do."""
        instrument, view = self._instrument, self._view
        if view._exemplar_reservoir_factory is not _default_reservoir_factory:
            return None
        # One of the program's own may make another aggregation for each series.
        if type(self._wanted_aggregation())._create_aggregation not in _OF_UPSTREAM:
            return None
        particular = _of_aggregation(self._aggregation)
        if particular is None:
            return None
        keys = view._attribute_keys
        if keys is not None and not all(type(key) is str for key in keys):
            return None
        if particular["aggregation"] in ("explicit", "exponential") and not is_synchronous(instrument):
            return None
        return StreamConfig(
            name=self._name,
            description=self._description,
            unit=instrument.unit,
            is_monotonic=isinstance(instrument, Counter | ObservableCounter),
            is_synchronous=is_synchronous(instrument),
            temporality=int(temporality),
            attribute_keys=None if keys is None else list(keys),
            max_series=max_series,
            **particular,
        )

    def _wanted_aggregation(self) -> Any:
        """The view's, else what the reader prefers for the kind of instrument."""
        of_view = self._view._aggregation
        if not isinstance(of_view, DefaultAggregation):
            return of_view
        return self._instrument_class_aggregation[type(self._instrument)]

    def consume_measurement(self, measurement: Measurement, should_sample_exemplar: bool = True) -> None:
        if self.stream is None:
            super().consume_measurement(measurement, should_sample_exemplar)
            return
        self.stream.measure(
            self._consumer,
            measurement.value,
            measurement.attributes,
            measurement.context,
            measurement.time_unix_nano,
            should_sample_exemplar,
        )

    def collect(
        self, collection_aggregation_temporality: AggregationTemporality, collection_start_nanos: int
    ) -> Sequence[Any] | None:
        if self.stream is None:
            stock: Sequence[Any] | None = super().collect(collection_aggregation_temporality, collection_start_nanos)
            return stock
        points = self.stream.collect(collection_start_nanos)
        return [self._point(collection_start_nanos, *point) for point in points] or None

    def _point(
        self, time: int, attributes: dict[str, Any], exemplars: list[Any], start: int | None, *rest: Any
    ) -> Point:
        common: dict[str, Any] = {
            "attributes": attributes,
            "start_time_unix_nano": start,
            "time_unix_nano": time,
            "exemplars": [_exemplar(*exemplar) for exemplar in exemplars],
        }
        if isinstance(self._aggregation, upstream._ExplicitBucketHistogramAggregation):
            count, total, counts, minimum, maximum = rest
            return HistogramDataPoint(
                **common,
                count=count,
                sum=total,
                bucket_counts=counts,
                explicit_bounds=self._aggregation._boundaries,
                min=minimum,
                max=maximum,
            )
        if isinstance(self._aggregation, upstream._ExponentialBucketHistogramAggregation):
            count, total, scale, zeros, positive, negative, minimum, maximum = rest
            return ExponentialHistogramDataPoint(
                **common,
                count=count,
                sum=total,
                scale=scale,
                zero_count=zeros,
                positive=Buckets(*positive),
                negative=Buckets(*negative),
                flags=0,
                min=minimum,
                max=maximum,
            )
        return NumberDataPoint(**common, value=rest[0])


def _exemplar(filtered: Any, value: float, time: int, span_id: int | None, trace_id: int | None) -> Exemplar:
    return Exemplar(filtered, value, time, span_id, trace_id)


def _of_aggregation(aggregation: Any) -> dict[str, Any] | None:
    """What the native stream must know of the aggregation. None for one that is not upstream's own."""
    kind = type(aggregation)
    if kind is upstream._SumAggregation:
        return {"aggregation": "sum", **_reservoir(aggregation)}
    if kind is upstream._LastValueAggregation:
        return {"aggregation": "last value", **_reservoir(aggregation)}
    if kind is upstream._ExplicitBucketHistogramAggregation:
        return {
            "aggregation": "explicit",
            "bounds": aggregation._boundaries,
            "record_min_max": bool(aggregation._record_min_max),
            **_reservoir(aggregation),
        }
    if kind is upstream._ExponentialBucketHistogramAggregation:
        # Upstream's raises at each measurement and collection.
        if not _MIN_SCALE <= aggregation._max_scale <= _MAX_SCALE:
            raise ValueError(f"max_scale is from {_MIN_SCALE} to {_MAX_SCALE}, not {aggregation._max_scale}")
        return {
            "aggregation": "exponential",
            "max_size": aggregation._max_size,
            "max_scale": aggregation._max_scale,
            "record_min_max": bool(aggregation._record_min_max),
            **_reservoir(aggregation),
        }
    return None


def _reservoir(aggregation: Any) -> dict[str, Any]:
    reservoir = aggregation._reservoir
    if type(reservoir) is AlignedHistogramBucketExemplarReservoir:
        return {"reservoir_size": None}
    assert type(reservoir) is SimpleFixedSizeExemplarReservoir
    return {"reservoir_size": reservoir._size}
