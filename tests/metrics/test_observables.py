"""Observable instruments: callbacks of all kinds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MetricsTimeoutError
from opentelemetry.sdk.trace import TracerProvider

from .conftest import Metering

pytestmark = pytest.mark.sanitize

Make = Callable[..., Metering]


def observing(*observations: tuple[Any, Any]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda options: [Observation(value, attributes) for value, attributes in observations]


def found(metering: Metering) -> list[Any]:
    return [(point.value, point.attributes) for point in metering.points()]


def test_several_callbacks_and_a_generator(either: Make) -> None:
    def generator() -> Iterator[Iterable[Observation]]:
        options = yield []
        for number in range(2):
            assert isinstance(options, CallbackOptions)
            options = yield [Observation(number, {"from": "generator"})]

    metering = either()
    metering.meter.create_observable_gauge("name", [observing((1, {"a": 1})), generator(), observing((2, {"a": 2}))])
    plain = [(1, {"a": 1}), (2, {"a": 2})]
    assert found(metering) == [plain[0], (0, {"from": "generator"}), plain[1]]
    assert sorted(found(metering), key=str) == sorted([*plain, (1, {"from": "generator"})], key=str)
    assert found(metering) == plain


def test_what_was_observed_last_counts_and_what_is_observed_no_more_is_gone(either: Make) -> None:
    values = [[(5, None), (7, None)], [], [(3, None)]]
    metering = either()
    metering.meter.create_observable_gauge("name", [lambda options: observing(*values.pop(0))(options)])
    assert found(metering) == [(7, {})]
    assert found(metering) == []
    assert found(metering) == [(3, {})]


def test_a_callback_that_raises_does_not_stop_the_others(either: Make, caplog: pytest.LogCaptureFixture) -> None:
    def raises(options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(1, {"before": True})
        raise ValueError("from the callback")

    metering = either()
    metering.meter.create_observable_counter("name", [raises, observing((2, None))])
    metering.meter.create_observable_counter("other", [observing((3, None))])
    assert found(metering) == [(1, {"before": True}), (2, {}), (3, {})]
    (record,) = caplog.records
    assert record.getMessage() == "Callback failed for instrument name."
    assert record.exc_info is not None


@pytest.mark.parametrize("observed", [None, 5, [5], [None], ["text"]], ids=repr)
def test_a_callback_that_gives_no_observations(either: Make, observed: Any, caplog: pytest.LogCaptureFixture) -> None:
    metering = either()
    metering.meter.create_observable_counter("name", [lambda options: observed, observing((2, None))])
    assert found(metering) == [(2, {})]
    assert "Callback failed for instrument name." in caplog.text


def test_a_value_that_is_not_finite_is_ignored(either: Make, caplog: pytest.LogCaptureFixture) -> None:
    metering = either()
    metering.meter.create_observable_counter("name", [observing((float("nan"), None), (1, None))])
    assert found(metering) == [(1, {})]
    assert "Callback returned a non-finite value nan for instrument name" in caplog.text


def test_a_bad_amount_ends_its_callback(either: Make, caplog: pytest.LogCaptureFixture) -> None:
    metering = either()
    metering.meter.create_observable_counter("name", [observing((1, {"a": 1}), ("5", None), (1, {"a": 2}))])
    assert found(metering) == [(1, {"a": 1})]
    assert "Callback failed" in caplog.text


def test_an_attribute_that_raises_costs_itself(metering: Make) -> None:
    class Raises:
        def __str__(self) -> str:
            raise ValueError("from __str__")

    meter = metering()
    meter.meter.create_observable_counter("name", [observing((1, {"a": Raises(), "b": 1}), (2, {"b": 2}))])
    assert found(meter) == [(1, {"b": 1}), (2, {"b": 2})]


def test_a_callback_that_measures_and_makes_spans(either: Make) -> None:
    metering = either(exemplar_filter=AlwaysOnExemplarFilter())
    counter = metering.meter.create_counter("counter")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("library")

    def callback(options: CallbackOptions) -> Iterable[Observation]:
        with tracer.start_as_current_span("span") as span:
            counter.add(1)
            ids.append(span.get_span_context().span_id)
            yield Observation(5)

    ids: list[int] = []
    metering.meter.create_observable_gauge("gauge", [callback])
    assert metering.values("counter") == [1]
    assert metering.values("counter") == [2]
    exemplars = [exemplar for point in metering.points("gauge") for exemplar in point.exemplars]
    assert [exemplar.span_id for exemplar in exemplars] == ids[-1:]


def test_a_callback_that_makes_instruments(metering: Make) -> None:
    meter = metering()

    def callback(options: CallbackOptions) -> Iterable[Observation]:
        meter.meter.create_counter("made").add(1)
        meter.meter.create_observable_gauge("observed", [observing((7, None))])
        yield Observation(5)

    meter.meter.create_observable_gauge("gauge", [callback])
    assert meter.values("gauge") == [5]
    assert (meter.values("made"), meter.values("observed")) == ([2], [7])


def test_a_callback_that_collects(metering: Make) -> None:
    meter = metering()
    inner: list[Any] = []

    def callback(options: CallbackOptions) -> Iterable[Observation]:
        if not inner:
            inner.append(None)
            meter.reader.collect()
        yield Observation(5)

    meter.meter.create_observable_gauge("gauge", [callback])
    assert meter.values("gauge") == [5]


def test_a_collection_that_takes_too_long_raises(either: Make) -> None:
    metering = either()

    def callback(options: CallbackOptions) -> Iterable[Observation]:
        deadline = time.monotonic() + options.timeout_millis / 1000
        while time.monotonic() <= deadline:
            time.sleep(0.001)
        return [Observation(1)]

    metering.meter.create_observable_gauge("slow", [callback])
    metering.meter.create_observable_gauge("other", [callback])
    with pytest.raises(MetricsTimeoutError):
        metering.reader.collect(timeout_millis=20)


def test_the_options_say_how_long_it_may_take(either: Make) -> None:
    metering = either()
    options: list[Any] = []
    metering.meter.create_observable_gauge("name", [lambda given: options.append(given) or [Observation(1)]])
    metering.reader.collect(timeout_millis=500)
    assert 0 < options[0].timeout_millis <= 500


def test_a_disabled_meter_calls_nothing(either: Make) -> None:
    from opentelemetry.sdk.metrics._internal import _MeterConfig

    called: list[Any] = []
    metering = either(_meter_configurator=lambda scope: _MeterConfig(is_enabled=scope.name != "off"))
    off = metering.provider.get_meter("off")
    off.create_observable_gauge("name", [lambda options: called.append(options) or []])
    off.create_counter("counter").add(1)
    metering.meter.create_counter("on").add(1)
    assert metering.values() == [1]
    assert not called
    # Later it is on.
    metering.provider._set_meter_configurator(meter_configurator=lambda scope: _MeterConfig(is_enabled=True))
    off.create_counter("counter").add(5)
    assert sorted(metering.values()) == [1, 5]
    assert called


def test_nothing_is_logged_of_good_callbacks(either: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    metering = either()
    metering.meter.create_observable_up_down_counter("name", [observing((-5, {"a": [1]}))])
    assert found(metering) == [(-5, {"a": (1,)})]
    assert not caplog.records
