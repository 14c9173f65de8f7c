"""Whatever the collector does, the application's latency does not change, and every span, log record and data point is
counted."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from ..support.authority import Authority
from ..support.receiver import Answer, GrpcReceiver, HttpReceiver, ServerTls, wait_until
from .durations import seconds
from .gate import (
    Gate,
    Serve,
    answer_byte_by_byte,
    answer_without_end,
    read_nothing,
    reset_at_once,
    swallow,
)
from .running import Settings, application, counted, destination_for

RECEIVERS: dict[str, type[Any]] = {"http": HttpReceiver, "grpc": GrpcReceiver}
FAULTY = seconds(1, nightly=60)
# The export timeout; longer than the flush below, so that no export fails before.
TIMEOUT = FAULTY + 30
FLUSH_MILLIS = 400
HEALTHY_FLUSH_MILLIS = 20_000
SHUTDOWN_MILLIS = 300
# How far a deadline may be exceeded on a busy machine.
LATE_SECONDS = 2


class Collectors:
    """For each protocol a healthy receiver, and a faulty one."""

    def __init__(
        self, stack: ExitStack, baseline: dict[str, float] | None = None, tls: ServerTls | None = None
    ) -> None:
        self._stack = stack
        # The latencies of a run without faults.
        self.baseline = baseline
        self.healthy = {protocol: self._started(kind()) for protocol, kind in RECEIVERS.items()}
        self.faulty = {protocol: self._started(kind(tls)) for protocol, kind in RECEIVERS.items()}

    def _started(self, receiver: Any) -> Any:
        self._stack.callback(receiver.stop)
        return receiver

    def gates(self, serve: Callable[[str], Serve | None] = lambda _: None, **arguments: Any) -> dict[str, Gate]:
        """A closed gate in front of each faulty receiver."""
        gates = {
            protocol: Gate(receiver.port, serve(protocol), **arguments) for protocol, receiver in self.faulty.items()
        }
        for each in gates.values():
            self._stack.callback(each.stop)
        return gates


@pytest.fixture(scope="module")
def baseline() -> dict[str, float]:
    with ExitStack() as stack:
        destinations = run(collectors := Collectors(stack), settings(collectors, flush_millis=20_000))
        check_all_arrived(collectors, destinations)
    return destinations["http"]["latencies"]


@pytest.fixture
def collectors(baseline: dict[str, float]) -> Iterator[Collectors]:
    with ExitStack() as stack:
        yield Collectors(stack, baseline)


def settings(
    collectors: Collectors,
    gates: dict[str, Gate] | None = None,
    *,
    timeout: float = TIMEOUT,
    flush_millis: float = FLUSH_MILLIS,
    **arguments: Any,
) -> Settings:
    processor = {"export_timeout_millis": 1e3 * timeout}
    ports = {protocol: gate.port for protocol, gate in (gates or {}).items()}
    faulty = {
        f"faulty {protocol}": destination_for(
            receiver, port=ports.get(protocol), timeout=timeout, processor=processor, metrics=True, logs="of spans"
        )
        for protocol, receiver in collectors.faulty.items()
    }
    healthy = {
        f"healthy {protocol}": {
            **destination_for(receiver, metrics=True, logs="of spans"),
            "flush_millis": HEALTHY_FLUSH_MILLIS,
        }
        for protocol, receiver in collectors.healthy.items()
    }
    return Settings(
        {**healthy, **faulty},
        FAULTY,
        flush_millis=flush_millis,
        shutdown_millis=SHUTDOWN_MILLIS,
        **arguments,
    )


def run(collectors: Collectors, settings: Settings, inject_fault: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Checks what must hold in every case; returns the results of the faulty destinations by protocol."""
    with application(settings) as running:
        inject_fault()
        report = running.report()
    assert report["wrong"] == []
    destinations = report["destinations"]
    for protocol, receiver in collectors.healthy.items():
        healthy, faulty = destinations[f"healthy {protocol}"], destinations[f"faulty {protocol}"]
        check_latency(collectors.baseline, healthy["latencies"], faulty["latencies"])
        for each, flush_millis in ((healthy, HEALTHY_FLUSH_MILLIS), (faulty, settings.flush_millis)):
            logs = each["logs"]
            for counts in (each["counts"], logs["counts"]):
                done = sum(counts[part] for part in ("exported", "rejected", "failed", "dropped"))
                assert counts["created"] == each["ended"] == done
                assert counts["pending"] == 0
            ((_, flush_seconds),) = each["flushes"]
            assert flush_seconds < flush_millis / 1e3 + LATE_SECONDS
            assert each["shutdown"] < SHUTDOWN_MILLIS / 1e3 + LATE_SECONDS
            metrics = each["metrics"]
            assert metrics["counts"]["in_flight"] == 0
            for other in (metrics, logs):
                assert other["flushed"][1] < flush_millis / 1e3 + LATE_SECONDS
                assert other["shutdown"] < SHUTDOWN_MILLIS / 1e3 + LATE_SECONDS
        # Other destinations are not affected.
        assert healthy["counts"]["exported"] == healthy["ended"] == len(receiver.spans())
        assert healthy["logs"]["counts"]["exported"] == healthy["ended"] == len(receiver.log_records())
        assert spans_logged(receiver) == {span.span_id for span in receiver.spans() if span.name != "ballast"}
        assert counted(receiver) == {healthy["ended"]}
    return {protocol: destinations[f"faulty {protocol}"] for protocol in RECEIVERS}


def spans_logged(receiver: Any) -> set[bytes]:
    """Each span logs one line."""
    # Ballast is logged without a span.
    return {record.span_id for record in receiver.log_records() if record.span_id}


def check_latency(baseline: dict[str, float] | None, healthy: dict[str, float], faulty: dict[str, float]) -> None:
    """Compares latencies in nanoseconds. Healthy and faulty operations take turns, so that both see the same machine. A
    slowdown of both shows against the baseline, a run without faults at another time."""
    shown = f"faulty {faulty}, healthy {healthy}, baseline {baseline}"
    print(shown)
    assert faulty["median"] < 1.5 * healthy["median"] + 500, shown
    assert faulty["p99"] < 3 * healthy["p99"] + 50_000, shown
    if baseline:
        assert faulty["median"] < 5 * baseline["median"], shown
        assert faulty["p99"] < 10 * baseline["p99"] + 1_000_000, shown


def check_all_arrived(collectors: Collectors, destinations: dict[str, Any]) -> None:
    """A request that was answered too late was sent again, so a receiver may have a span twice."""
    for protocol, each in destinations.items():
        ((flushed, _),) = each["flushes"]
        assert flushed
        assert each["counts"]["exported"] == each["ended"]
        assert (each["logs"]["flushed"][0], each["logs"]["counts"]["exported"]) == (True, each["ended"])
        spans = {span.span_id for span in collectors.faulty[protocol].spans()}
        assert len(spans) == each["ended"]
        assert spans_logged(collectors.faulty[protocol]) == spans
        # The shutdown collects once more, and tries that once.
        flushed, _, failed = each["metrics"]["flushed"]
        assert (flushed, failed) == (True, 0)
        assert counted(collectors.faulty[protocol]) == {each["ended"]}


def check_none_arrived(collectors: Collectors, destinations: dict[str, Any]) -> None:
    for protocol, each in destinations.items():
        ((flushed, took),) = each["flushes"]
        assert not flushed
        assert took >= FLUSH_MILLIS / 1e3
        assert each["counts"]["exported"] == 0
        assert collectors.faulty[protocol].spans() == []
        assert not each["logs"]["flushed"][0]
        assert each["logs"]["counts"]["exported"] == 0
        assert collectors.faulty[protocol].log_records() == []
        metrics = each["metrics"]
        assert not metrics["flushed"][0]
        assert metrics["counts"]["exported"] == 0
        assert metrics["counts"]["failed"] > 0
        assert collectors.faulty[protocol].metrics() == []


def test_a_collector_that_is_down_at_start_gets_all_when_it_comes_up(collectors: Collectors) -> None:
    gates = collectors.gates()
    opening = [threading.Timer(FAULTY / 2, each.open) for each in gates.values()]
    for each in opening:
        each.start()
    destinations = run(collectors, settings(collectors, gates, flush_millis=20_000))
    for each in opening:
        each.join()
    check_all_arrived(collectors, destinations)


def test_a_collector_that_stays_down_does_not_block_the_application(collectors: Collectors) -> None:
    check_none_arrived(collectors, run(collectors, settings(collectors, collectors.gates())))


def test_a_collector_that_restarts_all_the_time_gets_all(collectors: Collectors) -> None:
    gates = collectors.gates()
    done = threading.Event()
    restarts = 0

    def restart() -> None:
        nonlocal restarts
        while not done.wait(seconds(0.3, nightly=1)):
            restarts += 1
            for each in gates.values():
                each.close()
            done.wait(0.05)
            for each in gates.values():
                each.open()

    for each in gates.values():
        each.open()
    restarting = threading.Thread(target=restart)
    try:
        destinations = run(collectors, settings(collectors, gates, flush_millis=30_000), restarting.start)
    finally:
        done.set()
        restarting.join()
    assert restarts >= 2
    assert all(gate.accepted >= 2 for gate in gates.values()), "it connected again"
    check_all_arrived(collectors, destinations)


NASTY: dict[str, Callable[[str], Serve | None]] = {
    "hangs after accept": lambda _: swallow,
    "answers byte by byte without an end": lambda protocol: answer_without_end(protocol, 0.005),
    "resets": lambda _: reset_at_once,
}


@pytest.mark.parametrize("serve", NASTY.values(), ids=NASTY)
def test_a_collector_that_never_answers_does_not_block_the_application(collectors: Collectors, serve: Any) -> None:
    gates = collectors.gates(serve)
    for each in gates.values():
        each.open()
    check_none_arrived(collectors, run(collectors, settings(collectors, gates)))
    assert all(each.accepted for each in gates.values())


def test_a_collector_that_does_not_accept_does_not_block_the_application(collectors: Collectors) -> None:
    gates = collectors.gates()
    for each in gates.values():
        each.listen_without_accepting()
    check_none_arrived(collectors, run(collectors, settings(collectors, gates)))


def test_a_collector_that_reads_nothing_does_not_block_the_application(collectors: Collectors) -> None:
    """It reads nothing, so that not even requests arrive."""
    gates = collectors.gates(read_nothing, receive_buffer=4096)
    for each in gates.values():
        each.open()
    # One for each concurrent export; the socket buffers hold less than one of them.
    check_none_arrived(collectors, run(collectors, settings(collectors, gates, ballast=4)))
    assert all(each.accepted for each in gates.values())


def test_a_collector_that_answers_byte_by_byte_gets_all(collectors: Collectors) -> None:
    gates = collectors.gates(lambda _: answer_byte_by_byte(0.001))
    for each in gates.values():
        each.open()
    check_all_arrived(collectors, run(collectors, settings(collectors, gates, flush_millis=20_000)))


def test_a_collector_that_is_unavailable_for_a_while_gets_all(collectors: Collectors) -> None:
    unavailable = {"http": Answer(503), "grpc": Answer(grpc.StatusCode.UNAVAILABLE)}
    for protocol, receiver in collectors.faulty.items():
        receiver.answers = [unavailable[protocol]] * 100_000

    def recover() -> None:
        for receiver in collectors.faulty.values():
            with receiver._lock:
                receiver.answers.clear()
                # These were refused, so they do not count as received.
                receiver.requests.clear()

    def recover_later() -> None:
        wait_until(lambda: all(each.requests for each in collectors.faulty.values()), "both have refused a request")
        recovering.start()

    recovering = threading.Timer(FAULTY / 2, recover)
    destinations = run(collectors, settings(collectors, flush_millis=20_000), recover_later)
    recovering.join()
    check_all_arrived(collectors, destinations)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "bad"])
def test_a_collector_with_a_bad_certificate_does_not_block_the_application(
    tmp_path: Path, baseline: dict[str, float], trusted: bool
) -> None:
    """With a good certificate all spans arrive, which shows that the certificate makes the difference."""
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    environment = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str((authority if trusted else other).certificate)}
    with ExitStack() as stack:
        collectors = Collectors(stack, baseline, ServerTls(*authority.sign("server")))
        flush_millis = 20_000 if trusted else FLUSH_MILLIS
        run_settings = settings(collectors, flush_millis=flush_millis, environment=environment)
        check = check_all_arrived if trusted else check_none_arrived
        check(collectors, run(collectors, run_settings))
