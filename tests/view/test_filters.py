"""Which traces, log records and metrics `otel-rs view` shows."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..support.viewer import DEADLINE, posix_only, post, started

pytestmark = posix_only

MILLISECOND = 1_000_000


def traces() -> bytes:
    """Of each service a trace; that of `shop` goes on in `mail`."""
    request = ExportTraceServiceRequest()
    for service, trace, name, parent, milliseconds, code in (
        ("shop", 1, "GET /Orders", b"", 300, 1),
        ("mail", 1, "send", b"1" * 8, 20, 2),
        ("jobs", 2, "nightly", b"", 2500, 0),
    ):
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        span = resource.scope_spans.add().spans.add(name=name, trace_id=bytes([trace]) * 16, parent_span_id=parent)
        span.span_id = b"2" * 8 if parent else b"1" * 8
        span.end_time_unix_nano = milliseconds * MILLISECOND
        span.status.code = code
    return request.SerializeToString()


def logs() -> bytes:
    request = ExportLogsServiceRequest()
    for service, severity in (("shop", 9), ("jobs", 17)):
        resource = request.resource_logs.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        record = resource.scope_logs.add().log_records.add(severity_number=severity)
        record.body.string_value = "text"
    return request.SerializeToString()


def metrics() -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    resource.scope_metrics.add().metrics.add(name="m").gauge.data_points.add(as_int=1)
    return request.SerializeToString()


ALL = {"trace shop", "trace jobs", "logs shop", "logs jobs", "metric shop"}
FILTERS = {
    "": ALL,
    "--service shop": {"trace shop", "logs shop", "metric shop"},
    "--service mail": {"trace shop"},
    "--service sho": set(),
    "--name get": {"trace shop"},
    "--min-duration 20": {"trace shop", "trace jobs"},
    "--min-duration 301ms": {"trace jobs"},
    "--min-duration 2.5s": {"trace jobs"},
    "--min-duration 2500001us": set(),
    "--errors": {"trace shop", "logs jobs"},
    "--service shop --errors": set(),
    "--service mail --name SEND --min-duration 20ms --errors": {"trace shop"},
}


@pytest.mark.parametrize("options", FILTERS)
def test_what_is_shown(options: str) -> None:
    with started(*options.split()) as (view, url):
        for name, body in (("traces", traces()), ("logs", logs()), ("metrics", metrics())):
            post(f"{url}/v1/{name}", body)
        assert view.end() == 0
        lines = view.out.rest()
    shown = set()
    for line in lines:
        if match := re.match(r"(trace|logs|metric)\b.*?  (\w+)", line):
            shown.add(" ".join(match.groups()))
    assert shown == FILTERS[options]
    if "trace shop" in shown:
        # A trace is whole, though one span alone meets what was asked for.
        assert any("send  [mail]" in line for line in lines)


@pytest.mark.parametrize("duration", ["", "x", "-1", "1h", "1e3", "99999999999999999999"])
def test_a_duration_that_is_none_prints_the_usage(duration: str) -> None:
    command = [sys.executable, "-m", "otel_rs", "view", f"--min-duration={duration}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(f"{duration!r} is no duration; 250, 250ms and 1.5s are")


@pytest.mark.parametrize("shape", ["--json", "--web=0"])
def test_what_shows_everything_takes_no_filter(shape: str) -> None:
    command = [sys.executable, "-m", "otel_rs", "view", shape, "--errors"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("otel-rs view: --json and --web show everything")
