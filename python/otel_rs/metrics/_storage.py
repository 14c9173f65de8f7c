"""What one reader collects: upstream's storage with native streams in it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import RLock
from time import time_ns
from typing import Any

from opentelemetry.metrics import Counter, ObservableCounter
from opentelemetry.sdk.metrics._internal import aggregation as upstream
from opentelemetry.sdk.metrics._internal.metric_reader_storage import _DEFAULT_VIEW, MetricReaderStorage
from opentelemetry.sdk.metrics.export import AggregationTemporality, ExponentialHistogram, Gauge, Histogram, Metric, Sum
from opentelemetry.sdk.metrics.view import DefaultAggregation

from otel_rs import _native
from otel_rs.metrics._instruments import is_synchronous, upstream_class
from otel_rs.metrics._match import NativeMatch
from otel_rs.metrics._reader import PeriodicExportingMetricReader

_logger = logging.getLogger(__name__)

NO_LIMIT = 1 << 62
# As upstream's.
_DEFAULT_LIMIT = 2000


class _ByUpstreamClass(dict[type, Any]):
    """A reader's preferences, which it has by upstream's classes of instruments."""

    def __missing__(self, kind: type) -> Any:
        for base in kind.__mro__:
            if base in self:
                return self[base]
        raise KeyError(kind)


def _by_upstream_class(preferences: Any) -> Any:
    # A reader may have something of its own.
    return _ByUpstreamClass(preferences) if isinstance(preferences, dict) else preferences


class ReaderStorage(MetricReaderStorage):
    def __init__(self, sdk_config: Any, reader: Any, consumer: Any, max_series: int) -> None:
        temporality, aggregation = reader._instrument_class_temporality, reader._instrument_class_aggregation
        super().__init__(sdk_config, _by_upstream_class(temporality), _by_upstream_class(aggregation))
        # SDKs before 1.45.2 have no limits.
        self._limits: dict[type, int] | None = getattr(reader, "_instrument_class_cardinality_limit", None)
        self._consumer = consumer
        self._reader = reader
        self._max_series = max_series

    @property
    def native(self) -> _native.PeriodicReader | None:
        """What collects the native streams, if that is not Python."""
        return self._reader.native if isinstance(self._reader, PeriodicExportingMetricReader) else None

    def handle_fork(self) -> None:
        self._lock = RLock()
        of_instruments: list[Any] = list(self._instrument_view_instrument_matches.values())
        for match in (match for matches in of_instruments for match in matches):
            match.handle_fork()
        self.register_streams()

    def register_streams(self) -> None:
        """Those there are, with the resource as it is now, for the native reader."""
        if (native := self.native) is None:
            return
        with self._lock:
            snapshot: list[tuple[Any, Any]] = list(self._instrument_view_instrument_matches.items())
            native.replace(
                self._sdk_config.resource,
                [
                    (instrument.instrumentation_scope, match.stream)
                    for instrument, matches in snapshot
                    for match in matches
                    if _is_collected_apart(instrument, match)
                ],
            )

    def _register(self, instrument: Any, matches: list[Any]) -> None:
        if (native := self.native) is None:
            return
        for match in matches:
            if _is_collected_apart(instrument, match):
                native.add(self._sdk_config.resource, instrument.instrumentation_scope, match.stream)
            elif _kind_of(match._aggregation) is not None:
                self._reader.collect_in_python()

    def matches_of(self, instrument: Any) -> list[NativeMatch]:
        """One for each view of the instrument, or for the default one."""
        matches: list[NativeMatch] = self._get_or_init_view_instrument_match(instrument)
        return matches

    def _get_or_init_view_instrument_match(self, instrument: Any) -> list[Any]:
        known = self._instrument_view_instrument_matches
        if instrument in known:
            return known[instrument]
        with self._lock:
            if instrument not in known:
                matches: list[Any] = []
                self._handle_view_instrument_match(instrument, matches)
                known[instrument] = matches or [*self._matches_of_view(_DEFAULT_VIEW, instrument)]
                self._register(instrument, known[instrument])
            return known[instrument]

    def _handle_view_instrument_match(self, instrument: Any, view_instrument_matches: list[Any]) -> None:
        for view in self._sdk_config.views:
            if not view._match(instrument) or not self._check_view_instrument_compatibility(view, instrument):
                continue
            for match in self._matches_of_view(view, instrument):
                self._warn_of_conflicts(match)
                view_instrument_matches.append(match)

    def _warn_of_conflicts(self, match: NativeMatch) -> None:
        for existing in (other for others in self._instrument_view_instrument_matches.values() for other in others):
            if existing.conflicts(match):
                _logger.warning(
                    "Views %s and %s will cause conflicting metrics identities", existing._view, match._view
                )

    def _matches_of_view(self, view: Any, instrument: Any) -> list[NativeMatch]:
        """One, or none if the view asks for what cannot be made: then it counts as if it were not there."""
        try:
            return [self._match(view, instrument)]
        except Exception as error:
            if self._prefers_the_default_now(instrument):
                return self._matches_of_view(view, instrument)
            _logger.warning("View %s is not applied to instrument %s: %r", view, instrument.name, error)
            return []

    def _prefers_the_default_now(self, instrument: Any) -> bool:
        """Whether what the reader preferred for this kind of instruments cannot be made, and is preferred no more."""
        kind, preferred = upstream_class(instrument), self._instrument_class_aggregation
        if type(preferred[kind]) is DefaultAggregation:
            return False
        try:
            self._match(_DEFAULT_VIEW, instrument)
        except Exception as error:
            message = "The aggregation %r that a reader prefers for %s is not used, but the default one: %r"
            _logger.warning(message, preferred[kind], kind.__name__.lstrip("_"), error)
            preferred[kind] = DefaultAggregation()
            return True
        return False

    def _match(self, view: Any, instrument: Any) -> NativeMatch:
        kind = upstream_class(instrument)
        temporality = self._instrument_class_temporality[kind]
        max_series, arguments = self._max_series, {}
        if self._limits is not None:
            limit = view._aggregation_cardinality_limit
            # The program's setting counts in the place of the SDK's default.
            if limit is None and (max_series == NO_LIMIT or self._limits.get(kind) != _DEFAULT_LIMIT):
                limit = self._limits.get(kind, _DEFAULT_LIMIT)
            resets = temporality is AggregationTemporality.DELTA and is_synchronous(instrument)
            arguments = {"cardinality_limit": limit or max_series, "reset_on_collect": resets}
            # Series of deltas stay where they are at a collection: a limit for each collection would count old ones.
            if limit is not None and not resets:
                max_series = limit + 1
        return NativeMatch(
            view,
            instrument,
            self._instrument_class_aggregation,
            temporality,
            self._consumer,
            max_series,
            self.native,
            arguments,
        )

    def collect_natively(self) -> _native.Collection | None:
        """What `collect` finds, for a native exporter. None if there is nothing."""
        collection = self._collection(lambda instrument, match: True)
        return collection if collection else None

    def collect_stock(self) -> _native.Collection:
        """What the native reader does not collect."""
        return self._collection(lambda instrument, match: not _is_collected_apart(instrument, match))

    def _collection(self, is_wanted: Callable[[Any, NativeMatch], bool]) -> _native.Collection:
        now = time_ns()
        collection = _native.Collection(self._sdk_config.resource)
        with self._lock:
            snapshot: list[tuple[Any, Any]] = list(self._instrument_view_instrument_matches.items())
            for instrument, matches in snapshot:
                for match in matches:
                    if not is_wanted(instrument, match):
                        continue
                    if match.stream is not None:
                        match.stream.collect_into(collection, instrument.instrumentation_scope, now)
                    else:
                        metric = self._stock_metric(instrument, match, now)
                        if metric is not None:
                            collection.add_metric(instrument.instrumentation_scope, metric)
        return collection

    def _stock_metric(self, instrument: Any, match: NativeMatch, now: int) -> Metric | None:
        """The metric of a stream that is not native, as upstream's `collect` makes it."""
        temporality = self._instrument_class_temporality[upstream_class(instrument)]
        points: Any = match.collect(temporality, now)
        kind = _kind_of(match._aggregation)
        if points is None or kind is None:
            return None
        if kind is Gauge:
            data: Any = Gauge(points)
        elif kind is Sum:
            data = Sum(points, temporality, isinstance(instrument, Counter | ObservableCounter))
        else:
            data = kind(points, temporality)
        return Metric(match._name, match._description, instrument.unit, data)


def _is_collected_apart(instrument: Any, match: NativeMatch) -> bool:
    """Whether a native reader collects it at any time. What callbacks observe is collected with the call: what is
    observed twice before a collection adds up."""
    return match.stream is not None and is_synchronous(instrument)


def _kind_of(aggregation: Any) -> Any:
    """None for what drops all measurements."""
    for base, kind in _KINDS.items():
        if isinstance(aggregation, base):
            return kind
    return None


_KINDS = {
    upstream._SumAggregation: Sum,
    upstream._LastValueAggregation: Gauge,
    upstream._ExplicitBucketHistogramAggregation: Histogram,
    upstream._ExponentialBucketHistogramAggregation: ExponentialHistogram,
}
