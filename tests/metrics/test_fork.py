"""A forked child measures and collects for itself, whatever its parent's threads were doing."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import SimpleFixedSizeExemplarReservoir
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource

from otel_rs.metrics import MeterProvider

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning"),
]

DEADLINE_SECONDS = 20


class Reader(MetricReader):
    """Keeps what was collected, without a lock of its own."""

    data: MetricsData | None = None

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self.data = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass

    def sums(self) -> dict[str, int]:
        self.data = None
        self.collect()
        assert self.data is not None
        (resource,) = self.data.resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: metric.data.data_points[0].value for metric in scope.metrics}  # type: ignore[union-attr]


def test_a_child_that_is_forked_during_a_collection() -> None:
    reader = Reader()
    meter = MeterProvider([reader], Resource({}), shutdown_on_exit=False).get_meter("test")
    parent, collecting, go_on = os.getpid(), threading.Event(), threading.Event()

    def observe(options: CallbackOptions) -> list[Observation]:
        if os.getpid() == parent:
            collecting.set()
            go_on.wait(DEADLINE_SECONDS)
        return [Observation(1)]

    counter = meter.create_counter("counter")
    meter.create_observable_counter("observed", [observe])
    counter.add(5)
    thread = threading.Thread(target=reader.collect)
    thread.start()
    assert collecting.wait(DEADLINE_SECONDS)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(DEADLINE_SECONDS)  # kills a child that hangs
            counter.add(2)
            status = 0 if reader.sums() == {"counter": 2, "observed": 1} else 2
        finally:
            os._exit(status)
    go_on.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    counter.add(1)
    assert reader.sums() == {"counter": 6, "observed": 1}


def test_a_metric_of_upstreams_classes_is_counted_once() -> None:
    """A view that asks for a reservoir of the program's is not native."""
    reader = Reader()
    view = View(
        instrument_name="stock",
        exemplar_reservoir_factory=lambda kind: lambda **arguments: SimpleFixedSizeExemplarReservoir(2),
    )
    meter = MeterProvider([reader], Resource({}), shutdown_on_exit=False, views=[view]).get_meter("test")
    stock, native = meter.create_counter("stock"), meter.create_counter("native")
    for counter in (stock, native):
        counter.add(5)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for counter in (stock, native):
                counter.add(1)
            status = 0 if reader.sums() == {"stock": 1, "native": 1} else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert reader.sums() == {"stock": 5, "native": 5}


def test_a_child_that_a_callback_forks_goes_on_with_the_collection() -> None:
    """As the handler of a signal may, that arrives meanwhile."""
    reader = Reader()
    meter = MeterProvider([reader], Resource({}), shutdown_on_exit=False).get_meter("test")
    parent, children = os.getpid(), []

    def observe(options: CallbackOptions) -> list[Observation]:
        if os.getpid() == parent and not children:
            children.append(os.fork())
            if children[0] == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(DEADLINE_SECONDS)  # kills a child that hangs
        return [Observation(1)]

    counter = meter.create_counter("counter")
    meter.create_observable_counter("observed", [observe])
    counter.add(5)
    status = 1
    try:
        sums = reader.sums()
        if os.getpid() != parent:
            counter.add(2)
            status = 0 if (sums, reader.sums()) == ({"observed": 1}, {"counter": 2, "observed": 1}) else 2
    finally:
        if os.getpid() != parent:
            os._exit(status)
    assert os.waitpid(children[0], 0)[1] == 0
    assert sums == {"counter": 5, "observed": 1}
