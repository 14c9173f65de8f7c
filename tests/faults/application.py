"""An application that makes, counts and logs spans for several destinations in turn, and measures itself, in its own
process.

It reads its `Settings` as JSON from standard input, and writes its report as JSON to standard output.
"""

from __future__ import annotations

import array
import itertools
import json
import logging
import os
import sys
import threading
import time
from typing import Any

from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.resources import Resource

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPLogExporter as GrpcLogExporter
from otel_rs.exporter.otlp.grpc import OTLPMetricExporter as GrpcMetricExporter
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPLogExporter as HttpLogExporter
from otel_rs.exporter.otlp.http import OTLPMetricExporter as HttpMetricExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter
from otel_rs.logs import LoggerProvider
from otel_rs.logs.export import BatchLogRecordProcessor
from otel_rs.logs.instrumentation import LoggingHandler
from otel_rs.metrics import MeterProvider
from otel_rs.metrics.export import PeriodicExportingMetricReader

EXPORTERS: dict[str, Any] = {"http": HttpSpanExporter, "grpc": GrpcSpanExporter}
METRIC_EXPORTERS: dict[str, Any] = {"http": HttpMetricExporter, "grpc": GrpcMetricExporter}
LOG_EXPORTERS: dict[str, Any] = {"http": HttpLogExporter, "grpc": GrpcLogExporter}
RESOURCE = Resource({"service.name": "application"})

# The number of latencies kept for each thread and destination (the latest); their memory is allocated at the start.
KEPT = 50_000
# In the place of a latency that is not known, as that of ballast.
UNTIMED = b"\1" * 8
# More than the socket buffers hold, and less than a gRPC server accepts.
BALLAST_BYTES = 3_400_000
PAGE = os.sysconf("SC_PAGE_SIZE")


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


Processor = BatchSpanProcessor | BatchLogRecordProcessor


def problem_of(counts: dict[str, int], before: int, after: int) -> str | None:
    """What is wrong with the counts of a processor that got something between `before` and `after` times."""
    done = sum(counts[part] for part in ("exported", "rejected", "failed", "dropped"))
    if not before <= counts["created"] <= after:
        return f"{before} to {after} were created: {counts}"
    if counts["created"] != done + counts["pending"] or min(counts.values()) < 0:
        return f"the counts do not add up: {counts}"
    if counts["in_flight"] > counts["pending"]:
        return f"more is in flight than pending: {counts}"
    return None


def settled(processor: Processor) -> dict[str, int]:
    """Waits until no export runs; returns the counts."""
    deadline = time.monotonic() + 10
    while (counts := processor.counts())["pending"] and time.monotonic() < deadline:
        time.sleep(0.005)
    return counts


class Logs:
    """Python's logger for a destination, whose lines are sent there."""

    def __init__(self, settings: dict[str, Any]) -> None:
        arguments = {**settings["exporter"], "endpoint": settings["exporter"]["endpoint"].replace("traces", "logs")}
        self.exporter = LOG_EXPORTERS[settings["protocol"]](**arguments)
        self.processor = BatchLogRecordProcessor(self.exporter, **settings["processor"])
        provider = LoggerProvider(RESOURCE, shutdown_on_exit=False)
        provider.add_log_record_processor(self.processor)
        self.handler = LoggingHandler(logger_provider=provider)
        self.logger = logging.Logger("application")
        self.logger.addHandler(self.handler)
        self.flushed: tuple[bool, float] = (False, 0)
        self.shutdown_seconds = 0.0

    def flush(self, millis: float) -> None:
        begun = time.monotonic()
        self.flushed = (self.processor.force_flush(millis), time.monotonic() - begun)

    def shutdown(self, millis: float) -> None:
        begun = time.monotonic()
        self.processor.shutdown(millis)
        self.shutdown_seconds = time.monotonic() - begun

    def report(self) -> dict[str, Any]:
        return {"counts": settled(self.processor), "flushed": self.flushed, "shutdown": self.shutdown_seconds}


class Metrics:
    """What counts the spans of a destination, and sends the counts there."""

    def __init__(self, settings: dict[str, Any]) -> None:
        arguments = {**settings["exporter"], "endpoint": settings["exporter"]["endpoint"].replace("traces", "metrics")}
        temporality = AggregationTemporality[settings["metrics"].upper()]
        self.exporter = METRIC_EXPORTERS[settings["protocol"]](
            preferred_temporality={Counter: temporality, Histogram: temporality}, **arguments
        )
        self._reader = PeriodicExportingMetricReader(
            self.exporter, settings["processor"]["schedule_delay_millis"], 1e3 * arguments.get("timeout", 10)
        )
        self._provider = MeterProvider([self._reader], RESOURCE, shutdown_on_exit=False)
        meter = self._provider.get_meter("application")
        self._spans, self._sizes = meter.create_counter("spans"), meter.create_histogram("sizes")
        # Whether it was done, how long it took, and how many points had failed by then.
        self.flushed: tuple[bool, float, int] = (False, 0, 0)
        self.shutdown_seconds = 0.0

    def measure(self, attributes: dict[str, Any]) -> None:
        self._spans.add(1, attributes)
        self._sizes.record(3, attributes)

    def flush(self, millis: float) -> None:
        begun = time.monotonic()
        done = self._reader.force_flush(millis)
        self.flushed = (done, time.monotonic() - begun, self.exporter.counts()["failed"])

    def shutdown(self, millis: float) -> None:
        begun = time.monotonic()
        self._provider.shutdown(millis)
        self.shutdown_seconds = time.monotonic() - begun

    def report(self) -> dict[str, Any]:
        return {"counts": self.exporter.counts(), "flushed": self.flushed, "shutdown": self.shutdown_seconds}


class Destination:
    def __init__(self, settings: dict[str, Any], threads: int) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False, resource=RESOURCE)
        self.metrics = Metrics(settings) if "metrics" in settings else None
        self.logs = Logs(settings) if "logs" in settings else None
        # Of what is timed.
        self.processor: Processor | None = None
        self.exporter: Any = None
        if settings.get("logs") == "alone":
            self.processor, self.exporter = self.logs.processor, self.logs.exporter
        elif settings["protocol"] != "none":
            self.exporter = EXPORTERS[settings["protocol"]](**settings["exporter"])
            self.processor = BatchSpanProcessor(self.exporter, **settings["processor"])
            self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("application")
        # This destination gets one span for every `every` spans of the others.
        self.every = settings.get("every", 1)
        self._flush_millis = settings.get("flush_millis")
        # One slot per thread, so that no update is lost.
        self.ended = [0] * threads
        self.times = [array.array("Q", UNTIMED * KEPT) for _ in range(threads)]
        self.max_pending = 0
        self.flushes: list[tuple[bool, float]] = []

    def check(self) -> str | None:
        """Compares the counts with the application's own; returns what is wrong, or None."""
        if self.processor is None:
            return None
        for processor in {self.processor, self.logs.processor if self.logs else self.processor}:
            before = sum(self.ended)
            counts = processor.counts()
            # A thread may have ended a span but not counted it yet.
            after = sum(self.ended) + len(self.ended)
            if processor is self.processor:
                self.max_pending = max(self.max_pending, counts["pending"])
            if problem := problem_of(counts, before, after):
                return problem
        return None

    def flush(self, millis: float) -> None:
        if self.processor:
            begun = time.monotonic()
            done = self.processor.force_flush(self._flush_millis or millis)
            self.flushes.append((done, time.monotonic() - begun))
        if self.metrics:
            self.metrics.flush(self._flush_millis or millis)
        if self.logs:
            self.logs.flush(self._flush_millis or millis)

    def shutdown(self, millis: float) -> float:
        begun = time.monotonic()
        if self.processor:
            self.processor.shutdown(millis)
        took = time.monotonic() - begun
        if self.metrics:
            self.metrics.shutdown(millis)
        if self.logs:
            self.logs.shutdown(millis)
        return took

    def latencies(self) -> dict[str, float]:
        """Latencies in nanoseconds."""
        untimed = int.from_bytes(UNTIMED, "big")
        kept = sorted(took for times in self.times for took in times if took != untimed)
        fractions = {"median": 0.5, "p99": 0.99, "p999": 0.999}
        return {name: kept[int(len(kept) * fraction)] for name, fraction in fractions.items()} | {
            "max": kept[-1],
            "count": len(kept),
        }


def resources() -> dict[str, float]:
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * PAGE
    return {
        "at": time.monotonic(),
        "bytes": resident,
        "threads": len(os.listdir("/proc/self/task")),
        # Without the descriptor that lists the folder.
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,
    }


def whole_operation(destination: Destination, number: int, attributes: dict[str, Any]) -> int:
    begun = time.perf_counter_ns()
    with destination.tracer.start_as_current_span("operation", attributes=attributes) as span:
        span.set_attribute("number", number)
        span.add_event("event")
        if destination.logs:
            destination.logs.logger.info("number %d", number)
    if destination.metrics:
        destination.metrics.measure(attributes)
    return time.perf_counter_ns() - begun


def end_alone(destination: Destination, number: int, attributes: dict[str, Any]) -> int:
    span = destination.tracer.start_span("operation", attributes=attributes)
    begun = time.perf_counter_ns()
    span.end()
    return time.perf_counter_ns() - begun


def emit_alone(destination: Destination, number: int, attributes: dict[str, Any]) -> int:
    """Without Python's own `logging`: a thread loses the GIL in there once in some hundred lines, telemetry or not."""
    logger = destination.logs.logger
    record = logger.makeRecord(logger.name, logging.INFO, __file__, 1, "number %d", (number,), None, None, attributes)
    begun = time.perf_counter_ns()
    destination.logs.handler.emit(record)
    return time.perf_counter_ns() - begun


TIMED = {"operation": whole_operation, "end": end_alone, "emit": emit_alone}


def work(thread: int, destinations: list[Destination], settings: dict[str, Any], stopping: threading.Event) -> None:
    """All destinations have the same number of turns, in every position of the order."""
    timed, burst, pause = TIMED[settings["timed"]], settings["burst"], settings["pause"]
    attributes = {"http.method": "GET", "text": "x" * settings["attribute"]}
    rows = [destinations[first:] + destinations[:first] for first in range(len(destinations))]
    numbers = itertools.count()
    while not stopping.is_set():
        for number in itertools.islice(numbers, burst):
            for destination in rows[number % len(rows)]:
                if number % destination.every:
                    continue
                took = timed(destination, number, attributes)
                destination.times[thread][destination.ended[thread] % KEPT] = took
                destination.ended[thread] += 1
        if pause:
            time.sleep(pause)


def main() -> None:
    settings = json.load(sys.stdin)
    lines = Lines()
    logging.getLogger().addHandler(lines)
    threads = settings["threads"]
    destinations = {name: Destination(each, threads) for name, each in settings["destinations"].items()}
    for destination in destinations.values():
        for _ in range(settings["ballast"]):
            destination.tracer.start_span("ballast", attributes={"text": "x" * BALLAST_BYTES}).end()
            destination.ended[0] += 1
            if destination.metrics:
                destination.metrics.measure({})
            if destination.logs:
                destination.logs.logger.info("ballast", extra={"text": "x" * BALLAST_BYTES})
    stopping = threading.Event()
    arguments = (list(destinations.values()), settings, stopping)
    workers = [threading.Thread(target=work, args=(number, *arguments)) for number in range(threads)]
    samples, wrong = [resources()], []
    started = time.monotonic()
    flushed = started
    for worker in workers:
        worker.start()
    while (now := time.monotonic()) < started + settings["seconds"]:
        wrong += [f"{name}: {problem}" for name, each in destinations.items() if (problem := each.check())]
        samples.append(resources())
        if settings["flush_every"] and now > flushed + settings["flush_every"]:
            flushed = now
            for destination in destinations.values():
                destination.flush(settings["flush_millis"])
        time.sleep(settings["sample_every"])
    stopping.set()
    for worker in workers:
        worker.join()
    for destination in destinations.values():
        destination.flush(settings["flush_millis"])
    samples.append(resources())
    shutdowns = {name: each.shutdown(settings["shutdown_millis"]) for name, each in destinations.items()}
    wrong += [f"{name}: {problem}" for name, each in destinations.items() if (problem := each.check())]
    report = {
        name: {
            "ended": sum(each.ended),
            "counts": settled(each.processor) if each.processor else {},
            "sent": each.exporter.counts()["bytes"] if each.exporter else 0,
            "max_pending": each.max_pending,
            "latencies": each.latencies(),
            "flushes": each.flushes,
            "shutdown": shutdowns[name],
            "metrics": each.metrics.report() if each.metrics else None,
            "logs": each.logs.report() if each.logs else None,
        }
        for name, each in destinations.items()
    }
    json.dump({"destinations": report, "samples": samples, "wrong": wrong, "log": lines.lines}, sys.stdout)


if __name__ == "__main__":
    main()
