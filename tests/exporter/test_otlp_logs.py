"""The OTLP log exporters over both protocols, compared with the stock exporters on the same records."""

from __future__ import annotations

import enum
import inspect
import logging
import logging.handlers
import queue
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as StockGrpc
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as StockHttp
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordDroppedAttributesWarning,
    LogRecordLimits,
    ReadableLogRecord,
    ReadWriteLogRecord,
)
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_rs.exporter.otlp.grpc import OTLPLogExporter as Grpc
from otel_rs.exporter.otlp.http import OTLPLogExporter as Http

from ..support.receiver import DEADLINE_SECONDS, GRPC_METHODS, Answer, HttpReceiver, wait_until

KINDS: dict[str, Any] = {"http": Http, "grpc": Grpc}
STOCK_KINDS: dict[str, Any] = {"http": StockHttp, "grpc": StockGrpc}
SUCCESS, FAILURE = LogRecordExportResult.SUCCESS, LogRecordExportResult.FAILURE
NOBODY = "http://127.0.0.1:1"

both_protocols = pytest.mark.parametrize("protocol", KINDS)

TRACE_ID, SPAN_ID = 89564621134313219400156819398935297684, 1312458408527513268
IN_SPAN = set_span_in_context(NonRecordingSpan(SpanContext(TRACE_ID, SPAN_ID, False, TraceFlags(0x01))))
RESOURCE = Resource({"service.name": "shop", "a": 1}, "https://example.com/resource")
SCOPE = InstrumentationScope("library", "1.2", "https://example.com/scope", {"one": 1, "two": "2"})


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """`make(receiver, ...)` creates an exporter that sends to the receiver, shut down after the test."""
    made = []

    def make(receiver: Any, kinds: dict[str, Any] = KINDS, **arguments: Any) -> Any:
        exporter = kinds[receiver.protocol](**{"endpoint": receiver.endpoint_of("logs"), **arguments})
        made.append(exporter)
        return exporter

    yield make
    for exporter in made:
        exporter.shutdown()


# --- Records ---------------------------------------------------------------------------------------------------------


def record(resource: Any = RESOURCE, scope: Any = SCOPE, limits: Any = None, **fields: Any) -> ReadWriteLogRecord:
    """A record as the SDK passes it to exporters: with limited and cleaned attributes."""
    fields = {
        "timestamp": 1644650195189786880,
        "observed_timestamp": 1644650195189786881,
        "context": IN_SPAN,
        "severity_text": "WARN",
        "severity_number": SeverityNumber.WARN,
        "body": "Do not go gentle into that good night.",
        "attributes": {"a": 1, "b": "c"},
        **fields,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LogRecordDroppedAttributesWarning)
        return ReadWriteLogRecord(LogRecord(**fields), resource, scope, limits or LogRecordLimits())


def plain(**fields: Any) -> ReadableLogRecord:
    """A record created by hand, with unchanged attributes."""
    made = LogRecord(timestamp=1, observed_timestamp=2, context=IN_SPAN)
    for name, value in fields.items():
        setattr(made, name, value)
    return ReadableLogRecord(made, RESOURCE, SCOPE)


class Named(str):
    pass


class Level(enum.IntEnum):
    HIGH = 3


class Lazy(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        return len(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["a", "bb"])

    def __len__(self) -> int:
        return 2


BODIES: dict[str, Any] = {
    "none": None,
    "text": "text",
    "empty text": "",
    "unicode": "größe 日本 \x00 🎉",
    "true": True,
    "false": False,
    "int": -(2**63),
    "zero": 0,
    "double": 2.5,
    "nan": float("nan"),
    "infinite": float("-inf"),
    "bytes": b"\x00\xff",
    "no bytes": b"",
    "bytearray": bytearray(b"ab"),
    "list": ["a", 1, None, 2.5, True, b"x"],
    "tuple": (1, 2),
    "empty list": [],
    "range": range(3),
    "nested lists": [[1, [2, [None]]], []],
    "mapping": {"error": None, "array with nones": [1, None, 2]},
    "empty mapping": {},
    "nested mappings": {"a": {"b": {"c": [{"d": 1}]}}, "": 1},
    "keys of other types": {1: "a", None: "b", 2.5: "c", False: "d", (1, 2): "e"},
    "mapping of another class": Lazy(),
    "subclass of str": Named("name"),
    "int enum": Level.HIGH,
    "large": "x" * 100_000,
}

CASES: dict[str, list[Any]] = {
    "basic": [record()],
    **{f"body: {name}": [record(body=body)] for name, body in BODIES.items()},
    "no scope": [record(scope=None)],
    "scope with a name alone": [record(scope=InstrumentationScope("name"))],
    "empty resource": [record(resource=Resource({}))],
    "resource with bytes": [record(resource=Resource({"service.name": "svc", "build.id": b"\x01\x02\x03"}))],
    "nested attributes": [record(attributes={"extended": {"sequence": [{"inner": "mapping", "none": None}]}})],
    "attributes of all types": [
        record(
            attributes={"b": False, "i": -3, "d": 2.5, "s": "x", "n": None, "y": b"\x00", "l": [1, "a", None], "t": ()}
        )
    ],
    "no attributes": [record(attributes=None), record(attributes={})],
    "dropped attributes": [record(limits=LogRecordLimits(max_attributes=1), attributes={"a": 1, "b": 2, "c": 3})],
    "cut attributes": [
        record(limits=LogRecordLimits(max_attribute_length=3), attributes={"a": "abcdef", "b": ["abcdef"]})
    ],
    "no span": [record(context=set_span_in_context(NonRecordingSpan(SpanContext(0, 0, False))))],
    "trace without span": [plain(span_id=0), plain(trace_id=0, trace_flags=TraceFlags(3))],
    "severities": [record(severity_number=number, severity_text=number.name) for number in SeverityNumber],
    "no severity": [record(severity_number=None, severity_text=None)],
    "event name": [record(event_name="device.app.lifecycle"), record(event_name="")],
    "no times": [record(timestamp=None, observed_timestamp=0), record(timestamp=2**64 - 1)],
    "exception": [record(exception=ValueError("boom"))],
    "several": [
        record(body="1"),
        record(body="2", scope=InstrumentationScope("other")),
        record(body="3", resource=Resource({"other": 1})),
        record(body="4"),
        record(body="5", scope=None),
        record(body="6", resource=Resource({"other": 1})),
    ],
    "equal scopes and resources": [
        record(
            resource=Resource({"service.name": "shop"}, "https://example.com/resource"),
            scope=InstrumentationScope("library", "1", "url", {"a": 1}),
        )
        for _ in range(3)
    ],
    "attributes as a plain mapping": [plain(attributes={"a": 1}), plain(attributes=Lazy()), plain(attributes=None)],
}


def canonical(message: Any) -> bytes:
    """Google's encoding of a message; unlike `==` it treats two NaNs as equal."""
    return message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", CASES)
def test_records_are_sent_as_the_stock_exporter_sends_them(receiver: Any, make: Any, name: str) -> None:
    for kinds in (STOCK_KINDS, KINDS):
        assert make(receiver, kinds).export(CASES[name]) is SUCCESS
    expected, sent = receiver.requests
    assert canonical(sent.message) == canonical(expected.message) == canonical(encode_logs(CASES[name]))
    assert sent.path == expected.path


def test_log_lines_of_programs_are_sent_as_the_stock_exporter_sends_them(receiver: Any, make: Any) -> None:
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider(Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    with sdk_trace.TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("parent"):
        for name in ("a", "b", "a"):
            logger = get_logger(name, "1", provider, "https://example.com")
            logger.emit(body={"text": name}, severity_number=SeverityNumber.INFO, attributes={"n": [1, 2]})
            logger.emit(event_name="event", exception=ValueError("boom"))
    logs = memory.get_finished_logs()
    assert len(logs) == 6
    assert make(receiver).export(logs) is SUCCESS
    assert canonical(receiver.requests[0].message) == canonical(encode_logs(logs))
    assert len({sent.trace_id for sent in receiver.log_records()}) == 1
    provider.shutdown()


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=20) | st.binary()
)
KEYS = st.text(max_size=5) | st.integers() | st.booleans() | st.none()


def values(keys: Any) -> Any:
    return st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=10
    )


RECORDS = st.builds(
    record,
    body=values(KEYS),
    attributes=st.dictionaries(st.text(min_size=1, max_size=8), values(st.text(min_size=1, max_size=5)), max_size=5),
    timestamp=st.none() | st.integers(0, 2**64 - 1),
    observed_timestamp=st.integers(0, 2**64 - 1),
    severity_text=st.none() | st.text(max_size=9),
    severity_number=st.none() | st.sampled_from(SeverityNumber),
    event_name=st.none() | st.text(max_size=9),
    scope=st.sampled_from([SCOPE, None, InstrumentationScope("other")]),
    resource=st.sampled_from([RESOURCE, Resource({})]),
)


@pytest.fixture(scope="module")
def shared() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def shared_exporter(shared: HttpReceiver) -> Iterator[Any]:
    exporter = Http(endpoint=shared.endpoint_of("logs"))
    yield exporter
    exporter.shutdown()


@given(records=st.lists(RECORDS, min_size=1, max_size=4))
def test_any_records_are_sent_as_the_stock_encoder_encodes_them(
    shared: Any, shared_exporter: Any, records: Any
) -> None:
    shared.requests.clear()
    assert shared_exporter.export(records) is SUCCESS
    assert canonical(shared.requests[0].message) == canonical(encode_logs(records))


# --- Values that the stock exporter cannot encode --------------------------------------------------------------------


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Thing:
    def __str__(self) -> str:
        return "a thing"


def body_of(sent: Any) -> Any:
    kind = sent.body.WhichOneof("value")
    return kind and getattr(sent.body, kind)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (10**30, str(10**30)),
        (Thing(), "a thing"),
        ({1, 2}, "{1, 2}"),
    ],
    ids=["large int", "object", "set"],
)
def test_a_body_of_any_type_is_sent(receiver: Any, make: Any, log: Any, body: Any, expected: Any) -> None:
    assert make(receiver).export([record(body=body)]) is SUCCESS
    (sent,) = receiver.log_records()
    assert body_of(sent) == expected
    assert log() == []


def test_lone_surrogates_are_replaced(receiver: Any, make: Any) -> None:
    odd = record(body={"a\ud800b": "\udcff"}, severity_text="\ud800", event_name="c\udfff")
    assert make(receiver).export([odd]) is SUCCESS
    (sent,) = receiver.log_records()
    (pair,) = sent.body.kvlist_value.values
    texts = [pair.key, pair.value.string_value, sent.severity_text, sent.event_name]
    assert texts == ["a\ufffdb", "\ufffd", "\ufffd", "c\ufffd"]


def test_objects_in_a_body_are_sent_as_their_text(receiver: Any, make: Any) -> None:
    assert make(receiver).export([record(body={"list": [Thing(), 1], Thing(): 2})]) is SUCCESS
    (sent,) = receiver.log_records()
    first, second = sent.body.kvlist_value.values
    assert first.value.array_value.values[0].string_value == "a thing"
    assert (second.key, second.value.int_value) == ("a thing", 2)


def test_a_body_that_contains_itself_is_cut(receiver: Any, make: Any) -> None:
    body: dict[str, Any] = {"a": 1}
    body["self"] = body
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    assert make(receiver).export([record(body=body), record(body=deep)]) is SUCCESS
    assert receiver.log_records()[0].body.kvlist_value.values[1].value.string_value == "..."


@pytest.mark.parametrize(
    "body",
    [Unprintable(), [Unprintable()], {"a": Unprintable()}, {Unprintable(): 1}],
    ids=["itself", "in a list", "in a mapping", "as a key"],
)
def test_a_body_that_cannot_be_encoded_is_dropped_and_logged(receiver: Any, make: Any, log: Any, body: Any) -> None:
    assert make(receiver).export([record(body=body), record(body="good")]) is SUCCESS
    (line,) = log()
    assert line == "A log record's body could not be encoded: RuntimeError: no text"
    first, second = receiver.log_records()
    assert (body_of(first), body_of(second)) == (None, "good")
    assert first.severity_text == "WARN"


def test_an_object_that_is_not_a_log_record_is_dropped_and_logged(receiver: Any, make: Any, log: Any) -> None:
    assert make(receiver).export([record(), "no record", None, record()]) is SUCCESS
    assert [line.partition(":")[0] for line in log()] == ["A log record could not be encoded"] * 2
    assert len(receiver.log_records()) == 2


@pytest.mark.parametrize("name", ["trace_id", "span_id"])
@pytest.mark.parametrize("value", [None, -1, 2**128, "1"])
def test_an_invalid_id_is_left_out(receiver: Any, make: Any, name: str, value: Any) -> None:
    assert make(receiver).export([plain(**{name: value, "body": "text"})]) is SUCCESS
    (sent,) = receiver.log_records()
    assert getattr(sent, name) == b""
    assert body_of(sent) == "text"


def test_fields_of_wrong_types_do_not_drop_the_record(receiver: Any, make: Any) -> None:
    odd = plain(severity_text=5, severity_number=9, event_name=Thing(), trace_flags=None, timestamp="now", body=1)
    assert make(receiver).export([odd]) is SUCCESS
    (sent,) = receiver.log_records()
    assert (sent.severity_text, sent.severity_number, sent.event_name) == ("5", 9, "a thing")
    assert (sent.flags, sent.time_unix_nano, body_of(sent)) == (0, 0, 1)


def test_an_attribute_that_cannot_be_encoded_is_dropped_and_logged(receiver: Any, make: Any, log: Any) -> None:
    assert make(receiver).export([plain(attributes={"bad": Unprintable(), "good": 1})]) is SUCCESS
    (sent,) = receiver.log_records()
    assert [attribute.key for attribute in sent.attributes] == ["good"]
    assert sent.dropped_attributes_count == 1
    assert any("`bad`" in line for line in log())


# --- The exporter's own log lines are not exported -------------------------------------------------------------------


@pytest.fixture
def logging_to(request: pytest.FixtureRequest) -> Iterator[Callable[..., LoggerProvider]]:
    """`logging_to(processor)` creates log records from all lines of Python's logging."""
    handlers, providers = [], []

    class Handler(logging.Handler):
        """Uses the logger's name as the scope's name, as upstream's handlers do."""

        def __init__(self, provider: LoggerProvider) -> None:
            super().__init__()
            self._provider = provider

        def emit(self, record: logging.LogRecord) -> None:
            get_logger(record.name, logger_provider=self._provider).emit(body=record.getMessage())

    def start(processor: Any, wrap: Callable[[logging.Handler], logging.Handler] = lambda handler: handler) -> Any:
        provider = LoggerProvider(Resource({}), shutdown_on_exit=False)
        provider.add_log_record_processor(processor)
        handler = wrap(Handler(provider))
        logging.getLogger("otel_rs").addHandler(handler)
        handlers.append(handler)
        providers.append(provider)
        return provider

    yield start
    for handler in handlers:
        logging.getLogger("otel_rs").removeHandler(handler)
    for provider in providers:
        provider.shutdown()


class Counting(LogRecordExporter):
    """Passes batches to another exporter and keeps their bodies."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self.bodies: list[list[Any]] = []

    def export(self, batch: Any) -> Any:
        self.bodies.append([record.log_record.body for record in batch])
        return self._exporter.export(batch)

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def refusals(receiver: Any, count: int) -> list[Answer]:
    return [Answer({"http": 400, "grpc": grpc.StatusCode.INVALID_ARGUMENT}[receiver.protocol])] * count


def test_the_log_line_of_a_failed_export_is_not_exported(receiver: Any, make: Any, logging_to: Any) -> None:
    receiver.answers = refusals(receiver, 100)
    exporter = Counting(make(receiver))
    provider = logging_to(BatchLogRecordProcessor(exporter, schedule_delay_millis=3_600_000))
    get_logger("app", logger_provider=provider).emit(body="from the app")
    for _ in range(5):
        assert provider.force_flush()
    # The line went to other handlers; its batch is empty without it, so there is no request.
    assert exporter.bodies[0] == ["from the app"]
    assert [body.partition(":")[0] for (body,) in exporter.bodies[1:]] == ["Failed to export 1 log records"]
    assert [body_of(sent) for sent in receiver.log_records()] == ["from the app"]
    assert len(receiver.requests) == 1


def test_a_failed_export_of_a_simple_processor_does_not_repeat(receiver: Any, make: Any, logging_to: Any) -> None:
    receiver.answers = refusals(receiver, 100)
    provider = logging_to(SimpleLogRecordProcessor(make(receiver)))
    for _ in range(3):
        get_logger("app", logger_provider=provider).emit(body="from the app")
    assert [body_of(sent) for sent in receiver.log_records()] == ["from the app"] * 3


def test_our_log_lines_are_recognized_after_a_queue_and_another_thread(
    receiver: Any, make: Any, logging_to: Any
) -> None:
    receiver.answers = refusals(receiver, 100)
    exporter = Counting(make(receiver))
    waiting: queue.Queue[Any] = queue.Queue()
    listeners = []

    def by_queue(handler: logging.Handler) -> logging.Handler:
        listeners.append(logging.handlers.QueueListener(waiting, handler))
        listeners[0].start()
        return logging.handlers.QueueHandler(waiting)

    provider = logging_to(BatchLogRecordProcessor(exporter, schedule_delay_millis=3_600_000), by_queue)
    get_logger("app", logger_provider=provider).emit(body="from the app")
    provider.force_flush()
    listeners[0].stop()
    provider.force_flush()
    assert len(exporter.bodies) == 2
    assert [body_of(sent) for sent in receiver.log_records()] == ["from the app"]


def test_the_log_line_about_a_bad_record_is_not_exported(receiver: Any, make: Any, logging_to: Any) -> None:
    provider = logging_to(SimpleLogRecordProcessor(make(receiver)))
    get_logger("app", logger_provider=provider).emit(body=Unprintable())
    assert len(receiver.log_records()) == 1


def test_a_shut_down_exporter_logs_once_per_batch_of_the_application(
    receiver: Any, make: Any, logging_to: Any, log: Any
) -> None:
    exporter = make(receiver)
    provider = logging_to(BatchLogRecordProcessor(exporter, schedule_delay_millis=3_600_000))
    exporter.shutdown()
    get_logger("app", logger_provider=provider).emit(body="from the app")
    for _ in range(5):
        provider.force_flush()
    assert log() == ["Exporter already shutdown, ignoring batch"]


def test_our_other_log_lines_are_exported(receiver: Any, make: Any, logging_to: Any) -> None:
    provider = logging_to(SimpleLogRecordProcessor(make(receiver)))
    logging.getLogger("otel_rs.trace").warning("an attribute is odd")
    logging.getLogger("otel_rs.export").error("Failed to export spans")
    provider.force_flush()
    assert [body_of(sent) for sent in receiver.log_records()] == ["an attribute is odd", "Failed to export spans"]


PROGRAM = """
import logging, sys, time
from opentelemetry._logs import get_logger
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from otel_rs.exporter.otlp.{protocol} import OTLPLogExporter

class Handler(logging.Handler):
    def emit(self, record):
        get_logger(record.name, logger_provider=provider).emit(body=record.getMessage())

provider = LoggerProvider(shutdown_on_exit=True)
exporter = OTLPLogExporter(sys.argv[1], timeout=0.2)
provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=50))
logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.DEBUG, stream=sys.stdout)
logging.getLogger().addHandler(Handler())
logging.getLogger("app").warning("from the app")
time.sleep(1)
"""


@both_protocols
def test_a_program_that_cannot_export_logs_it_once(protocol: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(protocol=protocol), NOBODY],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    first, second = done.stdout.splitlines()
    assert first == "WARNING app from the app"
    assert second.startswith("ERROR otel_rs.export.logs Failed to export 1 log records: ")
    assert done.stderr == ""


# --- Settings and results --------------------------------------------------------------------------------------------


@both_protocols
def test_parameters_are_those_of_the_stock_exporter(protocol: str) -> None:
    def parameters(kind: type[Any]) -> list[Any]:
        return [
            (parameter.name, parameter.kind)
            for parameter in inspect.signature(kind).parameters.values()
            if not parameter.name.startswith("_")
        ]

    own = {"http": [("protocol", inspect.Parameter.KEYWORD_ONLY)], "grpc": []}[protocol]
    assert parameters(KINDS[protocol]) == parameters(STOCK_KINDS[protocol]) + own


@both_protocols
def test_it_is_a_log_record_exporter(protocol: str) -> None:
    exporter = KINDS[protocol]()
    assert isinstance(exporter, LogRecordExporter)
    assert exporter.force_flush() is True
    assert exporter.force_flush(timeout_millis=5) is True
    exporter.shutdown()


@pytest.mark.parametrize("signal", ["LOGS_", ""])
def test_the_signals_variables_override_the_general_ones(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, signal: str
) -> None:
    for other in ("TRACES_", "METRICS_", *([""] if signal else [])):
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{other}ENDPOINT", NOBODY)
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{other}HEADERS", "x-a=other")
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{other}TIMEOUT", "1")
    endpoint = receiver.endpoint_of("logs") if signal else receiver.base
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT", endpoint)
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}HEADERS", "x-a=mine")
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}TIMEOUT", "7")
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}COMPRESSION", "gzip")
    exporter = KINDS[receiver.protocol]()
    assert exporter.export([record()]) is SUCCESS
    (request,) = receiver.requests
    assert request.headers["x-a"] == "mine"
    assert request.path == {"http": "/v1/logs", "grpc": GRPC_METHODS["logs"]}[receiver.protocol]
    if receiver.protocol == "http":
        assert request.headers["content-encoding"] == "gzip"
    assert len(receiver.log_records()) == 1
    exporter.shutdown()
    assert (exporter._timeout if receiver.protocol == "grpc" else exporter._client._timeout) == 7


def test_a_batch_processor_exports_by_itself(receiver: Any, make: Any) -> None:
    provider = LoggerProvider(Resource({}), shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(make(receiver), schedule_delay_millis=3_600_000))
    logger = get_logger("app", logger_provider=provider)
    for number in range(700):
        logger.emit(body=number)
    provider.shutdown()
    assert [body_of(sent) for sent in receiver.log_records()] == list(range(700))


@pytest.mark.parametrize("shape", [list, tuple, iter], ids=lambda shape: shape.__name__)
def test_any_sequence_of_records_is_accepted(receiver: Any, make: Any, shape: Any) -> None:
    assert make(receiver).export(shape([record(), record()])) is SUCCESS
    assert len(receiver.log_records()) == 2


def test_an_export_without_records_sends_no_request(receiver: Any, make: Any) -> None:
    assert make(receiver).export([]) is SUCCESS
    assert receiver.requests == []


def test_rejected_records_are_logged(receiver: Any, make: Any, log: Any) -> None:
    partial = ExportLogsPartialSuccess(rejected_log_records=2, error_message="too old")
    status = {"http": 200, "grpc": grpc.StatusCode.OK}[receiver.protocol]
    receiver.answers = [Answer(status, body=ExportLogsServiceResponse(partial_success=partial).SerializeToString())]
    assert make(receiver).export([record(), record(), record()]) is SUCCESS
    assert log() == ["The receiver rejected 2 of 3 log records: too old"]


def test_after_shutdown_nothing_is_sent(receiver: Any, make: Any, log: Any) -> None:
    lines = []
    for kinds in (STOCK_KINDS, KINDS):
        exporter = kinds[receiver.protocol](endpoint=receiver.endpoint_of("logs"))
        assert exporter.shutdown() is None
        log()
        assert exporter.export([record()]) is FAILURE
        exporter.shutdown()
        lines.append(log())
    assert lines[0] == lines[1]
    assert receiver.requests == []


def test_a_request_that_is_too_large_is_dropped_and_logged(http_receiver: Any, make: Any, log: Any) -> None:
    size = encode_logs([record()]).ByteSize()
    assert make(http_receiver, max_request_size=size).export([record()]) is SUCCESS
    assert make(http_receiver, max_request_size=size - 1).export([record()]) is FAILURE
    assert log() == [f"Dropping logs batch: serialized size {size} bytes exceeds max_request_size {size - 1} bytes."]
    assert len(http_receiver.requests) == 1


def test_an_export_ends_at_the_timeout(receiver: Any, make: Any) -> None:
    receiver.fall_silent()
    started = time.monotonic()
    assert make(receiver, timeout=0.2).export([record()]) is FAILURE
    assert 0.15 < time.monotonic() - started < 10


def test_other_threads_run_during_an_export(receiver: Any, make: Any) -> None:
    receiver.fall_silent()
    exporter = make(receiver, timeout=2)
    exporting = threading.Thread(target=exporter.export, args=([record()],))
    exporting.start()
    wait_until(lambda: receiver.requests, "the export runs")
    assert exporting.is_alive()
    exporting.join(DEADLINE_SECONDS)
