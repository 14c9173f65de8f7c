"""Short-lived jobs and stopped processes: a flush is exact and cheap, and a stopped process continues correctly."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from otel_rs import _native

from ..support.receiver import Receiver, wait_until
from ..support.relay import Relay
from ..support.traced_program import Ended, TracedProgram, destination, names, run

# --- force_flush at the end of every invocation ----------------------------------------------------------------------


def test_ended_spans_have_arrived_when_a_flush_returns(receiver: Receiver, provider_to: Any) -> None:
    provider = provider_to(receiver, {"schedule_delay_millis": 1})
    tracer = provider.get_tracer("test")
    for invocation in range(1, 101):
        for _ in range(3):
            tracer.start_span("span").end()
        assert provider.force_flush(10_000)
        assert len(receiver.spans()) == 3 * invocation


@pytest.mark.parametrize("timeout_millis", [0, 1, 50, 200])
def test_a_flush_returns_false_at_its_timeout(receiver: Receiver, provider_to: Any, timeout_millis: int) -> None:
    receiver.fall_silent()
    provider = provider_to(receiver)
    provider.get_tracer("test").start_span("span").end()
    late = []
    for _ in range(3):
        started = time.perf_counter()
        assert provider.force_flush(timeout_millis) is False
        late.append((time.perf_counter() - started) * 1e3 - timeout_millis)
    # A busy system may delay this thread once, but not every time.
    assert min(late) < 5
    # Upstream's multi-processor passes each processor its timeout in whole milliseconds.
    assert all(millis > -1 for millis in late)


# The SDKs take turns, so that other load on the machine affects both equally.
INVOKED = """
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import BatchSpanProcessor as StockProcessor
if os.environ["TEST_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockExporter

stock = sdk.TracerProvider(resource=Resource({}))
stock.add_span_processor(StockProcessor(StockExporter(), schedule_delay_millis=3_600_000))
providers = {"native": provider_of(batching()), "stock": stock}

def invocation(provider, tracer):
    for _ in range(3):
        with tracer.start_as_current_span("invoked", attributes={"request.id": "a", "cold": False}):
            pass
    assert provider.force_flush()

wall, cpu = {}, {}
for number in range(201):
    for name, provider in providers.items():
        tracer = provider.get_tracer(name)
        before = time.perf_counter(), time.process_time()
        invocation(provider, tracer)
        if number:  # the first invocation opens the connection
            wall.setdefault(name, []).append(time.perf_counter() - before[0])
            cpu.setdefault(name, []).append(time.process_time() - before[1])
tell(wall=wall, cpu=cpu)
"""


@pytest.mark.skipif(hasattr(_native, "panic_in"), reason="a debug build is not compared")
def test_a_flush_after_every_invocation_is_cheaper_than_the_stock_sdks(receiver: Receiver) -> None:
    ended = run(INVOKED, **destination(receiver))
    assert (ended.code, ended.stderr) == (0, "")
    assert names(receiver) == {"invoked": 2 * 3 * 201}
    wall, cpu = [{sdk: median(times) * 1e3 for sdk, times in ended.fact(of).items()} for of in ("wall", "cpu")]
    print(f"milliseconds an invocation, {receiver.protocol}: {wall=} {cpu=}")
    # Most of the elapsed time is the receiver's, which is the same for both.
    assert wall["native"] < wall["stock"]
    assert cpu["native"] < cpu["stock"] / 1.5


# --- Stopped and continued -------------------------------------------------------------------------------------------

STOPPED_SECONDS = 2.0
# Timers expire while the process is stopped, and time is left when it continues.
EXPORT_TIMEOUT = {"OTEL_BSP_EXPORT_TIMEOUT": "1800"}


def destination_of(relay: Relay) -> dict[str, str]:
    return {**destination(relay.endpoint, relay.protocol), **EXPORT_TIMEOUT}


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)

    def stopped() -> bool:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    wait_until(stopped, "the process is stopped")


PACED = """
def end_spans_until_sigterm(provider, processor, name):
    going_on = True
    def stop(*_):
        nonlocal going_on
        going_on = False
    signal.signal(signal.SIGTERM, stop)
    tracer, made = provider.get_tracer("test"), 0
    while going_on:
        tracer.start_span(f"{name} {made}").end()
        made += 1
        if made == 200:
            tell(pid=os.getpid())
        time.sleep(0.001)
    provider.shutdown()
    tell(**{name: {"made": made, **processor.counts()}})

processor = batching(schedule_delay_millis=20)
provider = provider_of(processor)
"""

BUSY = PACED + 'end_spans_until_sigterm(provider, processor, "busy")'

CHILD = (
    PACED
    + """
end_spans(provider, "parent", 10)
if pid := os.fork():
    _, status = os.waitpid(pid, 0)
    end_spans(provider, "parent", 10)
    sys.exit(status)
end_spans_until_sigterm(provider, processor, "child")
os._exit(0)
"""
)

# Many connections, because after the continuation either a timer or an answer may be handled first.
IN_FLIGHT = """
name, count = os.environ["TEST_NAME"], 8
processors = [batching() for _ in range(count)]
providers = [provider_of(processor) for processor in processors]
for provider in providers:
    end_spans(provider, name, 10)
threads = [threading.Thread(target=provider.force_flush) for provider in providers]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
end_spans(providers[0], "after", 10)
providers[0].force_flush()
tell(exported=sum(processor.counts()["exported"] for processor in processors))
"""

IDLE = """
import warnings
# Python 3.12 and later warn about a fork in a process with threads.
warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
processor = batching(schedule_delay_millis=1000)
provider = provider_of(processor)
end_spans(provider, "parent before", 10)
provider.force_flush()
if pid := os.fork():
    end_spans(provider, "parent", 10)
    tell(pids=[os.getpid(), pid])
    _, status = os.waitpid(pid, 0)
    assert status == 0
else:
    end_spans(provider, "child before", 10)
    provider.force_flush()
    end_spans(provider, "child", 10)
    tell(child=os.getpid())
# The timer exports the queued spans; the flush at the end exports later ones.
while processor.counts()["pending"]:
    time.sleep(0.01)
name = "parent" if pid else "child"
end_spans(provider, name + " after", 10)
tell(flushed=provider.force_flush(), exported=processor.counts()["exported"])
os._exit(0)
"""


def test_a_process_stopped_while_idle_continues(receiver: Receiver) -> None:
    with Relay(receiver) as relay, TracedProgram(IDLE, **destination_of(relay)) as idle:
        idle.wait_for("child")
        pids = idle.wait_for("pids")
        for pid in pids:
            stop(pid)
        relay.close_connections()
        time.sleep(STOPPED_SECONDS)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        ended = idle.end()
    assert (ended.code, ended.stderr) == (0, "")
    each = ("parent before", "parent", "parent after", "child before", "child", "child after")
    assert names(receiver) == dict.fromkeys(each, 10)
    assert [facts["flushed"] for facts in ended.all_facts if "flushed" in facts] == [True, True]
    assert [facts["exported"] for facts in ended.all_facts if "exported" in facts] == [30, 30]


def expected_names(ended: Ended, name: str) -> dict[str, int]:
    """Checks the counts of a paced program; returns the names of its spans, each once."""
    counts = ended.fact(name)
    made = counts["made"]
    assert made > 200
    assert (counts["created"], counts["exported"]) == (made, made)
    return {f"{name} {number}": 1 for number in range(made)}


def test_a_process_stopped_during_exports_loses_and_repeats_nothing(receiver: Receiver) -> None:
    """The process stops during exports: some are answered meanwhile, others are cut off inside the request."""
    with (
        Relay(receiver) as busy_relay,
        Relay(receiver) as child_relay,
        Relay(receiver) as answered_relay,
        Relay(receiver, pass_bytes=50) as cut_relay,
        TracedProgram(BUSY, **destination_of(busy_relay)) as busy,
        TracedProgram(CHILD, **destination_of(child_relay)) as parent,
    ):
        relays = [busy_relay, child_relay, answered_relay, cut_relay]
        paced = [busy.wait_for("pid"), parent.wait_for("pid")]
        answered_relay.answers.clear()
        with (
            TracedProgram(IN_FLIGHT, **destination_of(answered_relay), TEST_NAME="answered") as answered,
            TracedProgram(IN_FLIGHT, **destination_of(cut_relay), TEST_NAME="cut off") as cut_off,
        ):
            wait_until(lambda: names(receiver)["answered"] == 80, "the requests have arrived, no answer is back")
            wait_until(cut_relay.stuck.is_set, "a part of the request has arrived")
            pids = [*paced, answered.process.pid, cut_off.process.pid]
            for pid in pids:
                stop(pid)
            stopped = time.monotonic()
            answered_relay.answers.set()
            # By now the answers to requests sent before the stop wait for the processes.
            time.sleep(STOPPED_SECONDS / 2)
            cut_relay.pass_bytes = None
            for relay in relays:
                relay.close_connections()
            time.sleep(stopped + STOPPED_SECONDS - time.monotonic())
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            continued = len(names(receiver))
            wait_until(lambda: len(names(receiver)) > continued + 100, "the processes continue")
            for pid in paced:
                os.kill(pid, signal.SIGTERM)
            of_busy, of_parent, *in_flight = [program.end() for program in (busy, parent, answered, cut_off)]
    assert [ended.code for ended in (of_busy, of_parent, *in_flight)] == [0] * 4
    assert names(receiver) == {
        **expected_names(of_busy, "busy"),
        **expected_names(of_parent, "child"),
        "parent": 20,
        "answered": 80,
        "cut off": 80,
        "after": 20,
    }
    assert [ended.fact("exported") for ended in in_flight] == [90, 90]
