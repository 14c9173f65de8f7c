"""Every span is counted after every kind of failure: created = exported + rejected + failed + dropped."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPLogExporter as GrpcLogExporter
from otel_rs.exporter.otlp.grpc import OTLPMetricExporter as GrpcMetricExporter
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPLogExporter as HttpLogExporter
from otel_rs.exporter.otlp.http import OTLPMetricExporter as HttpMetricExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter

from ..support.receiver import DEADLINE_SECONDS, Answer, GrpcReceiver, HttpReceiver, wait_until
from .test_otlp_logs import record
from .test_otlp_metrics import data, gauge, number_point

pytestmark = pytest.mark.installed

HOUR_MILLIS = 3_600_000


def finished_spans(counts: dict[str, int]) -> int:
    """The number of spans that are no longer pending; asserts that the counts add up."""
    done = sum(counts[part] for part in ("exported", "rejected", "failed", "dropped"))
    assert counts["created"] == done + counts["pending"]
    assert counts["in_flight"] <= counts["pending"]
    return done


def partial_success(rejected: int) -> bytes:
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message="not these")
    return ExportTraceServiceResponse(partial_success=partial).SerializeToString()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def resetting() -> Iterator[int]:
    """The port of a server that resets every connection as soon as data arrive."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(10)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(DEADLINE_SECONDS)


@pytest.fixture
def run() -> Iterator[Callable[..., Any]]:
    """`run(exporter, ...)`: 8 threads end 200 spans each while exports fail; then a flush, then shutdown."""
    made = []

    def run(exporter: Any, flush_millis: int = 2_000, **settings: Any) -> tuple[BatchSpanProcessor, dict[str, int]]:
        settings = {"max_queue_size": 5_000, "max_export_batch_size": 50, "schedule_delay_millis": 20, **settings}
        processor = BatchSpanProcessor(exporter, **settings)
        made.append(processor)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        tracer = provider.get_tracer("test")

        def work() -> None:
            for number in range(200):
                with tracer.start_as_current_span(f"span {number}") as span:
                    span.set_attribute("number", number)
                if number % 50 == 0:
                    finished_spans(processor.counts())

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
        processor.force_flush(flush_millis)
        finished_spans(processor.counts())
        processor.shutdown(500)
        counts = wait_until(lambda: (c := processor.counts())["pending"] == 0 and c, "nothing is pending")
        assert counts["created"] == finished_spans(counts) == 1_600
        exports = exporter.counts()
        assert exports["in_flight"] == 0
        for part in ("exported", "rejected", "failed"):
            assert exports[part] == counts[part]
        return processor, counts

    yield run
    for processor in made:
        processor.shutdown(100)


def refusals(receiver: Any) -> dict[str, Answer]:
    if isinstance(receiver, HttpReceiver):
        return {
            "refused": Answer(400, body=b"bad"),
            "unauthorised": Answer(401),
            "broken": Answer(500),
            "unavailable": Answer(503),
            "too many": Answer(429, {"retry-after": "0"}),
            "too large": Answer(413),
            "not OTLP": Answer(200, body=b"<html>"),
            "partial": Answer(200, body=partial_success(3)),
            "more than all": Answer(200, body=partial_success(10_000)),
        }
    status = grpc.StatusCode
    return {
        "refused": Answer(status.INVALID_ARGUMENT, body=b"bad"),
        "unauthorised": Answer(status.UNAUTHENTICATED),
        "broken": Answer(status.INTERNAL),
        "unavailable": Answer(status.UNAVAILABLE),
        "too many": Answer(status.RESOURCE_EXHAUSTED, body=b"quota"),
        "too large": Answer(status.RESOURCE_EXHAUSTED, body=b"received message larger than max (9 vs. 4)"),
        "not OTLP": Answer(status.OK, body=b"<html>"),
        "partial": Answer(status.OK, body=partial_success(3)),
        "more than all": Answer(status.OK, body=partial_success(10_000)),
    }


@pytest.mark.parametrize("refusal", list(refusals(None)))
@pytest.mark.parametrize("always", [True, False], ids=["always", "now and then"])
def test_every_span_is_accounted_for(receiver: Any, exporter_to: Any, run: Any, refusal: str, always: bool) -> None:
    refused = refusals(receiver)[refusal]
    good = Answer(200 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.OK)
    receiver.answers = [refused] * 5_000 if always else [good, refused, refused] * 1_000
    if refusal in ("unavailable", "too many"):
        # Tried again until the timeout.
        exporter = exporter_to(receiver, timeout=0.3)
        _, counts = run(exporter)
    else:
        # Answered for good: nothing may be cut off, however slow the machine (where all is too large: 3,200 requests).
        exporter = exporter_to(receiver, timeout=DEADLINE_SECONDS)
        _, counts = run(exporter, flush_millis=int(DEADLINE_SECONDS * 1_000))
    exports = exporter.counts()
    if refusal == "too large":
        # If it always fails, each span alone fails, too.
        assert (counts["dropped"] == 1_600) == always
        assert exports["dropped"] == counts["dropped"]
    elif refusal in ("partial", "more than all"):
        assert counts["rejected"] > 0
        assert counts["failed"] == 0
        assert (counts["rejected"] == 1_600) == (always and refusal == "more than all")
    elif refusal == "not OTLP":
        assert counts["exported"] == 1_600
    elif always:
        assert counts["exported"] == 0
        assert counts["failed"] > 0
    elif refusal == "too many" and isinstance(receiver, HttpReceiver):
        assert exports["retries"] > 0


@pytest.mark.parametrize("kind", [HttpSpanExporter, GrpcSpanExporter], ids=["http", "grpc"])
def test_every_span_is_accounted_for_when_no_server_listens(kind: Any, closed_port: int, run: Any) -> None:
    _, counts = run(kind(f"http://127.0.0.1:{closed_port}", timeout=0.1))
    assert counts["failed"] > 0
    assert counts["exported"] == 0


@pytest.mark.parametrize("kind", [HttpSpanExporter, GrpcSpanExporter], ids=["http", "grpc"])
def test_every_span_is_accounted_for_when_connections_are_reset(kind: Any, resetting: int, run: Any) -> None:
    _, counts = run(kind(f"http://127.0.0.1:{resetting}", timeout=0.1))
    assert counts["failed"] > 0
    assert counts["exported"] == 0


def test_every_span_is_accounted_for_when_no_server_answers(receiver: Any, exporter_to: Any, run: Any) -> None:
    receiver.fall_silent()
    _, counts = run(exporter_to(receiver), export_timeout_millis=100)
    assert counts["failed"] > 0
    assert counts["exported"] == 0


def test_every_span_is_accounted_for_when_the_receiver_stops(exporter_to: Any, run: Any) -> None:
    for kind in (HttpReceiver, GrpcReceiver):
        receiver = kind()
        stopping = threading.Timer(0.02, receiver.stop)
        stopping.start()
        _, counts = run(exporter_to(receiver, timeout=0.1))
        stopping.join()
        assert counts["exported"] <= len(receiver.spans())


def test_every_span_is_accounted_for_when_the_queue_is_small(receiver: Any, exporter_to: Any, run: Any) -> None:
    _, counts = run(exporter_to(receiver), max_queue_size=60)
    assert counts["exported"] == len(receiver.spans()) > 0


def test_retries_and_bytes_are_counted(receiver: Any, provider_to: Any) -> None:
    unavailable = 503 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.UNAVAILABLE
    receiver.answers = [Answer(unavailable), Answer(unavailable)]
    provider = provider_to(receiver)
    (processor,) = provider._active_span_processor._span_processors
    provider.get_tracer("test").start_span("span").end()
    assert processor.force_flush()
    counts = processor.span_exporter.counts()
    (sent,) = {request.message.ByteSize() for request in receiver.requests}
    assert len(receiver.requests) == 3
    assert counts == {
        "exported": 1,
        "rejected": 0,
        "failed": 0,
        "dropped": 0,
        "in_flight": 0,
        "retries": 2,
        "bytes": sent,
    }


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_metric_and_log_exporters_have_counts(receiver: Any, signal: str) -> None:
    unavailable = 503 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.UNAVAILABLE
    refused = 400 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.INVALID_ARGUMENT
    good = 200 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.OK
    # The three responses have the same bytes.
    receiver.answers = [Answer(unavailable), Answer(good), Answer(refused), Answer(good, body=partial_success(1))]
    exporter, telemetry = {
        ("metrics", "http"): (HttpMetricExporter, data(gauge(number_point(1)), gauge(number_point(2)))),
        ("metrics", "grpc"): (GrpcMetricExporter, data(gauge(number_point(1)), gauge(number_point(2)))),
        ("logs", "http"): (HttpLogExporter, [record(), record()]),
        ("logs", "grpc"): (GrpcLogExporter, [record(), record()]),
    }[signal, receiver.protocol]
    exporter = exporter(endpoint=receiver.endpoint_of(signal))
    results = [exporter.export(telemetry).name for _ in range(3)]
    exporter.shutdown()
    assert results == ["SUCCESS", "FAILURE", "SUCCESS"]
    sizes = [request.message.ByteSize() for request in receiver.requests]
    assert exporter.counts() == {
        "exported": 3,
        "rejected": 1,
        "failed": 2,
        "dropped": 0,
        "in_flight": 0,
        "retries": 1,
        "bytes": sum(sizes[1:]),
    }


def test_an_operation_says_why_it_failed(receiver: Any, exporter_to: Any) -> None:
    over_http = isinstance(receiver, HttpReceiver)
    status = grpc.StatusCode
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = exporter_to(receiver, timeout=0.3)
    native = exporter._native
    native.record_operations()

    def operation() -> tuple[str | None, int | str | None]:
        span = provider.get_tracer("test").start_span("span")
        span.end()
        exporter.export([span])
        ((seconds, error, code),) = native.take_operations()
        assert 0 < seconds < DEADLINE_SECONDS
        return error, code

    answers: list[tuple[Answer, str | None, int | str | None]] = [
        (Answer(400), "400", 400),
        (Answer(503), "503", 503),
        (Answer(413), "RequestPayloadTooLargeError", 413),
        (Answer(200, body=partial_success(1)), "rejected", None),
        (Answer(200), None, None),
    ]
    if not over_http:
        answers = [
            (Answer(status.INVALID_ARGUMENT), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
            (Answer(status.UNAVAILABLE), "UNAVAILABLE", "UNAVAILABLE"),
            (
                Answer(status.RESOURCE_EXHAUSTED, body=b"message larger than max"),
                "RequestPayloadTooLargeError",
                "RESOURCE_EXHAUSTED",
            ),
            (Answer(status.OK, body=partial_success(1)), "rejected", None),
            (Answer(status.OK), None, None),
        ]
    for answer, error, code in answers:
        receiver.answers = [answer]
        assert operation() == (error, code)
    receiver.fall_silent()
    # gRPC has its own codes for connection failures.
    assert operation() == ("timeout", None if over_http else "DEADLINE_EXCEEDED")


@pytest.mark.parametrize(
    ("kind", "code"), [(HttpSpanExporter, None), (GrpcSpanExporter, "UNAVAILABLE")], ids=["http", "grpc"]
)
def test_an_operation_without_a_connection_has_an_error_code(kind: Any, code: str | None, closed_port: int) -> None:
    exporter = kind(f"http://127.0.0.1:{closed_port}", timeout=0.1)
    exporter._native.record_operations()
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
    span.end()
    exporter.export([span])
    ((_, error, status),) = exporter._native.take_operations()
    assert (error, status) == ("connection", code)


def test_an_outage_logs_one_line_and_its_end_another(
    receiver: Any, exporter_to: Any, provider_to: Any, log: Any
) -> None:
    refused = 400 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.INVALID_ARGUMENT
    receiver.answers = [Answer(refused)] * 3
    provider = provider_to(receiver)
    (processor,) = provider._active_span_processor._span_processors
    tracer = provider.get_tracer("test")
    for _ in range(6):
        tracer.start_span("span").end()
        assert processor.force_flush()
    failed, works = [line for line in log() if "export of traces" in line]
    assert failed.startswith("Failed to export 1 spans: ")
    assert re.fullmatch(
        r"OTLP/.* export of traces to http://127\.0\.0\.1:.* works again: 3 failed, with 3 spans", works
    )


@pytest.mark.parametrize(("claimed", "possible"), [(2**62, 2), (2**63 - 1, 2), (3, 2), (1, 1), (-5, 0), (-(2**63), 0)])
@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_a_receiver_rejects_no_more_than_it_was_sent(
    receiver: Any, provider_to: Any, signal: str, claimed: int, possible: int, caplog: pytest.LogCaptureFixture
) -> None:
    good = 200 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.OK
    receiver.answers = [Answer(good, body=partial_success(claimed))]
    if signal == "traces":
        provider = provider_to(receiver)
        for _ in range(2):
            provider.get_tracer("test").start_span("span").end()
        provider.force_flush()
        exporter = provider._active_span_processor._span_processors[0].span_exporter
        words = f"{possible} of 2 spans"
    else:
        kinds = {"metrics": (HttpMetricExporter, GrpcMetricExporter), "logs": (HttpLogExporter, GrpcLogExporter)}
        over_http, over_grpc = kinds[signal]
        kind = over_http if isinstance(receiver, HttpReceiver) else over_grpc
        exporter = kind(endpoint=receiver.endpoint_of(signal))
        points = data(gauge(number_point(1)), gauge(number_point(2)))
        exporter.export(points if signal == "metrics" else [record(), record()])
        words = f"{possible} data points" if signal == "metrics" else f"{possible} of 2 log records"
    counts = exporter.counts()
    assert (counts["rejected"], counts["exported"]) == (possible, 2 - possible)
    wait_until(lambda: f"The receiver rejected {words}: not these" in caplog.text, "the rejection is logged")
