"""Log with Python's `logging` and the handler of opentelemetry-instrumentation-logging, with one of the two SDKs in
this process, and print the cost as JSON.

    python log.py --sdk {stock,otel-rs} --row {handler,logger,no-processor} --endpoint ENDPOINT [--cpu [--records N]]

Without --cpu: the time of the handler's `emit` on the app thread, in a span, of records that were made before, in
nanoseconds a record for each of several loops. The clock is stopped while a batch is flushed.

With --cpu: all CPU of the process, user and system, of every thread, from the first record until the SDK has been shut
down, in nanoseconds.
"""

import argparse
import json
import logging
import time
from collections.abc import Callable
from importlib import import_module
from itertools import repeat
from typing import Any

from opentelemetry.sdk.resources import Resource

LOOPS = 5
RECORDS_IN_A_LOOP = 8_000
# The default max_export_batch_size.
FULL_BATCH = 512
BATCH = 500

NAMES = {
    "stock": {
        "opentelemetry.sdk._logs": ["LoggerProvider"],
        "opentelemetry.sdk._logs.export": ["BatchLogRecordProcessor"],
        "opentelemetry.sdk.trace": ["TracerProvider"],
        "opentelemetry.instrumentation.logging.handler": ["LoggingHandler"],
        "opentelemetry.exporter.otlp.proto.grpc._log_exporter": ["OTLPLogExporter"],
    },
    "otel-rs": {
        "otel_rs.logs": ["LoggerProvider"],
        "otel_rs.logs.export": ["BatchLogRecordProcessor"],
        "otel_rs.trace": ["TracerProvider"],
        "otel_rs.logs.instrumentation": ["LoggingHandler"],
        "otel_rs.exporter.otlp.grpc": ["OTLPLogExporter"],
    },
}

ATTRIBUTES = {"order.id": 42, "user.name": "ada"}


def named(sdk: str) -> dict[str, Any]:
    return {name: getattr(import_module(module), name) for module, names in NAMES[sdk].items() for name in names}


def made(count: int) -> list[logging.LogRecord]:
    """As `logger.info("order %s of %s paid", 42, "ada", extra=...)` makes them."""
    logger = logging.Logger("shop.orders")
    arguments = ("/srv/shop/orders.py", 120, "order %s of %s paid", (42, "ada"), None, "pay")
    return [logger.makeRecord(logger.name, logging.INFO, *arguments, extra=ATTRIBUTES) for _ in repeat(None, count)]


def by_handler(handler: Any, _provider: Any, records: list[logging.LogRecord]) -> None:
    emit = handler.emit
    for record in records:
        emit(record)


def by_logger(_handler: Any, provider: Any, records: list[logging.LogRecord]) -> None:
    emit = provider.get_logger("shop.orders").emit
    for _ in records:
        emit(body="order 42 of ada paid", attributes=ATTRIBUTES)


ROWS: dict[str, Callable[[Any, Any, list[logging.LogRecord]], None]] = {
    "handler": by_handler,
    "logger": by_logger,
    "no-processor": by_handler,
}


def flush(provider: Any) -> None:
    if not provider.force_flush():
        raise SystemExit("force_flush failed: is the receiver there?")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sdk", choices=list(NAMES), required=True)
    parser.add_argument("--row", choices=ROWS, required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--records", type=int, default=20_480, help="with --cpu; 0 gives what the rest of it costs")
    arguments = parser.parse_args()

    names, log = named(arguments.sdk), ROWS[arguments.row]
    provider = names["LoggerProvider"](resource=Resource.create({"service.name": "benches"}), shutdown_on_exit=False)
    if arguments.row != "no-processor":
        exporter = names["OTLPLogExporter"](endpoint=arguments.endpoint)
        provider.add_log_record_processor(names["BatchLogRecordProcessor"](exporter))
    handler = names["LoggingHandler"](logger_provider=provider)
    tracer = names["TracerProvider"](shutdown_on_exit=False).get_tracer("benches")
    with tracer.start_as_current_span("span"):
        if arguments.cpu:
            result = cpu_of_process(log, handler, provider, arguments.records)
        else:
            result = time_on_app_thread(log, handler, provider)
    if arguments.row == "no-processor":
        result["items"] = 0
    print(json.dumps(result))


def time_on_app_thread(log: Callable[..., None], handler: Any, provider: Any) -> dict[str, Any]:
    batches = RECORDS_IN_A_LOOP // BATCH
    per_record = []
    for _ in range(1 + LOOPS):
        elapsed = 0
        for _ in range(batches):
            records = made(BATCH)
            begin = time.perf_counter_ns()
            log(handler, provider, records)
            elapsed += time.perf_counter_ns() - begin
            flush(provider)
        per_record.append(elapsed / (batches * BATCH))
    provider.shutdown()
    # The first loop warms up.
    return {"per_item": per_record[1:], "items": len(per_record) * batches * BATCH}


def cpu_of_process(log: Callable[..., None], handler: Any, provider: Any, count: int) -> dict[str, Any]:
    log(handler, provider, made(FULL_BATCH))
    flush(provider)
    records = made(FULL_BATCH)
    # The same clock as user plus system time of getrusage(RUSAGE_SELF), without rounding to microseconds.
    begin = time.process_time_ns()
    for first in range(0, count, FULL_BATCH):
        log(handler, provider, records[: min(FULL_BATCH, count - first)])
        flush(provider)
    provider.shutdown()
    return {"cpu": time.process_time_ns() - begin, "items": FULL_BATCH + count}


if __name__ == "__main__":
    main()
