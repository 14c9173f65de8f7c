"""What upstream's console exporter writes of native metrics."""

from __future__ import annotations

import io
import json
import math
import time
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

from .conftest import PROVIDERS


@pytest.mark.parametrize("kind", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_it_writes_points_and_their_exemplars(kind: Any) -> None:
    output = io.StringIO()
    reader = PeriodicExportingMetricReader(ConsoleMetricExporter(out=output), export_interval_millis=math.inf)
    provider = kind(metric_readers=[reader], exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False)
    began = time.time_ns()
    counter = provider.get_meter("library").create_counter("name", unit="unit", description="description")
    counter.add(1, {"a": "b"}, context=Context())
    provider.force_flush()
    provider.shutdown()
    (scope,) = json.loads(output.getvalue())["resource_metrics"][0]["scope_metrics"]
    (metric,) = scope["metrics"]
    (point,) = metric["data"].pop("data_points")
    (exemplar,) = point.pop("exemplars")
    assert began <= exemplar.pop("time_unix_nano") <= point.pop("time_unix_nano") <= time.time_ns()
    assert exemplar == {"filtered_attributes": {}, "value": 1, "span_id": None, "trace_id": None}
    assert began <= point.pop("start_time_unix_nano")
    assert point == {"attributes": {"a": "b"}, "value": 1}
    assert metric == {
        "name": "name",
        "unit": "unit",
        "description": "description",
        "data": {"aggregation_temporality": 2, "is_monotonic": True},
    }
