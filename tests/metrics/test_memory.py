"""Attributes of measurements that memory has no room for: they are counted together, and the application goes on."""

from __future__ import annotations

import sys

import pytest

from ..support.interpreter import has_c_allocator
from ..support.traced_program import run

pytestmark = [
    has_c_allocator,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the address space cannot be limited so"),
]

# Small things come from one heap that has some megabytes to spare, large ones from the system.
HEAP = {"MALLOC_ARENA_MAX": "1", "MALLOC_TOP_PAD_": "4194304", "PYTHONMALLOC": "malloc"}

LIMITED = """
import json, os, resource
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View
from otel_rs.metrics import MeterProvider

reader = InMemoryMetricReader()
views = [View(instrument_name="viewed", attribute_keys={"small"})]
provider = MeterProvider([reader], exemplar_filter=AlwaysOnExemplarFilter(), views=views, shutdown_on_exit=False)
meter = provider.get_meter("test")
# A histogram's exemplars are the last measurements of its buckets.
name = os.environ["TEST_NAME"]
measure = meter.create_histogram(name).record if name == "viewed" else meter.create_counter(name).add
measure(1, {"small": 1})
text = "x" * 30_000_000
attributes = {"small": 1, "large": [text] if os.environ["TEST_KIND"] == "sequence" else text}
with open("/proc/self/statm") as statm:
    used = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000, resource.RLIM_INFINITY))
measure(2, attributes)
measure(4, {"small": 1})
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
(metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
points = [[getattr(point, 'value', None) or point.sum, sorted(point.attributes)] for point in metric.data.data_points]
exemplars = [exemplar.value for point in metric.data.data_points for exemplar in point.exemplars]
os.write(1, json.dumps({"points": points, "exemplars": exemplars}).encode() + b"\\n")
"""

# A text is taken where it is; a sequence is encoded first, and cannot be: then the measurement has the others.
KINDS = {"text": [[5, ["small"]], [2, ["otel.metric.overflow"]]], "sequence": [[7, ["small"]]]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_measurement_whose_attributes_do_not_fit_into_memory_is_counted(kind: str) -> None:
    ended = run(LIMITED, prelude="", TEST_NAME="whole", TEST_KIND=kind, **HEAP)
    assert ended.code == 0, ended.stderr[-2000:]
    assert ended.fact("points") == KINDS[kind]


def test_an_exemplar_whose_attributes_do_not_fit_into_memory_is_none() -> None:
    ended = run(LIMITED, prelude="", TEST_NAME="viewed", TEST_KIND="text", **HEAP)
    assert ended.code == 0, ended.stderr[-2000:]
    assert ended.fact("points") == [[7, ["small"]]]
    assert ended.fact("exemplars") == [4]
