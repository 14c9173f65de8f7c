"""Providers for tests that ask both SDKs the same, and what they collect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_rs.metrics import MeterProvider

PROVIDERS = {"stock": sdk.MeterProvider, "native": MeterProvider}


class Metering:
    """A provider with a reader in memory."""

    def __init__(self, kind: type[Any], reader: InMemoryMetricReader | None = None, **arguments: Any) -> None:
        self.reader = reader or InMemoryMetricReader()
        self.provider = kind(metric_readers=[self.reader], shutdown_on_exit=False, **arguments)
        self.meter = self.provider.get_meter("library")

    def points(self, name: str | None = None) -> list[Any]:
        """The points of the next collection."""
        return [point for metric in self.metrics(name) for point in metric.data.data_points]

    def metrics(self, name: str | None = None) -> list[Any]:
        data: Any = self.reader.get_metrics_data()
        return [
            metric
            for resource_metrics in (data.resource_metrics if data else ())
            for scope_metrics in resource_metrics.scope_metrics
            for metric in scope_metrics.metrics
            if name is None or metric.name == name
        ]

    def values(self, name: str | None = None) -> list[Any]:
        return [getattr(point, "value", getattr(point, "sum", None)) for point in self.points(name)]


@pytest.fixture(name="metering")
def metering_fixture() -> Iterator[Callable[..., Metering]]:
    """Makes native providers, with `MeterProvider`'s arguments."""
    made: list[Metering] = []

    def make(**arguments: Any) -> Metering:
        made.append(Metering(MeterProvider, **arguments))
        return made[-1]

    yield make
    for each in made:
        each.provider.shutdown()


@pytest.fixture(name="either", params=PROVIDERS.values(), ids=PROVIDERS.keys())
def either_fixture(request: pytest.FixtureRequest) -> Iterator[Callable[..., Metering]]:
    """Makes providers of one SDK, then of the other: what the test says is true of both."""
    made: list[Metering] = []

    def make(**arguments: Any) -> Metering:
        made.append(Metering(request.param, **arguments))
        return made[-1]

    yield make
    for each in made:
        each.provider.shutdown()
