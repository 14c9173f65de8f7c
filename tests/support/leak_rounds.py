"""Rounds of a broad span program, with the objects in use after each round. process/test_leaks.py runs it in a process.

Arguments: the receiver's endpoint, when to collect garbage (`plain` or `every allocation`), and what a round does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import sys
import warnings
from typing import Any

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LogRecordLimits, LogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, use_span

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.http import OTLPLogExporter, OTLPSpanExporter
from otel_rs.logs import LoggerProvider, LoggingHandler
from otel_rs.logs.export import BatchLogRecordProcessor
from otel_rs.logs.instrumentation import LoggingHandler as InstrumentationHandler

from .span_programs import LOCAL, PROGRAMS, WITH_STATE, WithStr

WARM_UP = 4
ROUNDS = 10


class RaisesInStr:
    def __str__(self) -> str:
        raise ValueError("from __str__")


class Error(Exception):
    pass


class Reads(SpanProcessor):
    """Reads every property of an ended span, which creates the Python objects for it."""

    def on_end(self, span: Any) -> None:
        read = span.attributes, span.events, span.links, span.status, span.context, span.parent, span.resource
        assert read[5] is None or read[5].trace_id == read[4].trace_id


# Spans get these objects again and again: a leaked reference increases the reference count.
VALUES: dict[str, Any] = {
    "none": None,
    "text": "a text that is not interned " * 2,
    "list": ["a", 1, [2.5, None]],
    "mapping": {"a": [1], "b": {"c": "d"}},
    "integer": 2**70,
    "surrogate": "lone \ud800",
    "object": WithStr(),
    "raises": RaisesInStr(),
    "context": LOCAL,
    "with state": WITH_STATE,
    "status": Status(StatusCode.ERROR, "description"),
    "error": Error("message"),
    "key": "key that is not interned",
    "key that is no text": (1, 2),
    "attributes": {"a": 1, "b": [2]},
}
# Shared objects of the interpreter and the API: a native module can get their reference counts wrong.
SHARED = [None, True, False, Ellipsis, (), StatusCode.ERROR, SpanKind.SERVER, str, int, dict, Error, Link, Status]
CYCLE: list[Any] = []
CYCLE.append(CYCLE)


def rich_spans(tracer: Any, count: int) -> None:
    attributes = VALUES["attributes"]
    for number in range(count):
        links = [Link(VALUES["context"], attributes), Link(VALUES["with state"])]
        with tracer.start_as_current_span("rich", kind=SpanKind.SERVER, attributes=attributes, links=links) as span:
            for name, value in VALUES.items():
                span.set_attribute(name, value)
                span.set_attribute("overwritten", value)
            span.set_attribute("cycle", CYCLE)
            span.set_attributes({VALUES["key"]: number, VALUES["key that is no text"]: VALUES["object"]})
            span.add_event("event", attributes, number)
            span.add_event(VALUES["text"], {"raises": VALUES["raises"]})
            span.add_link(VALUES["context"], attributes)
            span.record_exception(Error(number), {"value": VALUES["integer"]})
            span.update_name(VALUES["text"])
            span.set_status(VALUES["status"])
        with contextlib.suppress(Error), tracer.start_as_current_span("failing"):
            raise Error("leaves the block")
        span = tracer.start_span(VALUES["object"], start_time="no time")
        with use_span(span, end_on_exit=True):
            tracer.start_span("never ended", attributes=attributes)
        # It is in a reference cycle with itself, and never ends.
        span = tracer.start_span("in a cycle", attributes={"a": 1})
        span.itself = [span]


def decorated(tracer: Any) -> None:
    @tracer.start_as_current_span("function")
    def function() -> None:
        pass

    @tracer.start_as_current_span("coroutine")
    async def coroutine() -> None:
        await asyncio.sleep(0)

    def generate() -> Any:
        with tracer.start_as_current_span("generator"):
            yield 1
            yield 2

    async def main() -> None:
        task = asyncio.create_task(coroutine())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, coroutine(), return_exceptions=True)

    function()
    asyncio.run(main())
    generator = generate()
    next(generator)
    generator.close()


def spans_round(tracers: list[Any], flush: Any, count: int) -> None:
    for tracer in tracers:
        rich_spans(tracer, count)
        decorated(tracer)
        for name, program in PROGRAMS.items():
            if name != "value: long text":
                program(tracer)
    assert flush()


def make_provider(endpoint: str, **arguments: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False, resource=Resource({"service.name": "leaks"}), **arguments)
    processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), schedule_delay_millis=3_600_000)
    provider.add_span_processor(processor)
    return provider


def providers_round(endpoint: str, count: int) -> None:
    for _ in range(count):
        provider = make_provider(endpoint)
        provider.get_tracer("test").start_span("span").end()
        provider.shutdown()


class ReadsRecord(LogRecordProcessor):
    def on_emit(self, log_record: Any) -> None:
        assert log_record.log_record.attributes is not None

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def make_logger_provider(endpoint: str, **arguments: Any) -> LoggerProvider:
    provider = LoggerProvider(shutdown_on_exit=False, resource=Resource({"service.name": "leaks"}), **arguments)
    exporter = OTLPLogExporter(endpoint=endpoint.replace("/v1/traces", "/v1/logs"))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=3_600_000))
    return provider


def logs_round(provider: LoggerProvider, handlers: list[logging.Handler], count: int) -> None:
    logger = provider.get_logger("test")
    python_logger = logging.Logger("leaks")
    for handler in handlers:
        python_logger.addHandler(handler)
    for number in range(count):
        for name, value in VALUES.items():
            logger.emit(body=value, attributes={name: value, "number": number}, severity_text=VALUES["text"])
            python_logger.info("%s of %r", number, VALUES["list"], extra={"value": value})
        logger.emit(LogRecord(body=VALUES["mapping"], exception=Error(number)))  # type: ignore[abstract]
        logger.emit(attributes={VALUES["key"]: CYCLE, VALUES["key that is no text"]: 1}, context=VALUES["context"])
        try:
            raise Error(number)
        except Error:
            python_logger.exception("%d", "no number")
    assert provider.force_flush()


def resident_bytes() -> int:
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def counted() -> dict[str, Any]:
    gc.collect()
    gc.collect()
    counts = {name: sys.getrefcount(value) for name, value in VALUES.items() if value is not None}
    shared = {repr(value): sys.getrefcount(value) for value in SHARED}
    return {
        "references": counts,
        "shared": shared,
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "bytes": resident_bytes() if sys.platform == "linux" else 0,
    }


def main(endpoint: str, when: str, what: str, count: int) -> None:
    logging.disable(logging.CRITICAL)
    if what == "spans":
        recording = make_provider(endpoint)
        read = make_provider(endpoint, span_limits=SpanLimits(max_attributes=4, max_attribute_length=5))
        read.add_span_processor(Reads())
        unsampled = TracerProvider(shutdown_on_exit=False, sampler=ALWAYS_OFF)
        tracers = [provider.get_tracer("test") for provider in (recording, read, unsampled)]

        def flush() -> bool:
            return recording.force_flush() and read.force_flush()

        def one_round() -> None:
            spans_round(tracers, flush, count)
    elif what == "logs":
        logging.raiseExceptions = False
        provider = make_logger_provider(endpoint)
        read_too = make_logger_provider(endpoint, log_record_limits=LogRecordLimits(max_log_record_attributes=1))
        read_too.add_log_record_processor(ReadsRecord())
        warnings.simplefilter("ignore")  # of the SDK's handler, and of attributes beyond the limit
        logging.disable(logging.NOTSET)
        for name in ("otel_rs", "opentelemetry"):
            logging.getLogger(name).disabled = True
        logging.getLogger().addHandler(logging.NullHandler())
        both = [
            (each, [LoggingHandler(logger_provider=each), InstrumentationHandler(logger_provider=each)])
            for each in (provider, read_too)
        ]

        def one_round() -> None:
            for each, handlers in both:
                logs_round(each, handlers, count)
    else:
        # Each of upstream's providers registers a fork hook, which the interpreter keeps.
        os.register_at_fork = lambda **hooks: None

        def one_round() -> None:
            providers_round(endpoint, count)

    if when == "every allocation":
        gc.set_threshold(1)
    for _ in range(WARM_UP):
        one_round()
    # Prints one line per round, because stored results would be counted in the next round.
    print(json.dumps(counted()))
    for _ in range(ROUNDS):
        one_round()
        print(json.dumps(counted()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
