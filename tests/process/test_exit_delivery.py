"""Spans ended before a program exits arrive, however it exits; and it exits in time, whatever the receiver does."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ..support.receiver import DEADLINE_SECONDS, Receiver, wait_until
from ..support.relay import Relay
from ..support.traced_program import TracedProgram, destination, names, run

# --- Ways to exit ----------------------------------------------------------------------------------------------------

SETUP = """
provider = provider_of(batching())
tracer = provider.get_tracer("test")
open_at_the_end = tracer.start_span("open")
end_spans(provider, "ended", 10)
"""

WAYS = {
    "the last line": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise ValueError('on purpose')", 1),
    "sys.exit in a SIGTERM handler": (
        """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
""",
        4,
    ),
    "force_flush in a SIGTERM handler, then os._exit": (
        """
def stop(*_):
    tell(flushed=provider.force_flush())
    os._exit(5)
signal.signal(signal.SIGTERM, stop)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
""",
        5,
    ),
    "KeyboardInterrupt": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -signal.SIGINT),
}


@pytest.mark.parametrize(("program", "code"), WAYS.values(), ids=WAYS)
def test_ended_spans_arrive_once(receiver: Receiver, program: str, code: int) -> None:
    ended = run(SETUP + program, **destination(receiver))
    assert ended.code == code, ended.stderr
    assert names(receiver) == {"ended": 10}


def test_an_unhandled_sigterm_loses_the_queue(http_receiver: Receiver) -> None:
    """Python runs no exit hooks for it; servers install their own handlers."""
    ended = run(SETUP + "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", **destination(http_receiver))
    assert ended.code == -signal.SIGTERM
    assert names(http_receiver) == {}


# --- Threads, hooks, providers without references --------------------------------------------------------------------

# Registered before the provider's own hook, so it runs after it, as the last hook.
COUNTS_AT_THE_END = """
atexit.register(lambda: tell(counts=processor.counts()))
processor = batching()
provider = provider_of(processor)
tracer = provider.get_tracer("test")
"""


def test_spans_that_daemon_threads_create_at_exit_are_delivered_or_counted(receiver: Receiver) -> None:
    program = """
made = [0] * 4
def work(number):
    while True:
        with tracer.start_as_current_span("daemon", attributes={"list": [1]}):
            pass
        made[number] += 1
for number in range(4):
    threading.Thread(target=work, args=(number,), daemon=True).start()
while min(made) < 100:
    time.sleep(0.001)
sys.exit(3)
"""
    ended = run(COUNTS_AT_THE_END + program, **destination(receiver))
    assert ended.code == 3, ended.stderr
    counts = ended.fact("counts")
    assert counts["created"] == counts["exported"] + counts["dropped"]
    assert len(receiver.spans()) == counts["exported"] >= 400


def test_spans_of_threads_that_outlive_the_main_thread_arrive(receiver: Receiver) -> None:
    program = """
def work():
    threading.main_thread().join()
    end_spans(provider, "after the main thread", 50)
for _ in range(4):
    threading.Thread(target=work).start()
end_spans(provider, "main thread", 3)
"""
    ended = run(COUNTS_AT_THE_END + program, **destination(receiver))
    assert (ended.code, ended.stderr) == (0, "")
    assert names(receiver) == {"main thread": 3, "after the main thread": 200}


def test_a_span_of_an_exit_hook_is_delivered_or_dropped_and_logged(http_receiver: Receiver) -> None:
    """A hook registered after the provider is created runs before its shutdown; an earlier one runs after it."""
    program = """
atexit.register(lambda: end_spans(provider, "registered before"))
processor = batching()
provider = provider_of(processor)
atexit.register(lambda: end_spans(provider, "registered after"))
end_spans(provider, "program")
"""
    ended = run("atexit.register(lambda: tell(counts=processor.counts()))\n" + program, **destination(http_receiver))
    assert ended.code == 0
    assert names(http_receiver) == {"program": 1, "registered after": 1}
    counts = ended.fact("counts")
    assert (counts["exported"], counts["dropped"], counts["pending"]) == (2, 1, 0)
    assert ended.stderr == "BatchSpanProcessor is already shut down, dropping spans\n"


def test_a_provider_without_references_delivers(http_receiver: Receiver) -> None:
    program = """
provider = provider_of(batching(), shutdown_on_exit=False)
end_spans(provider, "forgotten", 10)
gone = weakref.ref(provider)
del provider
gc.collect()
tell(gone=gone() is None)
time.sleep(60)
"""
    with TracedProgram(program, **destination(http_receiver)) as running:
        assert running.wait_for("gone")
        http_receiver.wait_for_spans(10)
        assert names(http_receiver) == {"forgotten": 10}


def test_a_provider_that_is_dropped_just_before_exit_delivers(receiver: Receiver) -> None:
    # More than the socket buffers hold while the receiver does not read yet.
    program = """
provider = provider_of(batching(), shutdown_on_exit=False)
for _ in range(10):
    provider.get_tracer("test").start_span("forgotten", attributes={"long": "x" * 2_000_000}).end()
del provider
gc.collect()
"""
    with Relay(receiver, delay_seconds=0.5) as relay:
        ended = run(program, **destination(relay.endpoint, relay.protocol))
    assert (ended.code, ended.stderr) == (0, "")
    assert names(receiver) == {"forgotten": 10}


LIVE_SPANS = """
provider = provider_of(batching())
tracer = provider.get_tracer("test")
end_spans(provider, "ended", 10)

class Owner:
    '''Ends its span in its destructor, as late as possible.'''
    def __init__(self, span):
        self.span, self.itself = span, self
    def __del__(self):
        self.span.set_attribute("late", [1, {"a": "b"}])
        self.span.end()

def generator():
    with tracer.start_as_current_span("in a generator"):
        yield

of_a_thread = threading.local()
of_a_thread.owner = Owner(tracer.start_span("in a thread's locals"))
def work():
    of_a_thread.owner = Owner(tracer.start_span("in a daemon's locals"))
    ready.set()
    time.sleep(60)
ready = threading.Event()
threading.Thread(target=work, daemon=True).start()
ready.wait()

span = tracer.start_span("global")
owner = Owner(tracer.start_span("in a cycle"))
sys.kept_to_the_last = Owner(tracer.start_span("in sys"))
entered = tracer.start_as_current_span("entered")
entered.__enter__()
begun = generator()
next(begun)
linked = tracer.start_span("linked", links=[trace.Link(span.get_span_context(), {"owner": "x"})])
gc.disable()
"""


def test_spans_that_outlive_the_interpreter_do_no_harm(receiver: Receiver) -> None:
    ended = run(LIVE_SPANS, **destination(receiver))
    # The only line that may be there says that late spans were dropped.
    assert ended.code == 0, ended.stderr
    assert ended.stderr in ("", "BatchSpanProcessor is already shut down, dropping spans\n")
    assert names(receiver) == {"ended": 10}


def test_every_provider_and_every_processor_delivers(receiver: Receiver) -> None:
    program = """
providers = [provider_of(batching(), batching()) for _ in range(25)]
for provider in providers:
    end_spans(provider, "span", 4)
"""
    ended = run(program, **destination(receiver))
    assert (ended.code, ended.stderr) == (0, "")
    assert names(receiver) == {"span": 200}


# --- All signals, with the distro ------------------------------------------------------------------------------------

INSTRUMENT = """
from opentelemetry.instrumentation.auto_instrumentation import run
sys.argv = ["opentelemetry-instrument", sys.executable, "-c", PROGRAM]
run()
"""

ALL_SIGNALS = """
import atexit, os, sys, time
from opentelemetry import metrics, trace
from opentelemetry._logs import SeverityNumber, get_logger
meter, logger = metrics.get_meter("test"), get_logger("test")
for number in range(10):
    with trace.get_tracer("test").start_as_current_span("span"):
        logger.emit(severity_number=SeverityNumber.WARN, body=f"line {number}")
    meter.create_counter("counter").add(1)
atexit.register(lambda: os.write(1, b'{"ending": %f}\\n' % time.monotonic()))
sys.exit(3)
"""


def instrumented(endpoint: str, protocol: str, **environment: str) -> dict[str, Any]:
    """The arguments to run a program under opentelemetry-instrument that sends all signals to the endpoint."""
    return {
        "prelude": f"import sys\nPROGRAM = {ALL_SIGNALS!r}\n",
        "OTEL_PYTHON_DISTRO": "rs",
        "OTEL_EXPORTER_OTLP_PROTOCOL": {"http": "http/protobuf"}.get(protocol, protocol),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
        **environment,
    }


def test_all_three_signals_are_delivered_at_exit(receiver: Receiver) -> None:
    ended = run(INSTRUMENT, **instrumented(receiver.base, receiver.protocol))
    assert ended.code == 3, ended.stderr
    assert names(receiver) == {"span": 10}
    assert len(receiver.log_records()) == 10
    (counter,) = [metric for metric in receiver.metrics() if metric.name == "counter"]
    assert counter.sum.data_points[0].as_int == 10


# --- In time, whatever the receiver does -----------------------------------------------------------------------------

TIMEOUT_SECONDS = 1.5
# Time for the interpreter itself, on a busy machine. A single export would wait for 10 s.
MARGIN_SECONDS = 4.0


@pytest.fixture(params=["down", "hangs", "backlog only"])
def bad_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port where no server listens; where it accepts but never answers; where it does not even accept."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        port = listener.getsockname()[1]
        if request.param == "down":
            listener.close()
        if request.param != "hangs":
            yield port
            return
        accepted = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield port
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE_SECONDS)
        for connection in accepted:
            connection.close()


DEADLINE = {"OTEL_RS_EXIT_TIMEOUT": str(int(TIMEOUT_SECONDS * 1000))}

PROVIDERS_TO_NOWHERE = """
providers = [provider_of(batching()) for _ in range(3)] + [provider_of(batching(), batching())]
for provider in providers:
    end_spans(provider, "span", 1000)
# The hook that is registered last is called first.
atexit.register(lambda: tell(ending=time.monotonic()))
sys.exit(3)
"""


def test_all_providers_and_all_signals_end_within_one_deadline(bad_port: int) -> None:
    endpoint = f"http://127.0.0.1:{bad_port}"
    with contextlib.ExitStack() as stack:
        programs = [
            stack.enter_context(program)
            for protocol in ("http", "grpc")
            for program in (
                TracedProgram(PROVIDERS_TO_NOWHERE, **destination(endpoint, protocol), **DEADLINE),
                TracedProgram(INSTRUMENT, **instrumented(endpoint, protocol, **DEADLINE)),
            )
        ]
        for ended in [program.end() for program in programs]:
            assert ended.code == 3, ended.stderr
            assert ended.at - ended.fact("ending") < TIMEOUT_SECONDS + MARGIN_SECONDS
            assert "Traceback" not in ended.stderr


def failures(stderr: str) -> dict[str, str]:
    """By signal, the one line about its failed export."""
    lines = [re.match(r"Failed to export \d+ .*? failed: ", line) for line in stderr.splitlines()]
    found = {line[0].split(" export of ")[1].split()[0]: line.string for line in lines if line}
    assert len(found) == sum(map(bool, lines)), stderr
    return found


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_without_a_collector_each_signal_is_tried_once(protocol: str) -> None:
    """Within the default deadline of 10 s, which retries would use up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ended = run(INSTRUMENT, **instrumented(endpoint, protocol))
    assert ended.at - ended.fact("ending") < MARGIN_SECONDS, ended.stderr
    lines = failures(ended.stderr)
    assert set(lines) == {"traces", "metrics", "logs"}, ended.stderr
    for line in lines.values():
        assert endpoint in line
        assert "Connection refused" in line
        assert "attempts" not in line


def test_a_collector_that_hangs_is_named_for_each_signal(receiver: Receiver) -> None:
    receiver.fall_silent()
    ended = run(INSTRUMENT, **instrumented(receiver.base, receiver.protocol, **DEADLINE))
    assert ended.at - ended.fact("ending") < TIMEOUT_SECONDS + MARGIN_SECONDS
    lines = failures(ended.stderr)
    assert set(lines) == {"traces", "metrics", "logs"}, ended.stderr
    assert all(receiver.base in line for line in lines.values())


@pytest.mark.parametrize("signal_that_hangs", ["logs", "metrics"])
def test_a_signal_whose_collector_hangs_leaves_time_for_the_others(
    http_receiver: Receiver, signal_that_hangs: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        endpoint = {f"OTEL_EXPORTER_OTLP_{signal_that_hangs.upper()}_ENDPOINT": nowhere}
        ended = run(INSTRUMENT, **instrumented(http_receiver.base, "http", **DEADLINE, **endpoint))
    assert ended.at - ended.fact("ending") < TIMEOUT_SECONDS + MARGIN_SECONDS
    assert set(failures(ended.stderr)) == {signal_that_hangs}, ended.stderr
    assert names(http_receiver) == {"span": 10}
    assert len(http_receiver.log_records()) == (0 if signal_that_hangs == "logs" else 10)
    assert any(http_receiver.metrics()) is (signal_that_hangs == "logs")


STOCK_PARTS_THAT_HANG = """
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, ConsoleLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace.export import BatchSpanProcessor as StockBatchSpanProcessor, ConsoleSpanExporter

class Stuck:
    def write(self, text):
        time.sleep(60)
    flush = write

def collected(options):
    time.sleep(60)
    return []

provider_of(StockBatchSpanProcessor(ConsoleSpanExporter(out=Stuck()))).get_tracer("test").start_span("stuck").end()
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(ConsoleLogRecordExporter(out=Stuck())))
logs.get_logger("test").emit(body="stuck")
for readers in [PeriodicExportingMetricReader(ConsoleMetricExporter(out=Stuck()))], [
    PeriodicExportingMetricReader(ConsoleMetricExporter()), PeriodicExportingMetricReader(ConsoleMetricExporter())
]:
    meter = MeterProvider(readers).get_meter("test")
    meter.create_counter("counter").add(1)
    meter.create_observable_gauge("stuck", callbacks=[collected])
atexit.register(lambda: tell(ending=time.monotonic()))
"""


def test_stock_parts_that_hang_keep_the_deadline() -> None:
    ended = run(STOCK_PARTS_THAT_HANG, **destination("http://127.0.0.1:9"), **DEADLINE)
    assert ended.code == 0, ended.stderr
    assert ended.at - ended.fact("ending") < TIMEOUT_SECONDS + MARGIN_SECONDS


# --- Interrupted waits -----------------------------------------------------------------------------------------------

INTERRUPTIBLE = {
    "force_flush": ("provider.force_flush(60_000)", -signal.SIGINT),
    "shutdown": ("provider.shutdown()", -signal.SIGINT),
}


@pytest.mark.parametrize(("call", "code"), INTERRUPTIBLE.values(), ids=INTERRUPTIBLE)
def test_ctrl_c_interrupts_a_wait(receiver: Receiver, call: str, code: int) -> None:
    receiver.fall_silent()
    program = f"""
provider = provider_of(batching(), shutdown_on_exit=False)
end_spans(provider, "span", 10)
tell(waiting=True)
{call}
"""
    with TracedProgram(program, **destination(receiver)) as running:
        running.wait_for("waiting")
        wait_until(lambda: receiver.requests, "the request has arrived")
        running.process.send_signal(signal.SIGINT)
        ended = running.end(5)
    assert ended.code == code
    assert "\nKeyboardInterrupt\n" in ended.stderr


def test_ctrl_c_ends_the_wait_at_exit(receiver: Receiver) -> None:
    """Python prints the exception of an exit hook, and then exits as intended."""
    receiver.fall_silent()
    program = """
provider = provider_of(batching())
end_spans(provider, "span", 10)
tell(waiting=True)
sys.exit(3)
"""
    with TracedProgram(program, **destination(receiver), OTEL_RS_EXIT_TIMEOUT="60000") as running:
        running.wait_for("waiting")
        wait_until(lambda: receiver.requests, "the request has arrived")
        running.process.send_signal(signal.SIGINT)
        ended = running.end(5)
    assert ended.code == 3
    assert "\nKeyboardInterrupt" in ended.stderr


# --- Killed ----------------------------------------------------------------------------------------------------------

KILLED = {"os._exit": (signal.SIGUSR1, 9), "SIGKILL": (signal.SIGKILL, -signal.SIGKILL)}

LARGE_REQUEST = """
signal.signal(signal.SIGUSR1, lambda *_: os._exit(9))
provider = provider_of(batching())
tracer = provider.get_tracer("test")
for _ in range(100):
    tracer.start_span("killed", attributes={"long": "x" * 10_000}).end()
threading.Thread(target=provider.force_flush, daemon=True).start()
while True:
    time.sleep(1)
"""

SIBLING = """
going_on = True
def stop(*_):
    global going_on
    going_on = False
signal.signal(signal.SIGTERM, stop)
provider = provider_of(batching())
made = 0
while going_on:
    end_spans(provider, "sibling")
    made += 1
    tell(flushed=provider.force_flush())
    time.sleep(0.01)
end_spans(provider, "sibling")
tell(made=made + 1)
"""


@pytest.mark.parametrize(("kill", "code"), KILLED.values(), ids=KILLED)
def test_half_a_request_of_a_killed_process_does_not_affect_other_processes(
    receiver: Receiver, kill: int, code: int
) -> None:
    with (
        # Less than a gRPC client may send before the receiver grants it more.
        Relay(receiver, pass_bytes=30_000) as relay,
        TracedProgram(SIBLING, **destination(receiver)) as sibling,
        TracedProgram(LARGE_REQUEST, **destination(relay.endpoint, relay.protocol)) as killed,
    ):
        sibling.wait_for("flushed")
        wait_until(relay.stuck.is_set, "half of the request has arrived")
        killed.process.send_signal(kill)
        assert killed.end().code == code
        flushed = len(sibling.all_facts())
        wait_until(lambda: len(sibling.all_facts()) > flushed + 3, "the sibling continues")
        sibling.process.terminate()
        ended = sibling.end()
    assert (ended.code, ended.stderr) == (0, "")
    assert all(facts.get("flushed", True) for facts in ended.all_facts)
    assert names(receiver) == {"sibling": ended.fact("made")}
    # The receiver accepts requests of the next process.
    assert run('end_spans(provider_of(batching()), "next")', **destination(receiver)).code == 0
    assert names(receiver)["next"] == 1
