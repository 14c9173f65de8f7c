"""Bad arguments: ValueError in a program that uses our names, one line in one that was written for the stock SDK."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpc
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as StockMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttp
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor as StockBatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_rs
from otel_rs import BatchSpanProcessor
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as Grpc
from otel_rs.exporter.otlp.http import OTLPMetricExporter as Metrics
from otel_rs.exporter.otlp.http import OTLPSpanExporter as Http

CASES = [
    (Http, StockHttp, {"endpoint": "localhost:4318"}),
    (Http, StockHttp, {"endpoint": b"http://user:secret@localhost:4318"}),
    (Http, StockHttp, {"endpoint": "https://localhost:1", "certificate_file": "/no/such/file.pem"}),
    (Http, StockHttp, {"timeout": -1}),
    (Http, StockHttp, {"timeout": 0}),
    (Http, StockHttp, {"timeout": math.nan}),
    (Http, StockHttp, {"timeout": math.inf}),
    (Http, StockHttp, {"timeout": "5"}),
    (Http, StockHttp, {"max_request_size": 5.5}),
    (Http, StockHttp, {"headers": {"a name": "secret"}}),
    (Http, StockHttp, {"headers": {"name": ["secret"]}}),
    (Grpc, StockGrpc, {"timeout": -1}),
    (Grpc, StockGrpc, {"timeout": math.nan}),
    (Grpc, StockGrpc, {"retryable_error_codes": ["SOON"]}),
    (Metrics, StockMetrics, {"max_export_batch_size": 0}),
    (BatchSpanProcessor, StockBatchSpanProcessor, {"schedule_delay_millis": math.nan}),
    (BatchSpanProcessor, StockBatchSpanProcessor, {"export_timeout_millis": -1}),
    (BatchSpanProcessor, StockBatchSpanProcessor, {"export_timeout_millis": math.nan}),
    (BatchSpanProcessor, StockBatchSpanProcessor, {"max_export_batch_size": 5.5}),
]
each_case = pytest.mark.parametrize(
    ("ours", "stock", "arguments"), CASES, ids=[f"{ours.__name__}-{given}" for ours, _, given in CASES]
)

# What the stock class refuses, too.
REFUSED = [{"max_queue_size": 0}, {"schedule_delay_millis": -1}, {"max_export_batch_size": 4096}]


def make(kind: type[Any], arguments: dict[str, Any]) -> Any:
    exporter = (InMemorySpanExporter(),) if "BatchSpanProcessor" in kind.__name__ else ()
    return kind(*exporter, **arguments)


@pytest.fixture
def installed() -> Iterator[None]:
    otel_rs.install()
    yield
    otel_rs.uninstall()


@each_case
def test_our_names_raise(ours: Any, stock: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=list(arguments)[-1]) as caught:
        make(ours, arguments)
    assert "secret" not in str(caught.value)


@each_case
def test_what_stock_takes_does_not_raise_while_installed(
    ours: Any, stock: Any, arguments: dict[str, Any], installed: None, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BatchProcessor, "worker", lambda self: None)
        make(stock, arguments)
    log()
    for _ in range(2):
        make(ours, arguments).shutdown()
    (line,) = [line for line in log() if "accepted: " in line]
    assert line.startswith("argument ")
    assert list(arguments)[-1] in line
    assert "secret" not in line
    assert "Traceback" not in line


@pytest.mark.parametrize("arguments", REFUSED, ids=str)
def test_what_stock_refuses_is_refused_while_installed(arguments: dict[str, Any], installed: None) -> None:
    with pytest.raises(ValueError, match="must be") as expected:
        make(StockBatchSpanProcessor, arguments)
    with pytest.raises(ValueError, match="must be") as caught:
        make(BatchSpanProcessor, arguments)
    assert str(caught.value) == str(expected.value)


def test_a_bad_argument_leaves_the_variable_in_force(
    installed: None, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "7")
    exporter = Http(timeout=-1)
    (line,) = log()
    assert line.endswith("Using 7 seconds, from OTEL_EXPORTER_OTLP_TIMEOUT.")
    assert exporter._client._timeout == 7


def test_arguments_raise_again_after_uninstall() -> None:
    otel_rs.install()
    otel_rs.uninstall()
    with pytest.raises(ValueError, match="timeout"):
        Http(timeout=-1)


def test_an_argument_that_collides_with_a_variable_does_not_raise(monkeypatch: pytest.MonkeyPatch, log: Any) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    processor = BatchSpanProcessor(InMemorySpanExporter(), max_export_batch_size=512)
    (line,) = log()
    assert line.startswith("OTEL_BSP_MAX_QUEUE_SIZE is 100")
    assert line.endswith("A batch holds 100.")
    processor.shutdown()
