"""Measure with the instruments of one of the two SDKs in this process, and print their cost as JSON.

    python record.py --sdk {stock,otel-rs} --row ROW [--threads N | --count N] --endpoint ENDPOINT

The rows of a measurement: its time, in nanoseconds, for each of several loops; with --count just so many measurements,
for whoever counts instructions. The row `collect`: all CPU of the process, in nanoseconds, for collections and exports
of many series; --count is the number of collections.
"""

import argparse
import json
import math
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import copy_context
from itertools import repeat
from typing import Any

from opentelemetry.sdk.resources import Resource

LOOPS = 5
MEASUREMENTS_IN_A_LOOP = 20_000
SERIES = 10_000
COLLECTIONS = 4
# Under valgrind all takes fifty times as long.
FLUSH_MILLIS = 600_000

RESOURCE = Resource({"service.name": "shop", "service.version": "1.2.3", "host.name": "shop-1", "process.pid": 42})

# Those of opentelemetry-instrumentation-flask.
SAME = {
    "http.method": "GET",
    "http.scheme": "http",
    "http.flavor": "1.1",
    "http.host": "shop:8080",
    "http.target": "/orders/{id}",
    "http.status_code": 200,
    "net.host.port": 8080,
}


def histogram_fresh(meter: Any) -> Callable[[int], None]:
    record = meter.create_histogram("http.server.duration", "ms").record

    def measure(count: int) -> None:
        for _ in repeat(None, count):
            record(
                12.5,
                {
                    "http.method": "GET",
                    "http.scheme": "http",
                    "http.flavor": "1.1",
                    "http.host": "shop:8080",
                    "http.target": "/orders/{id}",
                    "http.status_code": 200,
                    "net.host.port": 8080,
                },
            )

    return measure


def histogram_same(meter: Any) -> Callable[[int], None]:
    record = meter.create_histogram("http.server.duration", "ms").record

    def measure(count: int) -> None:
        for _ in repeat(None, count):
            record(12.5, SAME)

    return measure


def up_down_counter(meter: Any) -> Callable[[int], None]:
    add = meter.create_up_down_counter("http.server.active_requests").add

    def measure(count: int) -> None:
        for _ in repeat(None, count):
            add(
                1,
                {
                    "http.method": "GET",
                    "http.scheme": "http",
                    "http.flavor": "1.1",
                    "http.host": "shop:8080",
                    "http.server_name": "0.0.0.0",
                },
            )

    return measure


def counter(meter: Any) -> Callable[[int], None]:
    add = meter.create_counter("orders").add

    def measure(count: int) -> None:
        for _ in repeat(None, count):
            add(1)

    return measure


ROWS: dict[str, Callable[[Any], Callable[[int], None]]] = {
    "histogram": histogram_fresh,
    "histogram-same": histogram_same,
    "up-down-counter": up_down_counter,
    "counter-in-span": counter,
    "counter": counter,
    "no-reader": histogram_fresh,
}


def providers(sdk: str, endpoint: str, has_reader: bool) -> tuple[Any, Any]:
    """For metrics, which are exported when the program flushes, and for traces, which are not exported."""
    if sdk == "stock":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace import TracerProvider
    else:
        from otel_rs import TracerProvider
        from otel_rs.exporter.otlp.grpc import OTLPMetricExporter
        from otel_rs.metrics import MeterProvider
        from otel_rs.metrics.export import PeriodicExportingMetricReader
    readers = []
    if has_reader:
        exporter = OTLPMetricExporter(endpoint, timeout=FLUSH_MILLIS // 1000)
        readers.append(PeriodicExportingMetricReader(exporter, math.inf, FLUSH_MILLIS))
    return MeterProvider(readers, RESOURCE, shutdown_on_exit=False), TracerProvider(resource=RESOURCE)


def time_of(measure: Callable[[int], None], threads: int) -> float:
    """Nanoseconds a measurement."""
    if threads == 1:
        begin = time.perf_counter_ns()
        measure(MEASUREMENTS_IN_A_LOOP)
        return (time.perf_counter_ns() - begin) / MEASUREMENTS_IN_A_LOOP
    each = MEASUREMENTS_IN_A_LOOP // threads
    # Each with the span that is current here: a thread has a context of its own.
    running = [threading.Thread(target=copy_context().run, args=(measure, each)) for _ in range(threads)]
    begin = time.perf_counter_ns()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return (time.perf_counter_ns() - begin) / (each * threads)


def collect(meter: Any, provider: Any, collections: int) -> dict[str, Any]:
    durations = meter.create_histogram("http.server.request.duration", "s", "Duration of requests")
    for number in range(SERIES):
        attributes = {"http.request.method": "GET", "http.route": f"/orders/{number}", "url.scheme": "https"}
        durations.record(number / 7, attributes)
    provider.force_flush(FLUSH_MILLIS)
    begin = time.process_time_ns()
    for _ in range(collections):
        provider.force_flush(FLUSH_MILLIS)
    return {
        "cpu": time.process_time_ns() - begin,
        "measured": collections * SERIES,
        "items": (1 + collections) * SERIES,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sdk", choices=["stock", "otel-rs"], required=True)
    parser.add_argument("--row", choices=[*ROWS, "collect"], required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--count", type=int)
    parser.add_argument("--endpoint", required=True)
    arguments = parser.parse_args()

    meters, tracers = providers(arguments.sdk, arguments.endpoint, arguments.row != "no-reader")
    meter = meters.get_meter("shop.http", "1.0")
    if arguments.row == "collect":
        print(json.dumps(collect(meter, meters, arguments.count or COLLECTIONS)))
        return
    measure = ROWS[arguments.row](meter)
    tracer = tracers.get_tracer("benches")
    with nullcontext() if arguments.row == "counter" else tracer.start_as_current_span("span"):
        if arguments.count is not None:
            measure(arguments.count)
            per_item = []
        else:
            # The first loop warms up.
            per_item = [time_of(measure, arguments.threads) for _ in range(1 + LOOPS)][1:]
    # Nothing is exported.
    print(json.dumps({"per_item": per_item, "items": 0}))


if __name__ == "__main__":
    main()
