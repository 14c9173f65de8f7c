"""What is compared: everything but times of the run, and which of many measurements a reservoir keeps."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from opentelemetry.sdk.metrics import Exemplar, SimpleFixedSizeExemplarReservoir
from opentelemetry.sdk.metrics._internal.aggregation import _ExponentialBucketHistogramAggregation
from opentelemetry.sdk.metrics._internal.exemplar import exemplar_reservoir

from ..differential.differences import Rules

# Times: of the creation of a series, and of the collections one by one.
CREATED, FIRST_COLLECTION = 1, 1000


class Offered(list[Any]):
    """All measurements that were offered to a reservoir which keeps `size` of them."""

    size: int


@contextmanager
def without_ids_of_others() -> Iterator[None]:
    """docs/differences.md: an exemplar that was measured in no span has no ids, also in the place of one that had."""

    class Bucket(exemplar_reservoir.ExemplarBucket):
        def offer(self, *arguments: Any) -> None:
            super().__init__()
            super().offer(*arguments)

    with mock.patch.object(exemplar_reservoir, "ExemplarBucket", Bucket):
        yield


@contextmanager
def keeping_all_offers() -> Iterator[None]:
    """Stock reservoirs of fixed size keep everything.

    docs/differences.md: an exponential histogram that had no value of a sign grows wherever the first such value is;
    stock cannot.
    """

    def place(self: Any, *arguments: Any) -> int:
        self._measurements_seen += 1
        return int(self._measurements_seen - 1)

    of_upstream = SimpleFixedSizeExemplarReservoir.collect

    def collect(self: Any, attributes: Any) -> Any:
        offered = Offered(of_upstream(self, attributes))
        offered.size = self._size
        return offered

    merge_of_upstream = _ExponentialBucketHistogramAggregation._merge

    def merge(self: Any, previous: Any, current: Any, current_scale: int, scale: int, *arguments: Any) -> None:
        if len(previous) == 0 and len(current) > 0:
            change = current_scale - scale
            if (previous.index_start, previous.index_end) != (
                current.index_start >> change,
                current.index_end >> change,
            ):
                raise AssertionError("the first values of a sign come after the first collection")
        merge_of_upstream(self, previous, current, current_scale, scale, *arguments)

    with (
        mock.patch.object(_ExponentialBucketHistogramAggregation, "_merge", merge),
        mock.patch.object(SimpleFixedSizeExemplarReservoir, "_find_bucket_index", place),
        mock.patch.object(SimpleFixedSizeExemplarReservoir, "collect", collect, create=True),
        without_ids_of_others(),
    ):
        yield


@dataclass
class Exemplars:
    """Of one point. `size` is None if it is known which of the offered ones are kept."""

    shown: list[str]
    size: int | None = None

    def check(self, got: Exemplars) -> None:
        if self.size is None or len(self.shown) <= self.size:
            assert self.shown == got.shown
            return
        assert len(got.shown) == self.size
        strange = Counter(got.shown) - Counter(self.shown)
        assert not strange, f"{strange} was not offered: {self.shown}"


@dataclass
class Compared:
    without_exemplars: str
    exemplars: list[Exemplars] = field(default_factory=list)

    def shown(self) -> str:
        return self.without_exemplars

    def check_exemplars_of(self, got: Compared) -> None:
        assert len(self.exemplars) == len(got.exemplars)
        for ours, theirs in zip(self.exemplars, got.exemplars, strict=True):
            ours.check(theirs)


class Comparison:
    """Of one SDK: knows the times of earlier collections of each reader.

    `in_order`: the order of metrics in a request counts.
    """

    def __init__(self, in_order: bool = True) -> None:
        self._in_order = in_order
        # Of each reader: the collection that had a time.
        self._times: dict[int, dict[int, int]] = {}
        self._rules = Rules()

    def _time(self, reader: int, *times: int) -> int:
        """Of one collection."""
        known = self._times.setdefault(reader, {})
        number = known.get(times[0], len(set(known.values())))
        known.update(dict.fromkeys(times, number))
        return FIRST_COLLECTION + number

    def _start(self, reader: int, start: int | None, time: int) -> int | None:
        if not start:
            return start
        assert start <= time
        known = self._times.get(reader, {})
        return FIRST_COLLECTION + known[start] if start in known else CREATED

    # --- Upstream's objects ------------------------------------------------------------------------------------------

    def of_data(self, reader: int, data: Any) -> Compared:
        data, exemplars = self._cleaned(reader, data, keep=False)
        return Compared(repr(data).replace(", ", ",\n"), exemplars)

    def encoded(self, reader: int, data: Any, encode: Callable[[Any], Any]) -> Compared:
        if data is None:
            return Compared("None")
        cleaned, exemplars = self._cleaned(reader, data, keep=True)
        return self._of_cleaned_request(encode(cleaned), [of_point.size for of_point in exemplars])

    def _cleaned(self, reader: int, data: Any, keep: bool) -> tuple[Any, list[Exemplars]]:
        exemplars: list[Exemplars] = []
        if data is None:
            return None, exemplars
        (resource_metrics,) = data.resource_metrics
        scopes = [
            dataclasses.replace(
                scope, metrics=[self._metric(reader, metric, exemplars, keep) for metric in scope.metrics]
            )
            for scope in resource_metrics.scope_metrics
        ]
        resource = resource_metrics.resource if keep else resource_metrics.resource.to_json()
        cleaned = dataclasses.replace(resource_metrics, resource=resource, scope_metrics=scopes)
        return dataclasses.replace(data, resource_metrics=[cleaned]), exemplars

    def _metric(self, reader: int, metric: Any, exemplars: list[Exemplars], keep: bool) -> Any:
        assert type(metric.data.data_points) is list
        points = []
        for point in metric.data.data_points:
            kept = [self._exemplar(exemplar) for exemplar in point.exemplars]
            exemplars.append(Exemplars([repr(exemplar) for exemplar in kept], getattr(point.exemplars, "size", None)))
            points.append(
                dataclasses.replace(
                    point,
                    attributes=self._attributes(point.attributes),
                    start_time_unix_nano=self._start(reader, point.start_time_unix_nano, point.time_unix_nano),
                    time_unix_nano=self._time(reader, point.time_unix_nano),
                    exemplars=kept if keep else [],
                )
            )
        return dataclasses.replace(metric, data=dataclasses.replace(metric.data, data_points=points))

    def _exemplar(self, exemplar: Any) -> Any:
        filtered = exemplar.filtered_attributes
        filtered = None if filtered is None else self._attributes(filtered)
        # docs/differences.md: no ids instead of zeros.
        ids = (exemplar.trace_id, exemplar.span_id) if exemplar.trace_id and exemplar.span_id else (None, None)
        return Exemplar(filtered, exemplar.value, CREATED, ids[1], ids[0])

    def _attributes(self, attributes: Any) -> dict[str, Any]:
        assert type(attributes) is dict
        return {str.__str__(key): _plain(value) for key, value in self._rules.attributes(attributes, 0).items()}

    # --- Requests ----------------------------------------------------------------------------------------------------

    def of_request(self, reader: int, request: Any) -> Compared:
        if request is None:
            return Compared("None")
        points = points_of(request)
        if not self._in_order:
            # What Python collected for a native reader has a time of its own.
            self._time(reader, *(point.time_unix_nano for point in points))
        for point in points:
            start = self._start(reader, point.start_time_unix_nano, point.time_unix_nano)
            point.start_time_unix_nano = start or 0
            point.time_unix_nano = self._time(reader, point.time_unix_nano)
            for exemplar in point.exemplars:
                exemplar.time_unix_nano = CREATED
                if not any(exemplar.trace_id):
                    exemplar.trace_id = exemplar.span_id = b""
        return self._of_cleaned_request(request)

    def _of_cleaned_request(self, request: Any, reservoir_sizes: list[int | None] | None = None) -> Compared:
        sizes = iter(reservoir_sizes or [None] * len(points_of(request)))
        (resource_metrics,) = request.resource_metrics
        metrics = []
        for scope_metrics in resource_metrics.scope_metrics:
            scope = f"{scope_metrics.scope}{scope_metrics.schema_url}"
            for metric in scope_metrics.metrics:
                exemplars = []
                for point in _points_of_metric(metric):
                    exemplars.append(Exemplars([str(exemplar) for exemplar in point.exemplars], next(sizes)))
                    del point.exemplars[:]
                metrics.append((scope, str(metric), exemplars))
        if not self._in_order:
            metrics.sort(key=lambda shown: shown[:2])
        envelope = f"{resource_metrics.resource}{resource_metrics.schema_url}{len(resource_metrics.scope_metrics)}"
        shown = [envelope, *(f"{scope}\n{metric}" for scope, metric, _ in metrics)]
        return Compared("\n".join(shown), [of_point for *_, exemplars in metrics for of_point in exemplars])


def _plain(value: Any) -> Any:
    """docs/differences.md: reading gives values of plain types."""
    for kind in (bool, int, float, str, bytes):
        if isinstance(value, kind):
            return str.__str__(value) if kind is str else kind(value)
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def points_of(request: Any) -> list[Any]:
    return [
        point
        for resource_metrics in request.resource_metrics
        for scope_metrics in resource_metrics.scope_metrics
        for metric in scope_metrics.metrics
        for point in _points_of_metric(metric)
    ]


def _points_of_metric(metric: Any) -> list[Any]:
    return list(getattr(metric, metric.WhichOneof("data")).data_points)
