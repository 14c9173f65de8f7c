"""Spans, log lines and measurements without a pause, with restarts, refusals, resets and flushes: resources do not
grow."""

from __future__ import annotations

import itertools
import statistics
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..support.receiver import Answer, GrpcReceiver, HttpReceiver, Receiver, message_at
from .durations import seconds
from .gate import Gate, forward, reset_at_once
from .running import TEMPORALITIES, Settings, application, destination_for

SOAK = seconds(20, nightly=1800)
MIB = 1024 * 1024
# A leak of a hundred bytes per span would be several times this limit in the last quarter of the time.
MOST_GROWTH = 2 * MIB


class Forgetful(Receiver):
    """Only counts spans, lines and what was measured, so that the test's own process does not grow."""

    def __init__(self) -> None:
        self.taken = 0
        self.lines = 0
        # The sum of all deltas, or the last cumulative sum.
        self.measured = 0
        super().__init__()

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        answer = super()._take(body, headers, path, encoded_size)
        with self._lock:
            self.requests.clear()
            if answer is None:
                request: Any = message_at(path).FromString(body)
                if isinstance(request, ExportTraceServiceRequest):
                    self.taken += sum(
                        len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans
                    )
                elif isinstance(request, ExportLogsServiceRequest):
                    self.lines += sum(
                        len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs
                    )
                else:
                    self._add(request)
        return answer

    def _add(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.sum.data_points if metric.name == "spans" else ():
                        if TEMPORALITIES[self.protocol] == "delta":
                            self.measured += point.as_int
                        else:
                            self.measured = max(self.measured, point.as_int)


class ForgetfulHttp(Forgetful, HttpReceiver):
    pass


class ForgetfulGrpc(Forgetful, GrpcReceiver):
    pass


RECEIVERS: dict[str, Any] = {"http": ForgetfulHttp, "grpc": ForgetfulGrpc}
REFUSALS: dict[str, list[Any]] = {
    "http": [Answer(503, {"retry-after": "0"}), Answer(400), Answer(503)],
    "grpc": [Answer(grpc.StatusCode.INTERNAL), Answer(grpc.StatusCode.UNAVAILABLE)],
}


@pytest.fixture
def receivers() -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        made = {}
        for name in ("healthy", "faulty"):
            for protocol, kind in RECEIVERS.items():
                made[f"{name} {protocol}"] = receiver = kind()
                stack.callback(receiver.stop)
        yield made


def cause_faults(gates: dict[str, Gate], receivers: dict[str, Any], done: threading.Event) -> None:
    """Causes one kind of fault after the other, with a pause after each."""
    for number in itertools.count():
        for protocol, gate in gates.items():
            match number % 3:
                case 0:
                    gate.close()
                    done.wait(0.05)
                    gate.open()
                case 1:
                    receivers[f"faulty {protocol}"].answers = list(REFUSALS[protocol])
                case 2:
                    gate.serve = reset_at_once
                    gate.close()
                    gate.open()
                    done.wait(0.05)
                    gate.serve = forward
        if done.wait(0.3):
            return


@pytest.mark.timeout(SOAK + 120)
def test_memory_threads_and_descriptors_do_not_grow(receivers: dict[str, Any]) -> None:
    with ExitStack() as stack:
        gates = {}
        for protocol in RECEIVERS:
            gates[protocol] = gate = Gate(receivers[f"faulty {protocol}"].port)
            stack.callback(gate.stop)
            gate.open()
        # A small queue that is soon full, so that queued spans do not look like growth.
        processor = {"max_queue_size": 2_048}
        destinations = {
            name: destination_for(
                receiver,
                port=gates[receiver.protocol].port if name.startswith("faulty") else None,
                timeout=5,
                processor=processor,
                metrics=True,
                logs="of spans",
            )
            for name, receiver in receivers.items()
        }
        settings = Settings(destinations, SOAK, threads=2, flush_every=1, flush_millis=100, sample_every=0.05)
        done = threading.Event()
        troubling = threading.Thread(target=cause_faults, args=(gates, receivers, done))
        troubling.start()
        try:
            with application(settings) as running:
                report = running.report()
        finally:
            done.set()
            troubling.join()
    assert report["wrong"] == []
    for name, each in report["destinations"].items():
        receiver = receivers[name]
        for counts, taken in ((each["counts"], receiver.taken), (each["logs"]["counts"], receiver.lines)):
            assert counts["created"] == each["ended"]
            assert counts["pending"] == 0
            assert counts["exported"] > each["ended"] / 20
            if name.startswith("healthy"):
                assert counts["exported"] == each["ended"] == taken == receiver.measured
            else:
                # Requests that were answered too late were sent again.
                assert counts["exported"] <= taken
        if name.startswith("faulty"):
            assert each["counts"]["failed"] + each["logs"]["counts"]["failed"] > 0
        assert all(took < 2 for _, took in each["flushes"])

    samples = report["samples"]
    half = samples[len(samples) // 2 :]
    third, last = half[: len(half) // 2], half[len(half) // 2 :]
    for what in ("threads", "descriptors"):
        before, after = (max(sample[what] for sample in part) for part in (third, last))
        print(f"{what}: at most {before}, then {after}")
        # Connections open and close; a leak at every reconnect would add dozens.
        assert after <= before + (2 if what == "descriptors" else 0)
    before, after = (statistics.median(sample["bytes"] for sample in part) for part in (third, last))
    spans = sum(each["ended"] for each in report["destinations"].values())
    print(f"memory: {before / MIB:.2f} MiB, then {after / MIB:.2f} MiB; {spans} spans in all")
    assert after - before < MOST_GROWTH
