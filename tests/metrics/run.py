"""Runs a program on one of the SDKs."""

from __future__ import annotations

import decimal
import fractions
import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry import context, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics import SimpleFixedSizeExemplarReservoir
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    DefaultAggregation,
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    LastValueAggregation,
    SumAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, SpanContext, TraceFlags

from ..differential.values import Dropped, Pairs, Plain, Value, build, corrected
from . import programs

RESOURCE = Resource({"service.name": "differential"}, "https://schema/resource")
CLASSES: dict[str, Any] = {
    "counter": sdk.Counter,
    "up_down_counter": sdk.UpDownCounter,
    "histogram": sdk.Histogram,
    "gauge": sdk._Gauge,
    "observable_counter": sdk.ObservableCounter,
    "observable_up_down_counter": sdk.ObservableUpDownCounter,
    "observable_gauge": sdk.ObservableGauge,
}
VERBS = {"counter": "add", "up_down_counter": "add", "histogram": "record", "gauge": "set"}
AGGREGATIONS: dict[str, type[Aggregation]] = {
    "default": DefaultAggregation,
    "sum": SumAggregation,
    "last value": LastValueAggregation,
    "drop": DropAggregation,
    "explicit": ExplicitBucketHistogramAggregation,
    "exponential": ExponentialBucketHistogramAggregation,
}


class Whole(int):
    pass


class Real(float):
    pass


class Text(str):
    pass


class NumpyLike(float):
    """As `numpy.float64`: a float whose results are of its own class."""

    def __add__(self, other: Any) -> NumpyLike:
        return NumpyLike(float(self) + other)

    __radd__ = __add__


class Raises:
    def __float__(self) -> float:
        raise ValueError("from __float__")


ODD: dict[str, Any] = {
    "bool": True,
    "int subclass": Whole(3),
    "float subclass": Real(2.5),
    "numpy-like float": NumpyLike(1.25),
    "decimal": decimal.Decimal("1.5"),
    "negative decimal": decimal.Decimal("-2.5"),
    "fraction": fractions.Fraction(1, 3),
    "beyond 64 bits": 2**64,
    "negative beyond 64 bits": -(2**70),
    "beyond doubles": 10**400,
    "text": "5",
    "text subclass": Text("5"),
    "none": None,
    "list": [1],
    "raises": Raises(),
    "complex": 1 + 2j,
}


def amount(described: Any) -> Any:
    return described.value if isinstance(described, Plain) else ODD[described]


class Skipped(Exception):
    """The SDK refuses the amount: stock raises."""


def plain(value: Any) -> Any:
    """docs/differences.md: amounts become integers of 64 bits or doubles. Skipped if stock refuses it."""
    try:
        math.isfinite(value)
        if isinstance(value, int):
            value = int(value)
            return value if -(2**63) <= value < 2**63 else float(value)
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise Skipped from None


class OwnFilter(sdk.ExemplarFilter):
    def should_sample(self, value: Any, time_unix_nano: int, attributes: Any, context: Any) -> bool:
        return bool(value > 1)


FILTERS: dict[str, Callable[[], sdk.ExemplarFilter]] = {
    "on": sdk.AlwaysOnExemplarFilter,
    "off": sdk.AlwaysOffExemplarFilter,
    "trace": sdk.TraceBasedExemplarFilter,
    "own": OwnFilter,
}


class Collector(MetricReader):
    """Collects when asked to."""

    def __init__(self, temporality: Any, aggregation: Any) -> None:
        super().__init__(temporality, aggregation)
        self.data: Any = None

    def _receive_metrics(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self.data = metrics_data

    def collected(self) -> Any:
        self.data = None
        self.collect()
        return self.data

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


def aggregation(described: programs.Aggregation) -> Aggregation:
    made: Aggregation = AGGREGATIONS[described.kind](**dict(described.arguments))
    return made


def _reservoir_of(size: int) -> Any:
    return lambda kind: lambda **arguments: SimpleFixedSizeExemplarReservoir(size)


def view(described: programs.View) -> View:
    match = dict(described.match)
    if "instrument_type" in match:
        match["instrument_type"] = CLASSES[match["instrument_type"]]
    keys = described.attribute_keys
    return View(
        **match,
        **dict(described.change),
        attribute_keys=None if keys is None else set(keys),
        aggregation=aggregation(described.aggregation),
        exemplar_reservoir_factory=None if described.reservoir is None else _reservoir_of(described.reservoir),
    )


def preferences(described: programs.Reader) -> tuple[dict[type, Any], dict[type, Any]]:
    temporality = {
        CLASSES[kind]: AggregationTemporality.DELTA if kind in described.delta else AggregationTemporality.CUMULATIVE
        for kind in programs.KINDS
    }
    return temporality, {CLASSES[kind]: aggregation(chosen) for kind, chosen in described.aggregations}


def _span(sampled: bool, number: int) -> NonRecordingSpan:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return NonRecordingSpan(SpanContext(number << 64 | 7, number << 8 | 9, is_remote=False, trace_flags=flags))


class Run:
    """One program on one SDK. `is_stock`: gets the values that docs/differences.md makes of those it refuses."""

    def __init__(self, provider: Any, is_stock: bool) -> None:
        self.provider = provider
        self.is_stock = is_stock
        self.instruments: list[tuple[programs.Instrument, Any]] = []
        self.observed: dict[int, list[programs.Measured]] = {}

    def make(self, described: programs.Instrument) -> None:
        meter = self.provider.get_meter(described.meter, "1.0", f"https://schema/{described.meter}", {"of": "scope"})
        create = getattr(meter, f"create_{described.kind}")
        arguments: dict[str, Any] = {"unit": described.unit, "description": described.description}
        if described.kind == "histogram":
            arguments["explicit_bucket_boundaries_advisory"] = described.boundaries
        number = len(self.instruments)
        if described.kind in programs.OBSERVABLE:
            arguments["callbacks"] = [lambda options: self.observe(options, number)]
        self.instruments.append((described, create(described.name, **arguments)))

    def observe(self, options: CallbackOptions, number: int) -> Iterable[Observation]:
        for measured in self.observed.get(number, ()):
            try:
                value = self.value(measured.amount)
            except Skipped:
                # It ends the callback, in both SDKs.
                value = amount(measured.amount)
            yield Observation(value, self.attributes(measured.attributes), self.given(measured.span, number))

    def value(self, described: Any) -> Any:
        return plain(amount(described)) if self.is_stock else amount(described)

    def attributes(self, described: Value | None) -> Any:
        if described is None:
            return None
        if self.is_stock and isinstance(described, Pairs):
            described = corrected_attributes(described)
        return build(described, None)

    def given(self, span: str, number: int) -> context.Context | None:
        match span:
            case "given":
                return trace.set_span_in_context(_span(True, number + 40), context.Context())
            case "given empty":
                return context.Context()
            case "given none":
                return context.Context({"key": "without a span"})
        return None

    def measure(self, number: int, measured: programs.Measured) -> None:
        index = measured.instrument % len(self.instruments)
        described, instrument = self.instruments[index]
        if described.kind in programs.OBSERVABLE:
            self.observed.setdefault(index, []).append(measured)
            return
        try:
            value, attributes = self.value(measured.amount), self.attributes(measured.attributes)
        except Skipped:
            return
        token = self.attach(measured.span, number)
        try:
            getattr(instrument, VERBS[described.kind])(value, attributes, self.given(measured.span, number))
        finally:
            if token is not None:
                context.detach(token)

    @staticmethod
    def attach(span: str, number: int) -> Any:
        current: dict[str, Callable[[], Any]] = {
            "sampled": lambda: _span(True, number + 1),
            "given empty": lambda: _span(True, number + 1),
            "given none": lambda: _span(True, number + 1),
            "unsampled": lambda: _span(False, number + 1),
            "invalid": lambda: NonRecordingSpan(INVALID_SPAN_CONTEXT),
        }
        if span not in current:
            return None
        return context.attach(trace.set_span_in_context(current[span]()))


def corrected_attributes(described: Pairs) -> Pairs:
    """Without the pairs that raise in stock."""
    kept = []
    for pair in described.pairs:
        try:
            kept += corrected(Pairs((pair,))).pairs  # type: ignore[union-attr]
        except Dropped:
            continue
    return Pairs(tuple(kept), described.kind)


def run(
    kind: type[Any],
    program: programs.Program,
    reader_of: Callable[[Any, Any], MetricReader],
    collected: Callable[[int, Any], None],
    is_stock: bool,
) -> None:
    """Runs the program; `collected` gets the number of each reader and the reader, at each collection."""
    readers = [reader_of(*preferences(described)) for described in program.readers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        views = [view(described) for described in program.views]
    provider = kind(
        metric_readers=readers,
        resource=RESOURCE,
        exemplar_filter=FILTERS[program.exemplar_filter](),
        views=views,
        shutdown_on_exit=False,
    )
    of_run = Run(provider, is_stock)
    for instrument in program.instruments:
        of_run.make(instrument)
    for number, step in enumerate(program.steps):
        match step:
            case programs.Instrument():
                of_run.make(step)
            case programs.Measured():
                of_run.measure(number, step)
            case programs.Collect():
                collected(step.reader % len(readers), readers[step.reader % len(readers)])
    for number, reader in enumerate(readers):
        collected(number, reader)
