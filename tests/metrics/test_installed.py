"""`install` exchanges the classes of the metrics SDK, and `uninstall` puts upstream's back."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import otel_rs
from otel_rs.metrics import Meter, MeterProvider


def values(reader: InMemoryMetricReader) -> list[Any]:
    data: Any = reader.get_metrics_data()
    return [point.value for point in data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points]


def test_install_and_uninstall() -> None:
    module = import_module("opentelemetry.sdk.metrics")
    upstream = module.MeterProvider
    assert not issubclass(upstream, MeterProvider)
    before = upstream(shutdown_on_exit=False)
    otel_rs.install()
    try:
        assert module.MeterProvider is MeterProvider
        assert module.Meter is Meter
        reader = InMemoryMetricReader()
        provider = module.MeterProvider([reader], shutdown_on_exit=False)
        counter = provider.get_meter("library").create_counter("name")
        counter.add(1)
        assert isinstance(counter, module.Counter)
    finally:
        otel_rs.uninstall()
    assert module.MeterProvider is upstream
    assert isinstance(before, module.MeterProvider)
    # Who has a native one keeps it.
    assert isinstance(provider, module.MeterProvider)
    counter.add(2)
    assert values(reader) == [3]
    provider.shutdown()
    before.shutdown()
