"""What was measured arrives, to the unit, however a process ends and whoever forked it; and nobody waits for it."""

from __future__ import annotations

import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from ..support.receiver import DEADLINE_SECONDS, Answer, HttpReceiver, Receiver, wait_until
from ..support.traced_program import TracedProgram, run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# Metrics are exported only by a flush, or at the end. Each process counts under its own name.
PRELUDE = """
import atexit, ctypes, json, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
from opentelemetry.metrics import Observation
from opentelemetry.sdk.resources import Resource
from otel_rs.metrics import MeterProvider
from otel_rs.metrics.export import PeriodicExportingMetricReader
if os.environ["TEST_PROTOCOL"] == "grpc":
    from otel_rs.exporter.otlp.grpc import OTLPMetricExporter
else:
    from otel_rs.exporter.otlp.http import OTLPMetricExporter

def metering(interval=3_600_000, **arguments):
    exporter = OTLPMetricExporter()
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=interval)
    return MeterProvider([reader], Resource({}), **arguments), exporter

def count(amount, process):
    counter.add(amount, {"process": process})
    histogram.record(amount, {"process": process})

def tell(**facts):
    os.write(1, json.dumps(facts).encode() + b"\\n")

provider, exporter = metering()
meter = provider.get_meter("test")
counter = meter.create_counter("counter")
histogram = meter.create_histogram("histogram")

"""


def destination(receiver: Receiver, temporality: str = "cumulative", **environment: str) -> dict[str, str]:
    return {
        "prelude": PRELUDE,
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": receiver.endpoint_of("metrics"),
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
        "TEST_PROTOCOL": receiver.protocol,
        **environment,
    }


def points(receiver: Receiver, name: str) -> Iterator[tuple[str, Any]]:
    """Of a metric, in the order of their arrival, with the process that measured."""
    for metric in receiver.metrics():
        if metric.name == name:
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                (process,) = (pair.value.string_value for pair in point.attributes if pair.key == "process")
                yield process, point


def totals(receiver: Receiver, temporality: str, name: str = "counter") -> dict[str, int]:
    """By process: the last of its running totals, or the sum of its deltas."""
    found: dict[str, list[int]] = defaultdict(list)
    for process, point in points(receiver, name):
        found[process].append(int(point.sum if name == "histogram" else point.as_int))
    return {process: values[-1] if temporality == "cumulative" else sum(values) for process, values in found.items()}


def all_totals(receiver: Receiver, temporality: str) -> dict[str, int]:
    of_counter, of_histogram = (totals(receiver, temporality, name) for name in ("counter", "histogram"))
    assert of_counter == of_histogram
    return of_counter


@pytest.fixture(params=["cumulative", "delta"])
def temporality(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- Ends ------------------------------------------------------------------------------------------------------------

ENDS = {
    "the last line": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise ValueError('on purpose')", 1),
    "a provider that was dropped": ("del provider, meter, counter, histogram", 0),
    "sys.exit in a SIGTERM handler": (
        """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
""",
        4,
    ),
    "the signal is raised again": ("signal.raise_signal(signal.SIGTERM)", -15),
}


@pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=ENDS)
def test_the_last_measurements_arrive_once(receiver: Receiver, temporality: str, end: str, code: int) -> None:
    ended = run(
        "count(5, 'main'); provider.force_flush(); count(2, 'main')\n" + end, **destination(receiver, temporality)
    )
    assert ended.code == code, ended.stderr
    assert all_totals(receiver, temporality) == {"main": 7}
    assert len(list(points(receiver, "counter"))) == 2


def test_a_child_of_multiprocessing_delivers(http_receiver: HttpReceiver, temporality: str) -> None:
    program = """
import multiprocessing

def work(name):
    count(2, name)

count(5, "main")
children = [multiprocessing.get_context("fork").Process(target=work, args=(f"child {n}",)) for n in range(3)]
for child in children:
    child.start()
for child in children:
    child.join(20)
assert [child.exitcode for child in children] == [0] * 3
"""
    ended = run(program, **destination(http_receiver, temporality))
    assert ended.code == 0, ended.stderr
    assert all_totals(http_receiver, temporality) == {"main": 5, "child 0": 2, "child 1": 2, "child 2": 2}


def test_a_worker_that_is_terminated_delivers(http_receiver: HttpReceiver, temporality: str) -> None:
    """As `with Pool()` ends its workers: no Python runs any more."""
    program = """
import multiprocessing

multiprocessing = multiprocessing.get_context("fork")
measured = multiprocessing.Event()

def work():
    count(2, "child")
    measured.set()
    time.sleep(60)

child = multiprocessing.Process(target=work)
child.start()
assert measured.wait(20)
child.terminate()
child.join(20)
assert child.exitcode == -15, child.exitcode
"""
    ended = run(program, **destination(http_receiver, temporality))
    assert ended.code == 0, ended.stderr
    assert all_totals(http_receiver, temporality) == {"child": 2}


# --- Forks -----------------------------------------------------------------------------------------------------------

FORKS = {
    "os.fork": "os.fork()",
    # The call keeps the GIL, as uWSGI does; Python's own fork hooks do not run.
    "in C": "ctypes.PyDLL(None).fork()",
}

FORKED = """
count(5, "parent")
assert provider.force_flush()
count(1, "parent")
forked_at = time.time_ns()
pid = {fork}
if pid == 0:
    signal.alarm(30)
    count(2, "child")
    grandchild = {fork}
    if grandchild == 0:
        signal.alarm(30)
        count(3, "grandchild")
        os._exit(0 if provider.force_flush(20_000) else 7)
    count(4, "child")
    flushed = provider.force_flush(20_000)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) if flushed else 8)
tell(forked_at=forked_at, status=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
count(1, "parent")
"""


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_each_process_sends_what_it_measured(receiver: Receiver, temporality: str, fork: str) -> None:
    ended = run(FORKED.format(fork=fork), **destination(receiver, temporality))
    assert (ended.code, ended.fact("status")) == (0, 0), ended.stderr
    assert all_totals(receiver, temporality) == {"parent": 7, "child": 6, "grandchild": 3}
    starts = defaultdict(set)
    for process, point in points(receiver, "counter"):
        starts[process].add(point.start_time_unix_nano)
    assert min(starts["child"]) > ended.fact("forked_at") > min(starts["parent"])
    assert min(starts["grandchild"]) > min(starts["child"])


INTERVALS = """
provider, exporter = metering(interval=50)
meter = provider.get_meter("test")
parent = os.getpid()
name = lambda: "parent" if os.getpid() == parent else "child"
{instruments}
counter = meter.create_counter("counter")
counter.add(1, {{"process": "parent"}})
if (pid := {fork}) == 0:
    signal.alarm(20)
    counter.add(2, {{"process": "child"}})
    time.sleep(60)
tell(child=pid)
time.sleep(60)
"""

# It needs a Python thread of its own, which a measurement starts where no hook of Python's ran.
OBSERVED = (
    'meter.create_observable_gauge("observed", [lambda options: [Observation(os.getpid(), {"process": name()})]])'
)


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_child_exports_at_its_intervals(http_receiver: HttpReceiver, fork: str) -> None:
    program = INTERVALS.format(fork=fork, instruments="")
    with TracedProgram(program, **destination(http_receiver, "delta")) as running:
        child = running.wait_for("child")
        try:
            wait_until(lambda: totals(http_receiver, "delta") == {"parent": 1, "child": 2}, "both have exported")
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_child_observes_for_itself(http_receiver: HttpReceiver, fork: str) -> None:
    program = INTERVALS.format(fork=fork, instruments=OBSERVED)
    with TracedProgram(program, **destination(http_receiver)) as running:
        child = running.wait_for("child")
        expected = {("parent", running.process.pid), ("child", child)}
        observed = lambda: {(process, point.as_int) for process, point in points(http_receiver, "observed")}  # noqa: E731
        try:
            wait_until(lambda: observed() == expected, "both have observed")
        finally:
            os.kill(child, signal.SIGKILL)


RESOURCE_THAT_TAKES_ITS_TIME = """
from opentelemetry.sdk.metrics import _internal
parent = os.getpid()

def detect_slowly():
    time.sleep(0.5)  # ten intervals
    return Resource({"process.pid": os.getpid()})

_internal._get_process_dependent_resource = detect_slowly
"""


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_what_a_child_observes_has_its_own_resource(http_receiver: HttpReceiver, fork: str) -> None:
    program = RESOURCE_THAT_TAKES_ITS_TIME + INTERVALS.format(fork=fork, instruments=OBSERVED)
    with TracedProgram(program, **destination(http_receiver)) as running:
        child = running.wait_for("child")

        def sent_with() -> set[int]:
            """The pids of the Resources that came with what the child observed."""
            return {
                attribute.value.int_value
                for request in list(http_receiver.requests)
                for item in request.message.resource_metrics
                for scope in item.scope_metrics
                for metric in scope.metrics
                if metric.name == "observed" and metric.gauge.data_points[0].as_int == child
                for attribute in item.resource.attributes or [KeyValue()]
            }

        try:
            wait_until(lambda: child in sent_with(), "the child has observed")
            assert sent_with() == {child}
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_callback_may_fork(http_receiver: HttpReceiver) -> None:
    program = """
pids = []

def observe(options):
    if not pids:
        pids.append(os.fork())
    return [Observation(1, {"process": "child" if pids == [0] else "parent"})]

meter.create_observable_counter("observed", [observe])
flushed = provider.force_flush()
if pids == [0]:
    os._exit(0 if flushed else 7)
tell(status=os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]))
"""
    ended = run(program, **destination(http_receiver))
    assert (ended.code, ended.fact("status")) == (0, 0), ended.stderr
    assert totals(http_receiver, "cumulative", "observed") == {"parent": 1, "child": 1}


def test_forks_while_other_threads_measure_and_collect(http_receiver: HttpReceiver, temporality: str) -> None:
    program = """
sys.setswitchinterval(1e-5)
go_on = True

def measure(number):
    while go_on:
        count(1, f"thread {number}")
        counters[number] += 1

def collect():
    while go_on:
        provider.force_flush()
        # A view of its own is looked up under locks.
        meter.create_counter(f"counter_{time.time_ns()}").add(1)

counters = [0] * 3
threads = [threading.Thread(target=measure, args=(number,)) for number in range(3)] + [threading.Thread(target=collect)]
for thread in threads:
    thread.start()
statuses = []
for number in range(20):
    if (pid := os.fork()) == 0:
        signal.alarm(30)
        count(number, f"child {number}")
        os._exit(0 if provider.force_flush(20_000) else 7)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
go_on = False
for thread in threads:
    thread.join()
tell(statuses=statuses, counters=counters)
"""
    ended = run(program, **destination(http_receiver, temporality))
    assert ended.code == 0, ended.stderr
    assert ended.fact("statuses") == [0] * 20, ended.stderr
    expected = {f"thread {number}": count for number, count in enumerate(ended.fact("counters"))}
    expected |= {f"child {number}": number for number in range(20)}
    assert all_totals(http_receiver, temporality) == expected


def test_what_was_shut_down_stays_so_in_a_child(http_receiver: HttpReceiver) -> None:
    program = """
count(1, "parent")
provider.shutdown()
if (pid := os.fork()) == 0:
    signal.alarm(30)
    count(1, "child")
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    ended = run(program, **destination(http_receiver))
    assert ended.code == 0, ended.stderr
    assert totals(http_receiver, "cumulative") == {"parent": 1}


# --- Nobody waits ----------------------------------------------------------------------------------------------------


def test_collection_needs_no_python(http_receiver: HttpReceiver) -> None:
    program = """
provider, exporter = metering(interval=50)
counter = provider.get_meter("test").create_counter("counter")
counter.add(1, {"process": "main"})
tell(threads=[thread.name for thread in threading.enumerate()])
ctypes.PyDLL(None).usleep(ctypes.c_uint(900_000))  # with the GIL
os._exit(0)
"""
    ended = run(program, **destination(http_receiver))
    assert ended.code == 0, ended.stderr
    assert ended.fact("threads") == ["MainThread"]
    assert len(list(points(http_receiver, "counter"))) >= 5


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_a_process_that_measures_nothing_needs_no_thread(http_receiver: HttpReceiver) -> None:
    program = """
before = len(os.listdir("/proc/self/task"))
provider.force_flush()
tell(more=len(os.listdir("/proc/self/task")) - before)
count(1, "main")
tell(more_then=len(os.listdir("/proc/self/task")) - before)
"""
    ended = run(program, **destination(http_receiver))
    assert (ended.code, ended.fact("more"), ended.fact("more_then")) == (0, 0, 1), ended.stderr


def test_a_receiver_that_hangs_keeps_nobody_waiting(receiver: Receiver) -> None:
    receiver.fall_silent()
    program = """
def timed(call):
    started = time.monotonic()
    result = call()
    return result, time.monotonic() - started

count(1, "main")
tell(flush=timed(lambda: provider._metric_readers[0].force_flush(300)), of_all=timed(lambda: provider.force_flush(300)))
longest = max(timed(lambda: count(1, "main"))[1] for _ in range(10_000))
tell(longest=longest, shutdown=timed(lambda: provider.shutdown(300))[1], counts=exporter.counts())
"""
    ended = run(program, **destination(receiver))
    assert ended.code == 0, ended.stderr
    for flush in ("flush", "of_all"):
        in_time, seconds = ended.fact(flush)
        assert in_time is False
        assert 0.3 <= seconds < 3
    assert ended.fact("longest") < 0.3
    assert ended.fact("shutdown") < 3
    counts = ended.fact("counts")
    assert (counts["exported"], counts["in_flight"]) == (0, 0)
    # Two points of each collection; those after the first had no time left, or were broken off.
    assert counts["failed"] in (2, 4, 6)


def test_an_export_ends_at_the_readers_timeout(receiver: Receiver) -> None:
    receiver.fall_silent()
    program = """
count(1, "main")
started = time.monotonic()
flushed = provider.force_flush(9_000)
tell(flushed=flushed, seconds=time.monotonic() - started, counts=exporter.counts())
os._exit(0)
"""
    environment = destination(receiver, OTEL_METRIC_EXPORT_TIMEOUT="400", OTEL_EXPORTER_OTLP_TIMEOUT="60")
    ended = run(program, **environment)
    assert ended.code == 0, ended.stderr
    assert ended.fact("flushed") is True, "what is given up is not waited for"
    assert 0.4 <= ended.fact("seconds") < 5
    assert ended.fact("counts")["failed"] == 2


def test_a_callback_that_hangs_costs_itself(http_receiver: HttpReceiver, temporality: str) -> None:
    program = """
def hang(options):
    time.sleep(60)
    return []

meter.create_observable_gauge("observed", [hang])
count(3, "main")
started = time.monotonic()
provider.shutdown(2_000)
tell(seconds=time.monotonic() - started)
os._exit(0)
"""
    ended = run(program, **destination(http_receiver, temporality))
    assert ended.code == 0, ended.stderr
    assert ended.fact("seconds") < 2 + 3
    assert all_totals(http_receiver, temporality) == {"main": 3}


def test_failed_deltas_are_counted(http_receiver: HttpReceiver) -> None:
    http_receiver.answers = [Answer(400)]
    program = """
count(3, "main")
provider.force_flush()
count(4, "main")
provider.force_flush()
tell(counts=exporter.counts())
"""
    ended = run(program, **destination(http_receiver, "delta"))
    assert ended.code == 0, ended.stderr
    counts = ended.fact("counts")
    assert (counts["failed"], counts["exported"]) == (2, 2)
    assert ended.stderr.count("Failed to export 2 metrics") == 1


def test_readers_of_one_exit_share_its_deadline(http_receiver: HttpReceiver) -> None:
    http_receiver.fall_silent()
    program = """
providers = [metering()[0] for _ in range(3)]
for each in providers:
    each.get_meter("test").create_counter("counter").add(1, {"process": "main"})
atexit.register(lambda: tell(ending=time.monotonic()))
"""
    ended = run(program, DEADLINE_SECONDS, **destination(http_receiver, OTEL_RS_EXIT_TIMEOUT="1500"))
    assert ended.code == 0, ended.stderr
    assert ended.at - ended.fact("ending") < 1.5 + 3
