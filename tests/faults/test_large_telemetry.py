"""Extremely large, long or deep telemetry: it arrives, or it is counted and logged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_rs.exporter.otlp.grpc import OTLPLogExporter as GrpcLogExporter
from otel_rs.exporter.otlp.http import OTLPLogExporter as HttpLogExporter
from otel_rs.logs import LoggerProvider
from otel_rs.logs.export import BatchLogRecordProcessor

from ..support.receiver import Answer, GrpcReceiver, HttpReceiver, Receiver, started
from .programs import Program, program_for

MB = 1_000_000
UNLIMITED = SpanLimits(
    max_span_attributes=SpanLimits.UNSET, max_events=SpanLimits.UNSET, max_event_attributes=SpanLimits.UNSET
)


def processor_of(provider: Any) -> Any:
    (processor,) = provider._active_span_processor._span_processors
    return processor


def checked_counts(processor: Any) -> dict[str, int]:
    counts = processor.counts()
    done = sum(counts[part] for part in ("exported", "rejected", "failed", "dropped"))
    assert (counts["created"], counts["pending"]) == (done, 0)
    return counts


def texts(span: Any) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in span.attributes}


# --- Spans of 10 kB --------------------------------------------------------------------------------------------------


def test_spans_of_10_kb_arrive_at_full_speed(receiver: Any, provider_to: Any) -> None:
    """Twenty times as many bytes as the queue holds by default."""
    attributes = {f"attribute.number.{number}": "x" * 80 for number in range(100)}
    provider = provider_to(receiver, {"schedule_delay_millis": 50})
    tracer = provider.get_tracer("test")
    spans = 3_000
    for _ in range(spans):
        tracer.start_span("span", attributes=attributes).end()
    assert provider.force_flush()
    counts = checked_counts(processor_of(provider))
    assert counts["exported"] == spans
    arrived = receiver.spans()
    assert len(arrived) == spans
    assert all(span.ByteSize() > 9_900 for span in arrived)
    assert texts(arrived[-1]) == attributes


# --- Attributes of 10 MB ---------------------------------------------------------------------------------------------


LARGE: dict[str, Any] = {
    "text": "x" * 10 * MB,
    "text in two bytes": "é" * 5 * MB,
    "texts": ["x" * MB] * 10,
    "bytes": b"x" * 10 * MB,
}


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("limit", [None, 1000])
def test_an_attribute_of_10_mb_arrives_as_the_stock_sdk_has_it(
    http_receiver: Any, provider_to: Any, exporter_to: Any, monkeypatch: Any, value: Any, limit: int | None
) -> None:
    if limit:
        monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(limit))
    provider = provider_to(http_receiver)
    stock = sdk.TracerProvider(shutdown_on_exit=False)
    for each in (provider, stock):
        with each.get_tracer("test").start_as_current_span("span", attributes={"large": value}) as span:
            span.set_attribute("again", value)
    assert provider.force_flush()
    assert checked_counts(processor_of(provider))["exported"] == 1
    # The stock span, sent by our exporter.
    assert exporter_to(http_receiver).export([span]).name == "SUCCESS"
    native, expected = http_receiver.spans()
    assert list(native.attributes) == list(expected.attributes)
    assert native.ByteSize() > 20 * MB or limit


def test_an_attribute_of_10_mb_that_a_receiver_refuses_is_logged(
    grpc_receiver: Any, provider_to: Any, log: Any
) -> None:
    provider = provider_to(grpc_receiver)
    tracer = provider.get_tracer("test")
    for name in ("before", "large", "after"):
        tracer.start_span(name, attributes={"text": "x" * (10 * MB if name == "large" else 10)}).end()
    assert provider.force_flush()
    counts = checked_counts(processor_of(provider))
    assert (counts["exported"], counts["dropped"]) == (2, 1)
    assert sorted(span.name for span in grpc_receiver.spans()) == ["after", "before"]
    (line,) = [line for line in log() if "Dropping" in line]
    assert line.startswith('Dropping the span "large" of 100000')


def test_log_records_of_10_mb_arrive_or_are_logged_and_counted(receiver: Any, log: Any) -> None:
    """A gRPC server accepts 4 MiB by default, and the queue's 64 MiB hold six of them."""
    exporter = {"http": HttpLogExporter, "grpc": GrpcLogExporter}[receiver.protocol](receiver.endpoint_of("logs"))
    processor = BatchLogRecordProcessor(exporter, schedule_delay_millis=3_600_000)
    provider = LoggerProvider(Resource({}), shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("test")
    logger.emit(body="before")
    for number in range(6):
        logger.emit(body=f"{number}" + "x" * 10 * MB)
    logger.emit(body="after")
    assert provider.force_flush()
    counts = checked_counts(processor)
    provider.shutdown()
    large = 6 if receiver.protocol == "http" else 0
    assert (counts["created"], counts["exported"]) == (8, 2 + large)
    assert sorted(len(record.body.string_value) for record in receiver.log_records()) == [5, 6] + [10 * MB + 1] * large
    dropped = [line for line in log() if line.startswith("Dropping the log record of 100000")]
    assert bool(dropped) is (receiver.protocol == "grpc")


def test_large_attributes_beyond_the_queue_limit_are_counted(http_receiver: Any, provider_to: Any) -> None:
    """The queue's 64 MiB hold six of them, and two more may be in running exports."""
    http_receiver.answers = [Answer(503)] * 2
    provider = provider_to(http_receiver)
    tracer = provider.get_tracer("test")
    for number in range(20):
        tracer.start_span(f"{number}", attributes={"text": "x" * 10 * MB}).end()
    assert provider.force_flush()
    counts = checked_counts(processor_of(provider))
    assert 0 < counts["dropped"] <= 20 - 6
    assert counts["created"] == counts["exported"] + counts["dropped"] == 20
    assert len({span.span_id for span in http_receiver.spans()}) == counts["exported"] >= 6


# --- 100,000 attributes ----------------------------------------------------------------------------------------------


MANY = 100_000


def at_the_start(tracer: Any, attributes: dict[str, int]) -> Any:
    return tracer.start_span("span", attributes=attributes)


def one_by_one(tracer: Any, attributes: dict[str, int]) -> Any:
    span = tracer.start_span("span")
    for key, value in attributes.items():
        span.set_attribute(key, value)
    return span


def overwriting(tracer: Any, attributes: dict[str, int]) -> Any:
    span = tracer.start_span("span", attributes=dict.fromkeys(attributes, "before"))
    span.set_attributes(attributes)
    return span


def in_an_event(tracer: Any, attributes: dict[str, int]) -> Any:
    span = tracer.start_span("span")
    span.add_event("event", attributes, 1)
    return span


@pytest.mark.parametrize("write", [at_the_start, one_by_one, overwriting, in_an_event])
def test_a_span_with_100_000_attributes_arrives_in_good_time(
    http_receiver: Any, exporter_to: Any, provider_to: Any, write: Callable[..., Any]
) -> None:
    attributes = {f"key {number}": number for number in range(MANY)}
    provider = provider_to(http_receiver, span_limits=UNLIMITED)
    stock = sdk.TracerProvider(shutdown_on_exit=False, span_limits=UNLIMITED)
    took = []
    for each in (stock, provider):
        begun = time.thread_time()
        span = write(each.get_tracer("test"), attributes)
        span.end()
        took.append(time.thread_time() - begun)
        if each is stock:
            assert exporter_to(http_receiver).export([span]).name == "SUCCESS"
    assert provider.force_flush()
    expected, native = http_receiver.spans()
    of = list(expected.events[0].attributes if write is in_an_event else expected.attributes)
    assert len(of) == MANY
    assert list(native.events[0].attributes if write is in_an_event else native.attributes) == of
    print(f"stock {took[0]:.3f} s, native {took[1]:.3f} s")
    # No step takes time that grows with the square of their number.
    assert took[1] < 2 * took[0] + 0.1


# --- A trace of a million spans --------------------------------------------------------------------------------------


class Counting(Receiver):
    """Does not keep spans, only their number, their ids, and their origin."""

    pause = 0.0

    def __init__(self) -> None:
        self.counted = 0
        self.origins: set[tuple[bytes, bytes]] = set()
        self.ids: set[bytes] = set()
        super().__init__()

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        self._stopping.wait(self.pause)
        request = ExportTraceServiceRequest.FromString(body)
        spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
        with self._lock:
            self.counted += len(spans)
            self.ids.update(span.span_id for span in spans)
            self.origins.update((span.trace_id, span.parent_span_id) for span in spans[:1])
        return None


class SlowHttp(Counting, HttpReceiver):
    pause = 0.1


class CountingGrpc(Counting, GrpcReceiver):
    pass


@pytest.fixture
def counting(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from started(request.param)


@pytest.mark.parametrize(
    ("counting", "max_queue_size"),
    [(SlowHttp, 20_000), (CountingGrpc, 1_000_000)],
    ids=["more than may wait, http", "all may wait, grpc"],
    indirect=["counting"],
)
def test_a_trace_of_a_million_spans_has_exact_counts(
    counting: Any, provider_to: Any, monkeypatch: Any, max_queue_size: int
) -> None:
    spans = 1_000_000
    monkeypatch.setenv("OTEL_RS_BSP_MAX_QUEUE_BYTES", str(2**30))
    settings = {"max_queue_size": max_queue_size, "schedule_delay_millis": 100, "max_export_batch_size": 8192}
    provider = provider_to(counting, settings)
    tracer = provider.get_tracer("test")
    parent = SpanContext(0x1234, 0x5678, True, TraceFlags(1))
    context = set_span_in_context(NonRecordingSpan(parent))
    for _ in range(spans):
        tracer.start_span("span", context).end()
    assert provider.force_flush(60_000)
    counts = checked_counts(processor_of(provider))
    assert counts["created"] == spans == counts["exported"] + counts["dropped"]
    assert counts["exported"] == counting.counted == len(counting.ids)
    assert counting.origins == {(parent.trace_id.to_bytes(16, "big"), parent.span_id.to_bytes(8, "big"))}
    assert (counts["dropped"] > 0) == (max_queue_size < spans)


# --- Depth -----------------------------------------------------------------------------------------------------------


DEEP = """
import traceback
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

DEPTH = 10_000
sys.setrecursionlimit(10 * DEPTH)
tracer, processor = make(max_queue_size=100_000)
stock_memory = InMemorySpanExporter()
stock_provider = sdk.TracerProvider(shutdown_on_exit=False, resource=Resource({}))
stock_provider.add_span_processor(SimpleSpanProcessor(stock_memory))
stock = stock_provider.get_tracer("test")

def finish(**found):
    assert processor.force_flush()
    print(json.dumps([checked_counts(processor), found]))

def survives(call):
    try:
        return call()
    except RecursionError:
        return None
"""


@pytest.fixture
def deep(http_receiver: HttpReceiver) -> Program:
    program = program_for(http_receiver)
    return lambda source: program(DEEP + source)


NESTED = {
    "with": """
def nest(tracer, depth):
    with tracer.start_as_current_span(f"level {depth}"):
        if depth < DEPTH:
            nest(tracer, depth + 1)
""",
    "decorator": """
def nest(tracer, depth):
    @tracer.start_as_current_span(f"level {depth}")
    def inside():
        if depth < DEPTH:
            nest(tracer, depth + 1)
    inside()
""",
}


@pytest.mark.parametrize("nest", NESTED.values(), ids=NESTED)
def test_10_000_nested_spans(deep: Program, http_receiver: Any, nest: str) -> None:
    counts, _ = deep(f"{nest}\nnest(stock, 1)\nnest(tracer, 1)\nfinish()")
    assert counts["exported"] == 10_000
    spans = {span.name: span for span in http_receiver.spans()}
    assert len(spans) == 10_000
    for level in range(2, 10_001):
        assert spans[f"level {level}"].parent_span_id == spans[f"level {level - 1}"].span_id


@pytest.mark.parametrize("wrap", ["[value]", "(value,)", "{'key': value}"], ids=["list", "tuple", "mapping"])
def test_values_10_000_levels_deep(deep: Program, http_receiver: Any, wrap: str) -> None:
    counts, _ = deep(f"""
value = 1
for _ in range(DEPTH):
    value = {wrap}
with tracer.start_as_current_span("span", attributes={{"start": value}}) as span:
    span.set_attribute("set", value)
    span.set_attributes({{"many": value}})
    span.add_event("event", {{"event": value}})
    repr(span.attributes)
finish()
""")
    assert counts["exported"] == 1
    (span,) = http_receiver.spans()
    assert {attribute.key for attribute in span.attributes} == {"start", "set", "many"}
    for attribute in (*span.attributes, *span.events[0].attributes):
        assert '"..."' in str(attribute.value)


RAISED = {
    # Uses two functions, because Python abbreviates repeated lines in tracebacks.
    "a traceback of 10,000 frames": """
def one(depth):
    other(depth - 1)

def other(depth):
    if depth <= 0:
        raise ValueError("deep")
    one(depth - 1)

def fail():
    one(DEPTH)
""",
    "a chain of 10,000 causes": """
def fail():
    error = None
    for number in range(DEPTH):
        after = ValueError(number)
        after.__cause__, error = error, after
    raise error
""",
    # The time of Python's own `traceback` grows with the square of this number.
    "a chain of 1,000 contexts": """
def fail():
    error = None
    for number in range(1000):
        after = ValueError(number)
        after.__context__, error = error, after
    raise error
""",
}


@pytest.mark.parametrize("raised", RAISED.values(), ids=RAISED)
def test_deep_exceptions_are_recorded_as_in_the_stock_sdk(deep: Program, http_receiver: Any, raised: str) -> None:
    counts, found = deep(f"""{raised}
def run(tracer):
    try:
        with tracer.start_as_current_span("span") as span:
            try:
                fail()
            except BaseException as error:
                span.record_exception(error)
                raise
    except BaseException as error:
        return type(error).__name__

raised = [run(stock), run(tracer)]
(span,) = stock_memory.get_finished_spans()
finish(raised=raised, stacktraces=[event.attributes["exception.stacktrace"] for event in span.events])
""")
    assert counts["exported"] == 1
    raised_by_stock, raised_by_us = found["raised"]
    assert raised_by_us == raised_by_stock
    (span,) = http_receiver.spans()
    recorded, left = (texts(event)["exception.stacktrace"] for event in span.events)
    recorded_by_stock, left_by_stock = found["stacktraces"]
    assert recorded == recorded_by_stock
    # The stock SDK's traceback also contains the frames of its own block.
    assert left.splitlines()[-1] == left_by_stock.splitlines()[-1]
    assert len(left) >= len(recorded)
