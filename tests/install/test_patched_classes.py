"""Classes of the API and the SDK that were replaced before the first span: the result may be an instance of any class,
or an error, but never corrupted memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import gc
import sys

import opentelemetry.context
import opentelemetry.trace
import otel_rs.trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

module, name, sampler = sys.argv[1:]
stock = opentelemetry.trace.SpanContext


class Other:
    def __new__(cls, *arguments, **named):
        return stock(*arguments, **named) if name == "SpanContext" else object.__new__(cls)


setattr(sys.modules[module], name, Other)
tracer = otel_rs.trace.TracerProvider(sampler={"on": ALWAYS_ON, "off": ALWAYS_OFF}[sampler]).get_tracer("patched")
spans = [tracer.start_span("span") for _ in range(100)]
try:
    with tracer.start_as_current_span("span") as span:
        span.get_span_context()
except Exception as error:
    print(error)
del spans
gc.collect()
"""


@pytest.mark.parametrize(
    ("module", "name", "sampler"),
    [
        ("otel_rs.trace", "Span", "on"),
        ("otel_rs.trace", "NonRecordingSpan", "off"),
        ("opentelemetry.context", "Context", "on"),
        ("opentelemetry.trace", "SpanContext", "on"),
    ],
)
def test_a_replaced_class_does_not_corrupt_memory(module: str, name: str, sampler: str) -> None:
    # Python's debug allocator detects writes beyond the end of an object at once.
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-c", PROGRAM, module, name, sampler]
    finished = subprocess.run(command, timeout=60, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
