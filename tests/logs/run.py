"""Runs a program on one of the SDKs, and says what a collector would get."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from opentelemetry import context, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.instrumentation.logging import handler as instrumentation
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, SpanContext, TraceFlags

from otel_rs import logs
from otel_rs.exporter.otlp.http import OTLPLogExporter
from otel_rs.logs import instrumentation as native_instrumentation
from otel_rs.logs.export import BatchLogRecordProcessor

from ..differential.differences import Rules
from ..differential.values import Pairs, build
from ..metrics.run import corrected_attributes
from ..support.receiver import HttpReceiver
from .programs import Emit, Log, Program

RESOURCE = Resource({"service.name": "differential"}, "https://schema/resource")
HANDLERS: dict[str, dict[str, Any]] = {
    "stock": {"sdk": sdk.LoggingHandler, "instrumentation": instrumentation.LoggingHandler},
    "native": {"sdk": logs.LoggingHandler, "instrumentation": native_instrumentation.LoggingHandler},
}

# Times near the current time belong to this run.
_NOW = range(1_700_000_000_000_000_000, 4_000_000_000_000_000_000)
_LINE = re.compile(r'  File ".*\n(?:    .*\n)*')


class OwnError(Exception):
    def __str__(self) -> str:
        return "own text"


def _raise(kind: str) -> None:
    match kind:
        case "message":
            raise ValueError("message")
        case "no arguments":
            raise KeyError
        case "number":
            raise RuntimeError(5)
        case "own class":
            raise OwnError("argument", 2)
        case "group of arguments":
            raise OSError(2, "No such file", "/nowhere")
        case "chained":
            try:
                raise ValueError("first")
            except ValueError as error:
                raise TypeError("second") from error


def exception_info(kind: str | None) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
    if kind is None:
        return None
    try:
        _raise(kind)
    except Exception:
        return sys.exc_info()  # type: ignore[return-value]
    return None


def _span(flags: int, number: int) -> NonRecordingSpan:
    return NonRecordingSpan(
        SpanContext(number << 64 | 7, number << 8 | 9, is_remote=False, trace_flags=TraceFlags(flags))
    )


CURRENT: dict[str, Callable[[int], Any]] = {
    "sampled": lambda number: _span(1, number),
    "unsampled": lambda number: _span(0, number),
    "invalid": lambda number: NonRecordingSpan(INVALID_SPAN_CONTEXT),
    "given": lambda number: _span(1, number),
    "given empty": lambda number: _span(1, number),
    "given none": lambda number: _span(1, number),
}
GIVEN: dict[str, Callable[[], context.Context]] = {
    "given": lambda: trace.set_span_in_context(_span(0, 77), context.Context()),
    "given empty": context.Context,
    "given none": lambda: context.Context({"key": "without a span"}),
}


class Run:
    """`is_stock`: gets the values that docs/differences.md makes of those that it refuses."""

    def __init__(self, provider: Any, program: Program, is_stock: bool) -> None:
        self.provider = provider
        self.is_stock = is_stock
        self.handlers: dict[str, logging.Handler] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the SDK's handler, which is deprecated
            of = HANDLERS["stock" if is_stock else "native"]
            self.handlers["sdk"] = of["sdk"](logger_provider=provider)
            self.handlers["instrumentation"] = of["instrumentation"](
                logger_provider=provider, log_code_attributes=program.code_attributes
            )
        if program.formatter is not None:
            for handler in self.handlers.values():
                handler.setFormatter(logging.Formatter(program.formatter))

    def step(self, number: int, step: Emit | Log) -> None:
        token = None
        if step.span in CURRENT:
            token = context.attach(trace.set_span_in_context(CURRENT[step.span](number + 1)))
        try:
            self.emit(step) if isinstance(step, Emit) else self.log(step)
        finally:
            if token is not None:
                context.detach(token)

    def emit(self, step: Emit) -> None:
        attributes = step.attributes
        if self.is_stock and attributes is not None and not isinstance(attributes, Pairs):
            attributes = None  # what is no mapping is ignored
        if self.is_stock and isinstance(attributes, Pairs):
            attributes = corrected_attributes(attributes)
        info = exception_info(step.raised)
        arguments: dict[str, Any] = {
            "timestamp": step.timestamp,
            "observed_timestamp": step.observed_timestamp,
            "context": GIVEN[step.span]() if step.span in GIVEN else None,
            "severity_number": step.severity and SeverityNumber[step.severity],
            "severity_text": step.severity_text,
            "body": build(step.body, None),
            "attributes": None if attributes is None else build(attributes, None),
            "event_name": step.event_name,
            "exception": None if info is None else info[1],
        }
        logger = self.provider.get_logger(step.logger, "1.0", "https://schema/logger")
        if step.as_record:
            logger.emit(LogRecord(**arguments))  # type: ignore[abstract]
        else:
            logger.emit(**arguments)

    def log(self, step: Log) -> None:
        logger = logging.Logger(step.logger or "root")
        record = logger.makeRecord(
            logger.name,
            step.level,
            "/path/of/file.py",
            12,
            build(step.msg, None),
            step.args,
            exception_info(step.raised),
            "function",
            {name: build(value, None) for name, value in step.extra},
        )
        record.created = 1_600_000_000.123456
        self.handlers[step.handler].handle(record)


def run(kind: type[Any], program: Program, processor: Any, is_stock: bool) -> None:
    limits = sdk.LogRecordLimits(
        max_log_record_attributes=sdk.LogRecordLimits.UNSET
        if program.max_attributes is None
        else program.max_attributes,
        max_log_record_attribute_length=sdk.LogRecordLimits.UNSET
        if program.max_attribute_length is None
        else program.max_attribute_length,
    )
    provider = kind(resource=RESOURCE, shutdown_on_exit=False, log_record_limits=limits)
    provider.add_log_record_processor(processor)
    of_run = Run(provider, program, is_stock)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dropped attributes
        for number, step in enumerate(program.steps):
            of_run.step(number, step)
    provider.force_flush()
    provider.shutdown()


def stock_request(program: Program) -> ExportLogsServiceRequest:
    memory = InMemoryLogRecordExporter()
    run(sdk.LoggerProvider, program, SimpleLogRecordProcessor(memory), is_stock=True)
    rules = Rules()
    records = list(memory.get_finished_logs())
    for readable in records:
        attributes: Any = readable.log_record.attributes
        assert isinstance(attributes, BoundedAttributes)
        readable.log_record.attributes = rules.attributes(attributes, attributes.dropped)
    return encode_logs(records)


def native_request(program: Program, receiver: HttpReceiver) -> ExportLogsServiceRequest:
    receiver.requests.clear()
    exporter = OTLPLogExporter(endpoint=receiver.endpoint_of("logs"))
    processor = BatchLogRecordProcessor(exporter)
    run(logs.LoggerProvider, program, processor, is_stock=False)
    counts = processor.counts()
    assert counts["created"] == counts["exported"] == len(receiver.log_records())
    with suppress(IndexError):
        message: ExportLogsServiceRequest = receiver.requests[0].message
        return message
    return ExportLogsServiceRequest()


def shown(request: ExportLogsServiceRequest) -> str:
    """Without times of the run, and frames of it in stack traces."""
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                if record.observed_time_unix_nano in _NOW:
                    record.observed_time_unix_nano = 1
                for attribute in record.attributes:
                    if attribute.key == "exception.stacktrace":
                        text = attribute.value.string_value
                        attribute.value.string_value = _LINE.sub("", text)
    return str(request)
