"""Programs that run in their own process, with native processors, readers and exporters to the test's receiver."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from typing import Any

from ..support.program import run
from ..support.receiver import Receiver

# Runs a program's source; returns what it prints last.
Program = Callable[..., Any]

# The folder of this process's package, if it is not the installed one.
PACKAGE = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}

PRELUDE = '''
import ctypes, json, logging, os, resource, socket, sys, threading, time
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.logs import LoggerProvider
from otel_rs.logs.export import BatchLogRecordProcessor
from otel_rs.logs.instrumentation import LoggingHandler
from otel_rs.metrics import MeterProvider
from otel_rs.metrics.export import PeriodicExportingMetricReader
from otel_rs.exporter.otlp.grpc import OTLPLogExporter as GrpcLogExporter
from otel_rs.exporter.otlp.http import OTLPLogExporter as HttpLogExporter
from otel_rs.exporter.otlp.grpc import OTLPMetricExporter as GrpcMetricExporter
from otel_rs.exporter.otlp.http import OTLPMetricExporter as HttpMetricExporter
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter

libc = ctypes.CDLL(None)
REFUSE, HANG, LOOPBACK = range(3)

def shim(name, kind=ctypes.c_int):
    return kind.in_dll(libc, name)

lines = []

class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

logging.getLogger().addHandler(Lines())
endpoint, protocol = os.environ["ENDPOINT"], os.environ["PROTOCOL"]

def make(endpoint=endpoint, exporter={}, protocol=protocol, shutdown_on_exit=False, **settings):
    exporter = {"http": HttpSpanExporter, "grpc": GrpcSpanExporter}[protocol](endpoint, **exporter)
    processor = BatchSpanProcessor(exporter, **{"schedule_delay_millis": 3_600_000, **settings})
    provider = TracerProvider(shutdown_on_exit=shutdown_on_exit, resource=Resource({}))
    provider.add_span_processor(processor)
    return provider.get_tracer("test"), processor

def make_counter(endpoint=endpoint):
    exporter = {"http": HttpMetricExporter, "grpc": GrpcMetricExporter}[protocol](endpoint.replace("traces", "metrics"))
    reader = PeriodicExportingMetricReader(exporter, 3_600_000)
    provider = MeterProvider([reader], Resource({}), shutdown_on_exit=False)
    return provider.get_meter("test").create_counter("counter"), provider

def make_log(endpoint=endpoint, exporter={}, **settings):
    endpoint = endpoint.replace("traces", "logs")
    exporter = {"http": HttpLogExporter, "grpc": GrpcLogExporter}[protocol](endpoint, **exporter)
    processor = BatchLogRecordProcessor(exporter, **{"schedule_delay_millis": 3_600_000, **settings})
    provider = LoggerProvider(Resource({}), shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    log = logging.Logger("test")
    log.addHandler(LoggingHandler(logger_provider=provider))
    return log, processor

def log_lines(log, count=100):
    for number in range(count):
        log.info("line %d", number, extra={"another": [1, "two"]})

def end_spans(tracer, count=100, **attributes):
    for _ in range(count):
        with tracer.start_as_current_span("span", attributes=attributes) as span:
            span.set_attribute("another", [1, "two"])

plain = TracerProvider(shutdown_on_exit=False, resource=Resource({})).get_tracer("plain")

def assert_spans_stay_fast(tracer, count=1000):
    """Ends `count` spans; asserts that they take no longer than spans that are not exported."""
    times = {plain: [], tracer: []}
    for _ in range(count):
        for each in times:
            begun = time.perf_counter_ns()
            end_spans(each, 1)
            times[each].append(time.perf_counter_ns() - begun)
    baseline, here = (sorted(times[each]) for each in (plain, tracer))
    shown = [(taken[count // 2], taken[count * 99 // 100]) for taken in (baseline, here)]
    assert here[count // 2] < 3 * baseline[count // 2] + 5_000, shown
    assert here[count * 99 // 100] < 5 * baseline[count * 99 // 100] + 200_000, shown

def timed(call, *arguments):
    begun = time.monotonic()
    return call(*arguments), time.monotonic() - begun

def checked_counts(processor):
    counts = processor.counts()
    done = sum(counts[part] for part in ("exported", "rejected", "failed", "dropped"))
    assert counts["created"] == done + counts["pending"], counts
    return counts
'''


def program_for(receiver: Receiver) -> Program:
    """`program(source)` runs the source with the receiver's endpoint; returns what it prints last."""

    def program(source: str, **environment: str) -> Any:
        environment = {"ENDPOINT": receiver.endpoint, "PROTOCOL": receiver.protocol, **PACKAGE, **environment}
        done = run(PRELUDE + textwrap.dedent(source), **environment)
        assert done.stderr == ""
        return json.loads(done.stdout.splitlines()[-1])

    return program
