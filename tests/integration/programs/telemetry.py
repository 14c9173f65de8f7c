"""Shared by the programs in this folder: providers, a record of ended spans, and file descriptors.

Every span is also measured and logged, as `measured.py` and `logged.py` beside this folder say.

Every process appends to the file named by ENDED_SPANS: the spans that it ended, and its state at its start.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

PROTOCOL = os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"]
# One for each signal.
CONNECTIONS = 1 if os.environ.get("IMPLEMENTATION") == "stock" else 3
# Kills each process that hangs, and the test then misses its spans.
PROCESS_SECONDS = 30

_provider = None
_meter_provider = None
_logger_provider = None
_measure: Callable[[str], None] | None = None
_configured_in = None
_log = logging.getLogger("programs")
_log.setLevel(logging.INFO)
# Not to a server's handler for stderr: a child that is forked while a thread writes there waits for the buffer's lock,
# which is CPython's, for ever.
_log.propagate = False


def configure(records: bool = False) -> None:
    """Creates a new provider for this process, as a user's start-up code does.

    With `records` a processor records the ended spans, which is needed where other code ends them.
    """
    global _provider, _configured_in
    if os.environ.get("IMPLEMENTATION") == "stock":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    else:
        from otel_rs import BatchSpanProcessor, TracerProvider

        if PROTOCOL == "grpc":
            from otel_rs.exporter.otlp.grpc import OTLPSpanExporter
        else:
            from otel_rs.exporter.otlp.http import OTLPSpanExporter
        _configure_metrics()
        _configure_logs()
    _provider = TracerProvider()
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    if records:
        _provider.add_span_processor(_Recorder())
    _configured_in = os.getpid()


def _configure_metrics() -> None:
    global _meter_provider, _measure
    from otel_rs.metrics import MeterProvider
    from otel_rs.metrics.export import PeriodicExportingMetricReader

    if PROTOCOL == "grpc":
        from otel_rs.exporter.otlp.grpc import OTLPMetricExporter
    else:
        from otel_rs.exporter.otlp.http import OTLPMetricExporter
    _meter_provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    meter = _meter_provider.get_meter("programs")
    spans, sizes = meter.create_counter("spans"), meter.create_histogram("sizes")
    level = meter.create_up_down_counter("level")
    # By process: a forked child has its parent's, too.
    ended: dict[int, list[str]] = {}

    def observe(_: CallbackOptions) -> list[Observation]:
        return [Observation(len(ended[os.getpid()]))] if os.getpid() in ended else []

    # Python collects observable instruments, and has everything else collected with them.
    if "OBSERVES" in os.environ:
        meter.create_observable_counter("observed", [observe])

    def measure(name: str) -> None:
        attributes = {"name": name}
        ended.setdefault(os.getpid(), []).append(name)
        spans.add(1, attributes)
        sizes.record(3, attributes)
        level.add(5, attributes)
        level.add(-4, attributes)

    _measure = measure


def _configure_logs() -> None:
    global _logger_provider
    from otel_rs.logs import LoggerProvider
    from otel_rs.logs.export import BatchLogRecordProcessor

    if PROTOCOL == "grpc":
        from otel_rs.exporter.otlp.grpc import OTLPLogExporter
    else:
        from otel_rs.exporter.otlp.http import OTLPLogExporter
    if os.environ.get("HANDLER") == "sdk":
        from otel_rs.logs import LoggingHandler
    else:
        from otel_rs.logs.instrumentation import LoggingHandler
    _logger_provider = LoggerProvider()
    _logger_provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    # Another provider's before, if this is a child that its own is made in.
    _log.handlers[:] = [LoggingHandler(logger_provider=_logger_provider)]


def provider() -> object:
    return _provider


def configured_here() -> bool:
    return _configured_in == os.getpid()


def flush() -> None:
    assert _provider.force_flush(15_000), "the flush failed"
    if _meter_provider is not None:
        assert _meter_provider.force_flush(15_000), "the flush of metrics failed"
    if _logger_provider is not None:
        assert _logger_provider.force_flush(15_000), "the flush of logs failed"


def record(kind: str, **what: object) -> None:
    line = json.dumps({"kind": kind, "pid": os.getpid(), **what}) + "\n"
    # Opens the file each time, because a daemon closes its inherited descriptors.
    file = os.open(os.environ["ENDED_SPANS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


def end_span(name: str) -> None:
    with _provider.get_tracer("programs").start_as_current_span(name) as span:
        _log.info(name)
    _record_span(name, span.get_span_context())


def _record_span(name: str, context: SpanContext) -> None:
    if _measure is not None:
        _measure(name)
    record("span", name=name, trace=f"{context.trace_id:032x}", span=f"{context.span_id:016x}")


class _Recorder(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        with use_span(NonRecordingSpan(span.context)):
            _log.info(span.name)
        _record_span(span.name, span.context)


def end_spans(count: int, name: str = "work") -> None:
    for _ in range(count):
        end_span(name)


def sockets() -> set[str]:
    """The open sockets of this process, by their names in /proc."""
    return {target for target in _descriptors() if target.startswith("socket:")}


def _descriptors() -> list[str]:
    targets = []
    for name in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue  # it was the descriptor of the folder itself
    return targets


def lasting_descriptors() -> list[str]:
    """The kinds of the open descriptors, without files and folders that are open only for a moment."""
    return sorted(target.partition("[")[0] for target in _descriptors() if not target.startswith("/"))


def connections() -> set[str]:
    """The sockets that are connected to the receiver of the spans."""
    port = f":{int(os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'].rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sockets() & {f"socket:[{fields[9]}]" for fields in lines if fields[2].endswith(port)}


def note_connections_for_children() -> None:
    """Stores the connections that no child may have open; in the environment, so that exec keeps it."""
    os.environ["CONNECTIONS"] = " ".join(connections())


def begin_child() -> None:
    """Records the state of a child before any other code runs in it."""
    signal.alarm(PROCESS_SECONDS)
    of_the_parent = set(os.environ["CONNECTIONS"].split())
    record("child", parent=os.getppid(), inherited=sorted(sockets() & of_the_parent))


class Load:
    """Four threads that end spans, so that an export runs at every fork."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(4)]
        for thread in self._threads:
            thread.start()
        while len(connections()) < CONNECTIONS:
            time.sleep(0.005)
        self._before = connections()
        note_connections_for_children()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            end_span("load")

    def end(self) -> None:
        """Ends the threads, and records whether the parent still has its first connection."""
        # Spans are still exported after all the forks.
        end_spans(3, "afterwards")
        self._stop.set()
        for thread in self._threads:
            thread.join()
        flush()
        record("connections", before=sorted(self._before), after=sorted(connections()))


def wait_for(pids: list[int]) -> None:
    """Waits for the children; kills one that hangs, which fails the program."""
    deadline = time.monotonic() + PROCESS_SECONDS / 2
    left = list(pids)
    while left:
        for pid in list(left):
            reaped, status = os.waitpid(pid, os.WNOHANG)
            if reaped:
                left.remove(pid)
                assert status == 0, f"a child ended with {status}"
        if time.monotonic() > deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            sys.exit(f"{len(left)} of {len(pids)} children hung")
        time.sleep(0.005)
