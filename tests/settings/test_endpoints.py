"""Endpoints, files and other settings that an exporter cannot be made with, or of which it uses a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpc
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp import TlsCredentials, grpc, http

TRACES, GENERAL = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
def spans(provider: TracerProvider, memory: InMemorySpanExporter) -> Any:
    provider.get_tracer("test").start_span("span").end()
    return memory.get_finished_spans()


@pytest.fixture
def assert_sends_nothing(spans: Any) -> Callable[[Any], None]:
    def check(exporter: Any) -> None:
        assert exporter.export(spans) is SpanExportResult.FAILURE
        assert (exporter.counts()["failed"], exporter.counts()["exported"]) == (1, 0)
        exporter.shutdown()

    return check


@pytest.mark.parametrize("variable", [TRACES, GENERAL])
def test_an_http_endpoint_without_a_scheme_is_told_the_remedy(
    variable: str, monkeypatch: pytest.MonkeyPatch, log: Any, assert_sends_nothing: Any
) -> None:
    monkeypatch.setenv(variable, "localhost:4318")
    exporter = http.OTLPSpanExporter()
    (line,) = log()
    assert line.startswith(f"{variable} is 'localhost:4318': ")
    assert "accepted: " in line
    assert "begin it with http:// or https://" in line
    assert line.endswith("sends nothing and counts what it gets as failed.")
    assert_sends_nothing(exporter)


def test_the_general_endpoint_is_told_of_once_for_all_signals(monkeypatch: pytest.MonkeyPatch, log: Any) -> None:
    monkeypatch.setenv(GENERAL, "localhost:4318")
    for make in (http.OTLPSpanExporter, http.OTLPMetricExporter, http.OTLPLogExporter):
        make()
    (line,) = log()
    assert "such as http://localhost:4318 (" in line


def test_a_batch_processor_counts_what_an_exporter_that_sends_nothing_gets(
    monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setenv(GENERAL, "localhost:4318")
    processor = BatchSpanProcessor(http.OTLPSpanExporter())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.get_tracer("test").start_span("span").end()
    provider.force_flush()
    assert processor.counts()["failed"] == 1
    provider.shutdown()
    assert not any("Traceback" in line for line in log())


@pytest.mark.parametrize("text", ['"{}"', "'{}'", " '{}' "])
@pytest.mark.parametrize("variable", [TRACES, GENERAL])
def test_quotes_around_an_endpoint_are_left_out(
    variable: str, text: str, receiver: Any, spans: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    endpoint = receiver.endpoint if variable == TRACES else receiver.base
    monkeypatch.setenv(variable, text.format(endpoint))
    exporter = {"http": http, "grpc": grpc}[receiver.protocol].OTLPSpanExporter()
    (line,) = log()
    assert variable in line
    assert "quotes" in line
    assert exporter.export(spans) is SpanExportResult.SUCCESS


def test_quotes_around_each_header_are_no_quotes_around_all(monkeypatch: pytest.MonkeyPatch, log: Any) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", '"a=b","c=d"')
    http.OTLPSpanExporter()
    (line,) = log()
    assert "headers 1, 2 are left out" in line
    assert "a=b" not in line


@pytest.mark.parametrize("end", ["/v1/traces", "/v1/traces/", "/some/path?query=secret"])
@pytest.mark.parametrize("way", ["argument", TRACES, GENERAL])
def test_a_path_on_a_grpc_endpoint_is_left_out_with_a_warning(
    way: str, end: str, grpc_receiver: Any, spans: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    endpoint = grpc_receiver.endpoint + end
    if way != "argument":
        monkeypatch.setenv(way, endpoint)
    exporter = grpc.OTLPSpanExporter(endpoint if way == "argument" else None)
    (line,) = log()
    assert ("endpoint" if way == "argument" else way) in line
    assert "is left out" in line
    assert "secret" not in line
    assert StockGrpc(endpoint)._endpoint == exporter._endpoint
    assert exporter.export(spans) is SpanExportResult.SUCCESS


def test_a_slash_is_no_path(grpc_receiver: Any, log: Any) -> None:
    grpc.OTLPSpanExporter(f"{grpc_receiver.endpoint}/")
    assert log() == []


def test_a_grpc_timeout_of_zero_is_none_given_as_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    for general in (None, "7"):
        if general:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", general)
        assert grpc.OTLPSpanExporter(timeout=0)._timeout == StockGrpc(timeout=0)._timeout == float(general or 10)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0")
    assert grpc.OTLPSpanExporter()._timeout == StockGrpc()._timeout == 7


@pytest.mark.parametrize("kind", [http.OTLPSpanExporter, grpc.OTLPSpanExporter])
def test_what_is_not_utf8_in_a_variable_does_not_raise(kind: Any, monkeypatch: pytest.MonkeyPatch, log: Any) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "key=secret\udcff,other=value")
    monkeypatch.setenv(GENERAL, "http://host\udcff:1")
    kind()
    (endpoint,) = log()  # header values may be any bytes
    assert endpoint.startswith(GENERAL)


def test_a_certificate_that_is_not_there_costs_the_exporter_alone(
    monkeypatch: pytest.MonkeyPatch, log: Any, assert_sends_nothing: Any
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file.pem")
    assert_sends_nothing(http.OTLPSpanExporter("https://127.0.0.1:1/v1/traces"))
    assert log()[0].startswith("OTEL_EXPORTER_OTLP_CERTIFICATE is '/no/such/file.pem': ")
    with pytest.raises(ValueError, match="certificate_file"):
        grpc.OTLPSpanExporter("https://127.0.0.1:1", credentials=TlsCredentials("/no/such/other.pem"))


@pytest.mark.parametrize("way", ["argument", TRACES])
def test_no_line_shows_credentials(way: str, monkeypatch: pytest.MonkeyPatch, log: Any) -> None:
    endpoint = "user:sec?r@et@host:4318/v1/traces?key=secret#secret"
    if way == "argument":
        with pytest.raises(ValueError, match="endpoint") as caught:
            http.OTLPSpanExporter(endpoint)
        line = str(caught.value)
    else:
        monkeypatch.setenv(way, endpoint)
        http.OTLPSpanExporter()
        (line,) = log()
    assert "host:4318/v1/traces'" in line
    assert not any(secret in line for secret in ("sec", "user", "key"))
