"""A forked child starts clean: its own ids, its own connections, an empty queue. The parent is not affected."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otel_rs import BatchSpanProcessor, TracerProvider

from ..support.authority import Authority
from ..support.receiver import DEADLINE_SECONDS, HttpReceiver, ServerTls, started, wait_until

# Python 3.12 and later warn about a fork in a process with threads, which is what these tests do.
pytestmark = [
    pytest.mark.sanitize,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning"),
]


class Child:
    """Runs a function in a forked child. The child never returns into the test."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self._reading)
                signal.alarm(int(DEADLINE_SECONDS))  # kills a child that hangs
                os.write(writing, repr(function()).encode())
                status = 0
            except BaseException:
                os.write(writing, traceback.format_exc().encode())
            finally:
                os._exit(status)
        os.close(writing)

    def result(self) -> Any:
        """Waits for the child's end; returns the function's result."""
        with os.fdopen(self._reading, "rb") as pipe:
            text = pipe.read().decode()
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, f"the child ended with {status}: {text}"
        return eval(text)


def names(receiver: Any) -> Counter:
    return Counter(span.name for span in receiver.spans())


def test_parent_and_child_export_their_own_spans_once(receiver: Any, provider_to: Any) -> None:
    provider = provider_to(receiver)
    tracer = provider.get_tracer("test")
    tracer.start_span("before the fork, flushed").end()
    assert provider.force_flush()
    tracer.start_span("before the fork, waiting").end()

    def child() -> Any:
        tracer.start_span("in the child").end()
        return provider.force_flush(10_000)

    assert Child(child).result() is True
    tracer.start_span("after the fork").end()
    assert provider.force_flush()
    assert names(receiver) == {
        "before the fork, flushed": 1,
        "before the fork, waiting": 1,
        "in the child": 1,
        "after the fork": 1,
    }


def test_a_child_exports_without_a_flush(http_receiver: Any, exporter_to: Any) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter_to(http_receiver), schedule_delay_millis=20))
    tracer = provider.get_tracer("test")
    tracer.start_span("parent").end()
    http_receiver.wait_for_spans(1)
    done_reading, done = os.pipe()

    def child() -> None:
        os.close(done)
        tracer.start_span("child").end()
        os.read(done_reading, 1)  # until the parent has seen the span

    forked = Child(child)
    http_receiver.wait_for_spans(2)
    os.close(done)
    forked.result()
    os.close(done_reading)
    assert names(http_receiver) == {"parent": 1, "child": 1}
    provider.shutdown()


def test_ids_of_parent_and_children_differ(tracer: Any) -> None:
    def make() -> list[tuple[int, int]]:
        contexts = [tracer.start_span("span").get_span_context() for _ in range(100)]
        return [(context.trace_id, context.span_id) for context in contexts]

    make()
    ids = [id for child in [Child(make) for _ in range(4)] for id in child.result()] + make()
    assert len({trace for trace, _ in ids}) == len({span for _, span in ids}) == 500


def test_a_child_forks_another_child(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    tracer = provider.get_tracer("test")
    tracer.start_span("parent").end()

    def grandchild() -> Any:
        tracer.start_span("grandchild").end()
        return provider.force_flush(10_000)

    def child() -> Any:
        tracer.start_span("child").end()
        return Child(grandchild).result(), provider.force_flush(10_000)

    assert Child(child).result() == (True, True)
    assert provider.force_flush()
    assert names(http_receiver) == {"parent": 1, "child": 1, "grandchild": 1}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_a_child_that_is_forked_during_a_handshake_can_make_its_own(tmp_path: Path, exporter_to: Any) -> None:
    """A lock that the cryptography below TLS keeps for long would be taken for ever in the second child."""
    authority = Authority(tmp_path, "authority")
    for receiver in started(HttpReceiver, ServerTls(*authority.sign("server"))):
        exporter = exporter_to(receiver, certificate_file=authority.certificate, timeout=5)
        # Made before the forks: upstream's Resource takes a lock of Python's, which a child would find taken.
        span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
        span.end()

        def export(exporter: Any = exporter, span: Any = span) -> str:
            return str(exporter.export([span]).name)

        def child(export: Any = export) -> list[str]:
            handshake = threading.Thread(target=export)
            handshake.start()
            grandchildren = []
            while handshake.is_alive() and len(grandchildren) < 24:
                grandchildren.append(Child(export))
            results = [grandchild.result() for grandchild in grandchildren]
            handshake.join()
            return results

        assert export() == "SUCCESS"
        results = Child(child).result()
        assert results
        assert set(results) == {"SUCCESS"}


def test_a_span_open_at_the_fork_ends_in_both_processes(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    span = provider.get_tracer("test").start_span("open")

    def child() -> Any:
        span.set_attribute("child", True)
        span.end()
        return provider.force_flush(10_000)

    assert Child(child).result() is True
    assert "child" not in span.attributes
    span.end()
    assert provider.force_flush()
    assert names(http_receiver) == {"open": 2}


def test_the_current_span_is_the_parent_of_spans_in_the_child(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("request") as request:

        def child() -> Any:
            with tracer.start_as_current_span("work"):
                pass
            return provider.force_flush(10_000)

        assert Child(child).result() is True
    assert provider.force_flush()
    work = next(span for span in http_receiver.spans() if span.name == "work")
    assert work.parent_span_id == request.get_span_context().span_id.to_bytes(8, "big")


def test_forks_while_other_threads_make_spans(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver, {"schedule_delay_millis": 5, "max_export_batch_size": 10})
    tracer = provider.get_tracer("test")
    stop = threading.Event()
    made = Counter()

    def work(thread: int) -> None:
        while not stop.wait(0.0002):
            with tracer.start_as_current_span("busy", attributes={"list": [1, "a"]}) as span:
                span.add_event("event")
            made[thread] += 1

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()

    def child() -> Any:
        with tracer.start_as_current_span("child"):
            pass
        return provider.force_flush(20_000)

    try:
        for _ in range(20):
            assert Child(child).result() is True
    finally:
        stop.set()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
    assert provider.force_flush()
    assert names(http_receiver) == {"busy": sum(made.values()), "child": 20}


def test_counts_start_anew_in_a_child(http_receiver: Any, exporter_to: Any) -> None:
    processor = BatchSpanProcessor(exporter_to(http_receiver))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    for _ in range(3):
        provider.get_tracer("test").start_span("span").end()

    def child() -> Any:
        before = processor.counts()
        provider.get_tracer("test").start_span("span").end()
        provider.force_flush(10_000)
        return before, processor.counts()

    before, after = Child(child).result()
    assert set(before.values()) == {0}
    assert (after["created"], after["exported"]) == (1, 1)
    assert processor.counts()["created"] == 3
    provider.shutdown()
    assert processor.counts()["exported"] == 3


def test_a_shutdown_in_a_child_does_not_affect_the_parent(receiver: Any, provider_to: Any) -> None:
    provider = provider_to(receiver)
    tracer = provider.get_tracer("test")
    tracer.start_span("before").end()

    def child() -> Any:
        tracer.start_span("child").end()
        provider.shutdown()
        tracer.start_span("too late").end()

    Child(child).result()
    tracer.start_span("after").end()
    assert provider.force_flush()
    assert names(receiver) == {"before": 1, "child": 1, "after": 1}


def test_a_shut_down_processor_stays_shut_down_in_a_child(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    provider.get_tracer("test").start_span("before").end()
    provider.shutdown()

    def child() -> Any:
        provider.get_tracer("test").start_span("child").end()
        return provider.force_flush(1_000)

    assert Child(child).result() is False
    assert names(http_receiver) == {"before": 1}


def test_an_exporter_that_was_used_before_the_fork_works_in_the_child(receiver: Any, exporter_to: Any) -> None:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter_to(receiver)))
    tracer = provider.get_tracer("test")
    tracer.start_span("before").end()
    Child(lambda: tracer.start_span("child").end()).result()
    tracer.start_span("after").end()
    assert names(receiver) == {"before": 1, "child": 1, "after": 1}


def test_a_python_exporter_behind_the_batch_processor_works_in_the_child(http_receiver: Any) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(http_receiver.endpoint), schedule_delay_millis=3_600_000)
    )
    tracer = provider.get_tracer("test")
    tracer.start_span("before").end()

    def child() -> Any:
        tracer.start_span("child").end()
        return provider.force_flush(10_000)

    assert Child(child).result() is True
    assert provider.force_flush()
    assert names(http_receiver) == {"before": 1, "child": 1}
    provider.shutdown()


PROCESS_ID = """
import os, sys
from opentelemetry.sdk.resources import Resource, ProcessResourceDetector
from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.http import OTLPSpanExporter
from opentelemetry.sdk.resources import get_aggregated_resources

provider = TracerProvider(resource=get_aggregated_resources([ProcessResourceDetector()]))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1])))
tracer = provider.get_tracer("test")
tracer.start_span("before").end()
if pid := os.fork():
    _, status = os.waitpid(pid, 0)
    assert status == 0
    tracer.start_span("after").end()
else:
    tracer.start_span("child").end()
# Both processes exit normally, without an explicit flush.
"""


def test_both_processes_deliver_at_their_exit(http_receiver: Any) -> None:
    program = subprocess.Popen([sys.executable, "-W", "ignore", "-c", PROCESS_ID, http_receiver.endpoint])
    assert program.wait(DEADLINE_SECONDS) == 0
    assert names(http_receiver) == {"before": 1, "child": 1, "after": 1}


def test_the_resource_is_refreshed_in_a_child_as_upstream_does(http_receiver: Any, provider_to: Any) -> None:
    from opentelemetry.sdk import trace as sdk
    from opentelemetry.sdk.resources import Resource

    resource = Resource({"service.name": "shop", "process.pid": os.getpid(), "service.instance.id": "parent"})
    stock = sdk.TracerProvider(shutdown_on_exit=False, resource=resource)
    provider = provider_to(http_receiver, resource=resource)
    tracer = provider.get_tracer("test")

    def child() -> Any:
        tracer.start_span("span").end()
        provider.force_flush(10_000)
        ours, theirs = dict(provider.resource.attributes), dict(stock.resource.attributes)
        return sorted(ours), sorted(theirs), ours.get("process.pid") == theirs.get("process.pid"), dict(ours)

    keys, expected, same_pid, attributes = Child(child).result()
    assert keys == expected
    assert same_pid
    (request,) = http_receiver.requests
    sent = request.message.resource_spans[0].resource.attributes
    assert {a.key: a.value.string_value or a.value.int_value for a in sent} == attributes
    tracer.start_span("span").end()
    assert provider.force_flush()
    sent = http_receiver.requests[1].message.resource_spans[0].resource.attributes
    assert {a.key: a.value.string_value or a.value.int_value for a in sent} == dict(resource.attributes)


FORK_IN_C = """
import ctypes, os, sys
from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.http import OTLPSpanExporter

provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1])))
tracer = provider.get_tracer("test")
tracer.start_span("before").end()
assert provider.force_flush()
tracer.start_span("waiting").end()
# The call keeps the GIL, as uWSGI does; Python's own fork hooks do not run.
pid = ctypes.PyDLL(None).fork()
span = tracer.start_span("after" if pid else "child")
span.end()
assert provider.force_flush(20_000)
print(span.get_span_context().trace_id, flush=True)
if pid:
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
else:
    os._exit(0)
"""


def test_a_fork_in_c_is_detected(http_receiver: Any) -> None:
    program = subprocess.run(
        [sys.executable, "-c", FORK_IN_C, http_receiver.endpoint],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert program.returncode == 0, program.stderr
    assert len(set(program.stdout.split())) == 2
    assert names(http_receiver) == {"before": 1, "waiting": 1, "child": 1, "after": 1}


DESCRIPTORS = """
import os, sys
from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.http import OTLPSpanExporter

def descriptors():
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            pass  # the descriptor of the listing itself
    return found

with open(os.devnull) as ours, open("/proc/self/status") as another:
    before = descriptors()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1])))
    provider.get_tracer("test").start_span("parent").end()
    assert provider.force_flush()
    connected = descriptors()
    if pid := os.fork():
        assert os.waitpid(pid, 0)[1] == 0
        provider.get_tracer("test").start_span("parent").end()
        assert provider.force_flush()
        assert descriptors() == connected, "the parent keeps its connection"
        os._exit(0)
    left = descriptors()
    lost = sorted(link.partition(":")[0] for number, link in connected.items() if number not in left)
    assert lost == ["anon_inode"] * 3 + ["socket"], (before, connected, left)
    assert before.items() <= left.items()
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child keeps what it inherited")
def test_a_child_closes_the_parents_connections(http_receiver: Any) -> None:
    program = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DESCRIPTORS, http_receiver.endpoint],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert program.returncode == 0, program.stderr
    assert names(http_receiver) == {"parent": 2}


def test_multiprocessing_with_fork(http_receiver: Any, provider_to: Any) -> None:
    import multiprocessing

    provider = provider_to(http_receiver)
    tracer = provider.get_tracer("test")
    tracer.start_span("parent").end()

    def work() -> None:
        with tracer.start_as_current_span("worker"):
            pass
        provider.force_flush(10_000)

    workers = [multiprocessing.get_context("fork").Process(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(DEADLINE_SECONDS)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert provider.force_flush()
    wait_until(lambda: names(http_receiver) == {"parent": 1, "worker": 4}, "every span arrives once")


TERMINATED = """
import multiprocessing, sys, time
from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.http import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1]), schedule_delay_millis=3_600_000))
multiprocessing = multiprocessing.get_context("fork")
ended = multiprocessing.Event()

def work():
    provider.get_tracer("test").start_span("child").end()
    ended.set()
    time.sleep(60)

child = multiprocessing.Process(target=work)
child.start()
assert ended.wait(20)
started = time.monotonic()
child.terminate()
child.join(20)
print(child.exitcode, time.monotonic() - started)
"""


@pytest.mark.parametrize("collector", ["answers", "hangs"])
def test_a_terminated_multiprocessing_child_still_dies_from_the_signal(collector: str, http_receiver: Any) -> None:
    if collector == "hangs":
        http_receiver.fall_silent()
    program = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TERMINATED, http_receiver.endpoint],
        env={**os.environ, "OTEL_RS_EXIT_TIMEOUT": "1000"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert program.returncode == 0, program.stderr
    exitcode, seconds = program.stdout.split()
    assert exitcode == "-15"
    assert float(seconds) < 1 + 3
    assert names(http_receiver) == {"child": 1}
