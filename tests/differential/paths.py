"""The paths of a program's spans to a collector: the stock SDK's path, and ours."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.http import OTLPSpanExporter

from ..support.receiver import HttpReceiver, started
from .differences import Rules, comparable
from .programs import Program
from .run import Place, Run, sampler

RESOURCE = Resource({"service.name": "differential"})
# Each round corrects at least one more place of the program.
MOST_ROUNDS = 50


def run(
    kind: type[Any], processor: Any, program: Program, corrected: frozenset[Place] = frozenset()
) -> dict[Place, str]:
    """Runs the program on a provider of that class; returns its exceptions by place."""
    deciding = sampler(program.sampler)
    provider = kind(
        shutdown_on_exit=False,
        resource=RESOURCE,
        sampler=deciding,
        span_limits=SpanLimits(**dict(program.limits)),
    )
    provider.add_span_processor(processor)
    of_run = Run(provider.get_tracer("library", "1.0", "https://schema", {"scope": True}), deciding, corrected)
    of_run.program(program)
    return of_run.raised


class Stock:
    """A program on the stock SDK, corrected at the places that raise there until nothing raises."""

    def __init__(self, program: Program) -> None:
        self.raised: dict[Place, str] = {}
        for _ in range(MOST_ROUNDS):
            memory = InMemorySpanExporter()
            raised = run(sdk.TracerProvider, SimpleSpanProcessor(memory), program, frozenset(self.raised))
            self.spans: tuple[ReadableSpan, ...] = memory.get_finished_spans()
            if raised.keys() <= self.raised.keys():
                return
            self.raised.update(raised)
        raise AssertionError(f"still raises after {MOST_ROUNDS} rounds: {raised}")


class Native:
    """Runs programs on otel-rs, and returns the spans that arrive."""

    def __init__(self, receiver: HttpReceiver) -> None:
        self._receiver = receiver
        self._exporter = OTLPSpanExporter(endpoint=receiver.endpoint)
        self._processor = BatchSpanProcessor(
            self._exporter, schedule_delay_millis=3_600_000, max_queue_size=100_000, max_export_batch_size=100_000
        )

    def arrived(self) -> ExportTraceServiceRequest:
        requests = [received.message for received in self._receiver.requests]
        self._receiver.requests.clear()
        if not requests:
            return ExportTraceServiceRequest()
        (request,) = requests
        return request

    def batch(self, program: Program) -> tuple[ExportTraceServiceRequest, dict[Place, str]]:
        """Native provider, native processor, native exporter."""
        raised = run(TracerProvider, self._processor, program)
        assert self._processor.force_flush()
        return self.arrived(), raised

    def read_back(self, program: Program) -> tuple[ExportTraceServiceRequest, dict[Place, str]]:
        """Native provider; Python code reads the ended spans, and the stock encoder encodes them."""
        memory = InMemorySpanExporter()
        raised = run(TracerProvider, SimpleSpanProcessor(memory), program)
        return Rules().expected(memory.get_finished_spans()), raised

    def stock_spans(self, program: Program) -> tuple[ExportTraceServiceRequest, dict[Place, str]]:
        """Stock provider; the native exporter exports its spans."""
        stock = Stock(program)
        if stock.spans:
            self._exporter.export(stock.spans)
        return self.arrived(), {}

    def close(self) -> None:
        self._processor.shutdown()


@contextmanager
def native() -> Iterator[Native]:
    for receiver in started(HttpReceiver):
        native = Native(receiver)
        yield native
        native.close()


Path = Callable[[Native, Program], tuple[ExportTraceServiceRequest, dict[Place, str]]]
PATHS: dict[str, Path] = {"batch": Native.batch, "read back": Native.read_back, "stock spans": Native.stock_spans}


def check(program: Program, native: Native, path: Path = Native.batch) -> set[str]:
    """Asserts that both SDKs send the same, except for the table of differences; returns the rows used."""
    stock, rules = Stock(program), Rules()
    expected = rules.expected(stock.spans)
    got, raised = path(native, program)
    new = {place: error for place, error in raised.items() if place not in stock.raised}
    assert not new, f"raises, but stock does not: {new}"
    lengths = [length for name, length in program.limits if name == "max_attribute_length"]
    longest = lengths[0] if lengths else None
    expected, got = comparable(expected, longest), comparable(got, longest)
    # Compares bytes, because NaN is not equal to itself; the text shows the difference.
    if expected.SerializeToString(deterministic=True) != got.SerializeToString(deterministic=True):
        lines = difflib.unified_diff(str(expected).split("\n"), str(got).split("\n"), "expected", "got", lineterm="")
        raise AssertionError("\n".join(["the messages differ", *(line[:300] for line in lines)]))
    return rules.applied
