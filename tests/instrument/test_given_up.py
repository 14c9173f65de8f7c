"""A request that is dropped before anybody waits for it, as where a signal's handler raises, has ended."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import gc
import otel_rs
otel_rs.install()
import httpx
from opentelemetry import context, trace
from opentelemetry.instrumentation import asgi as contrib, httpx as clients
from opentelemetry.instrumentation._semconv import _StabilityMode
from otel_rs.instrument import asgi, httpx as requests
from otel_rs.testing import Telemetry, span
telemetry = Telemetry().__enter__()

async def application(scope, receive, send):
    pass

before = context.get_current()
middleware = contrib.OpenTelemetryMiddleware(application)
parent = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"traceparent", parent)]}
request, awaitable = asgi._begin(middleware, scope, None, None)
assert context.get_current() != before
awaitable.close()
del request
assert context.get_current() == before

options = {
    "module": httpx, "tracer": trace.get_tracer("test"), "sem_conv_opt_in_mode": _StabilityMode.DEFAULT,
    "excluded_urls": None, "duration_histogram_old": None, "duration_histogram_new": None,
}
request = requests._begin((httpx.Request("GET", "http://shop.example/"),), options, ())
assert context.get_current() != before
try:
    raise ValueError("on its way")
except ValueError as error:
    del request
    assert str(error) == "on its way"
assert context.get_current() == before
assert telemetry.traces() == [
    span("GET /", kind="server", status="unset", events=[]),
    span("GET", kind="client", status="unset", events=[]),
]
"""


def test_a_request_that_is_dropped_has_ended() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ}, capture_output=True, text=True, timeout=60
    )
    assert (finished.returncode, finished.stderr) == (0, "")
