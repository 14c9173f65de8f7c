"""What native instrumentations measure with: our own instruments without a call of Python, any other by its method."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_rs import TracerProvider
from otel_rs.instrument._wsgi import CONVENTIONS
from otel_rs.metrics import MeterProvider

CONVENTION = CONVENTIONS[id(_StabilityMode.DEFAULT)]
ATTRIBUTES = {"http.method": "GET", "http.target": "/orders/7", "http.scheme": "http", "http.status_code": 200}
LABELS = {"http.method": "GET", "http.scheme": "http", "http.status_code": 200}


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def histogram(reader: InMemoryMetricReader) -> Any:
    return MeterProvider([reader], shutdown_on_exit=False).get_meter("test").create_histogram("duration")


def points(reader: InMemoryMetricReader) -> list[Any]:
    data: Any = reader.get_metrics_data()
    return list(data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points) if data else []


class Recorded:
    """In the place of an instrument, or of its method."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, dict[str, Any], Any]] = []

    def record(self, amount: Any, attributes: dict[str, Any], context: Any = None) -> None:
        self.calls.append((amount, attributes, context))


def test_a_span_is_the_exemplars(histogram: Any, reader: InMemoryMetricReader) -> None:
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("other"):
        span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("request")
        CONVENTION.record_duration(0.0125, ATTRIBUTES, histogram, None, span, "/orders/{id}")
    (point,) = points(reader)
    assert dict(point.attributes) == {**LABELS, "http.target": "/orders/{id}"}
    # Of 12.5 milliseconds, as Python rounds.
    assert point.sum == 12
    (exemplar,) = point.exemplars
    assert exemplar.span_id == span.get_span_context().span_id


def test_keys_that_python_code_has_made_count(histogram: Any, reader: InMemoryMetricReader) -> None:
    attributes = {"".join(key): value for key, value in ATTRIBUTES.items()}
    CONVENTION.record_duration(1.0, attributes, histogram)
    (point,) = points(reader)
    assert dict(point.attributes) == LABELS


def test_a_method_of_the_programs_own_is_called(histogram: Any, reader: InMemoryMetricReader) -> None:
    recorded = Recorded()
    # The class is known by then.
    CONVENTION.record_duration(1.0, ATTRIBUTES, histogram)
    histogram.record = recorded.record
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("request")
    CONVENTION.record_duration(1.0, ATTRIBUTES, histogram, None, span)
    ((amount, attributes, context),) = recorded.calls
    assert (amount, attributes) == (1000, LABELS)
    assert trace.get_current_span(context) is span
    (point,) = points(reader)
    assert point.count == 1


def test_a_method_of_the_class_is_called(
    histogram: Any, reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = Recorded()
    CONVENTION.record_duration(1.0, ATTRIBUTES, histogram)
    with monkeypatch.context() as patch:
        patch.setattr(type(histogram), "record", lambda _self, *arguments: recorded.record(*arguments))
        CONVENTION.record_duration(1.0, ATTRIBUTES, histogram)
    CONVENTION.record_duration(1.0, ATTRIBUTES, histogram)
    assert [attributes for _, attributes, _ in recorded.calls] == [LABELS]
    (point,) = points(reader)
    assert point.count == 2


def test_another_instrument_is_called() -> None:
    recorded = Recorded()
    CONVENTION.record_duration(1.0, ATTRIBUTES, recorded)
    assert recorded.calls == [(1000, LABELS, None)]
