"""A program under opentelemetry-instrument: its traces, metrics and logs, as `examples/zero_code` says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector, attributes_of
from ..program import Program, free_port
from .arrived import Traces, log_records, log_structure, metric_names, traces_of
from .running import DISTRO, IMPLEMENTATIONS, INSTRUMENT, TRACEPARENT, example, get, interrupt, listening, on_port

SERVER, PRICE = "SERVER GET /orders/<int:number> < remote", "SERVER GET /prices/<int:number> < CLIENT GET"
SPANS = [f"CLIENT GET < {SERVER}", SERVER, f"{PRICE} < {SERVER}"]
METRICS = {"http.client.duration", "http.server.active_requests", "http.server.duration"}

# Two of the program's lines, and four of Flask's server.
RECORDS = 6

IDS = frozenset({"otelTraceID", "otelSpanID"})

CORRELATION = {"OTEL_PYTHON_LOG_CORRELATION": "true"}
FORMAT = {"OTEL_PYTHON_LOG_FORMAT": "%(message)s: span %(otelSpanID)s of %(otelServiceName)s"}
HANDLER_OF_THE_SDK = {"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"}
NO_HANDLER = {"OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "false"}

# The variables about logs, the records that arrive, and the program's lines on the terminal.
LOGS: dict[str, tuple[dict[str, str], int, str]] = {
    "nothing set": ({}, RECORDS, "{level}:shop:{message}"),
    "correlation": (
        CORRELATION,
        RECORDS,
        "{level} [shop] [app.py:{line}] [trace_id={trace} span_id={span} resource.service.name=shop trace_sampled=True]"
        " - {message}",
    ),
    "a format": (CORRELATION | FORMAT, RECORDS, "{message}: span {span} of shop"),
    "the SDK's handler": (CORRELATION | FORMAT | HANDLER_OF_THE_SDK, RECORDS + 1, "{message}: span {span} of shop"),
    "no handler": (NO_HANDLER | CORRELATION | FORMAT, 0, "{message}: span {span} of shop"),
}


@pytest.mark.parametrize(
    ("protocol", "logs"),
    [
        ("grpc", "nothing set"),
        ("http/protobuf", "correlation"),
        ("http/protobuf", "a format"),
        ("grpc", "the SDK's handler"),
        ("grpc", "no handler"),
    ],
)
def test_otel_rs_sends_what_stock_sends(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, protocol: str, logs: str
) -> None:
    variables, count, line = LOGS[logs]

    def sent_by(implementation: str) -> list[list[str]]:
        port = free_port()
        environment = {
            **DISTRO[implementation],
            **variables,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_SERVICE_NAME": "shop",
        }
        source = on_port(example("zero_code", implementation, tmp_path) / "app.py", port)
        with listening(start_program, port, INSTRUMENT, sys.executable, source, **environment) as program:
            assert get(port, "/orders/3", traceparent=TRACEPARENT) == "21"
            interrupt(program)
            traces = traces_of(collector, program, len(SPANS))
            assert traces.trees() == SPANS
            assert metric_names(collector, program, *METRICS) == METRICS
            records = log_records(collector, program, count)
            assert '"GET /orders/3 HTTP/1.1" 200' in program.output()
            assert_lines_name_their_spans(program, traces, source, line)
            assert_records_name_their_spans(records, traces)
            program.assert_ran_on(implementation)
            folder = (re.escape(str(source.parent)), "FOLDER")
            return [traces.structure(), log_structure(records, traces, folder, without=IDS)]

    assert sent_by("otel-rs") == sent_by("stock")


def span_of(traces: Traces, name: str) -> dict[str, Any]:
    (span,) = traces.named(name)
    return span


def assert_lines_name_their_spans(program: Program, traces: Traces, source: Path, line: str) -> None:
    text = source.read_text().splitlines()
    for name, level, message, start in (
        ("GET /orders/<int:number>", "INFO", "order 3 costs 21", "logger.info"),
        ("GET /prices/<int:number>", "WARNING", "the price of 3 is a guess", "logger.warning"),
    ):
        span = span_of(traces, name)
        number = next(number for number, code in enumerate(text, 1) if start in code)
        expected = line.format(level=level, message=message, line=number, trace=span["traceId"], span=span["spanId"])
        printed = [each for each in program.output().splitlines() if message in each]
        assert len(printed) == 1, printed
        assert printed[0].endswith(expected), (printed, expected)


def assert_records_name_their_spans(records: list[dict[str, Any]], traces: Traces) -> None:
    by_body = {record["body"]["stringValue"]: record for record in records}
    if not by_body:
        return
    for name, message in (
        ("GET /orders/<int:number>", "order 3 costs 21"),
        ("GET /prices/<int:number>", "the price of 3 is a guess"),
    ):
        span, record = span_of(traces, name), by_body[message]
        assert (record["traceId"], record["spanId"]) == (span["traceId"], span["spanId"])
        attributes = attributes_of(record)
        if "otelSpanID" in attributes:
            assert (attributes["otelTraceID"], attributes["otelSpanID"]) == (span["traceId"], span["spanId"])


DEFAULTS = """
from opentelemetry import trace
print(trace.get_tracer_provider()._active_span_processor._span_processors[0].span_exporter._endpoint)
"""


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    ("protocol", "endpoint"),
    [({}, "localhost:4317"), ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http://localhost:4318/v1/traces")],
)
def test_default_endpoint(
    start_program: Callable[..., Any], implementation: str, protocol: dict[str, str], endpoint: str
) -> None:
    signals = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    environment = {**DISTRO[implementation], **signals, **protocol}
    with start_program(INSTRUMENT, sys.executable, "-c", DEFAULTS, **environment) as program:
        assert program.process.wait(timeout=60) == 0
        assert program.output() == endpoint
        program.assert_ran_on(implementation)
