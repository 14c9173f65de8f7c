"""What a user sees under opentelemetry-instrument when the Collector is not there, or not what the variables say."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..otelcol import Collector
from ..program import Program
from .running import DISTRO, EXAMPLES, INSTRUMENT

PROGRAM = EXAMPLES / "logs" / "automatic.py"

# The variables, with places for the Collector's ports and one where nobody listens; and why the exports fail.
TROUBLES: dict[str, tuple[str, str, str]] = {
    "no Collector, grpc": ("http://127.0.0.1:{nobody}", "grpc", "cannot connect: Connection refused"),
    "no Collector, http": ("http://127.0.0.1:{nobody}", "http/protobuf", "cannot connect: Connection refused"),
    "grpc to the port of http": ("http://127.0.0.1:{http}", "grpc", "the server speaks HTTP/1.1, and gRPC is HTTP/2"),
    "http to the port of grpc": ("http://127.0.0.1:{grpc}", "http/protobuf", "the server speaks HTTP/2, as gRPC does"),
    "the path of a signal": ("http://127.0.0.1:{http}/v1/traces", "http/protobuf", "HTTP 404 Not Found"),
    "TLS to a port without": ("https://127.0.0.1:{grpc}", "grpc", "the server speaks no TLS"),
}


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port on which nobody listens, and nobody can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def run(start_program: Callable[..., Any], implementation: str, endpoint: str, protocol: str, **more: str) -> Program:
    environment = {
        **DISTRO[implementation],
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_METRICS_EXPORTER": "none",
        **more,
    }
    with start_program(INSTRUMENT, sys.executable, PROGRAM, **environment) as program:
        assert program.process.wait(timeout=60) == 0, program.output()
        return program


@pytest.mark.parametrize("trouble", TROUBLES)
def test_one_line_for_each_signal_says_what_is_wrong(
    collector: Collector, start_program: Callable[..., Any], nobody: int, trouble: str
) -> None:
    endpoint, protocol, reason = TROUBLES[trouble]
    ports = {"grpc": collector.ports["grpc"], "http": collector.ports["http/protobuf"], "nobody": nobody}
    endpoint = endpoint.format(**ports)
    program = run(start_program, "otel-rs", endpoint, protocol)
    lines = [line for line in program.output().splitlines() if "otel" in line or "Failed" in line]
    assert len(lines) == 2, program.output()
    for what, signal in (("1 spans", "traces"), ("1 log records", "logs")):
        (line,) = (line for line in lines if what in line)
        assert re.search(f"Failed to export {what}: OTLP/.* export of {signal} to {endpoint}.* failed: {reason}", line)
    assert "Traceback" not in program.output()
    program.assert_ran_on("otel-rs")


def test_stock_says_nothing(start_program: Callable[..., Any], nobody: int) -> None:
    """The only handler exports the records of the logger that would say why nothing is exported."""
    program = run(start_program, "stock", f"http://127.0.0.1:{nobody}", "grpc", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert program.output() == ""


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"])
def test_a_value_that_cannot_be_used_is_named_with_what_is_accepted(
    collector: Collector, start_program: Callable[..., Any], variable: str
) -> None:
    http = collector.ports["http/protobuf"]
    values = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"127.0.0.1:{http}", "OTEL_EXPORTER_OTLP_PROTOCOL": "http"}
    environment = {"endpoint": f"http://127.0.0.1:{http}", "protocol": "http/protobuf"}
    environment[variable.rpartition("_")[2].lower()] = values[variable]
    program = run(start_program, "otel-rs", **environment, OTEL_LOGS_EXPORTER="none")
    lines = [line for line in program.output().splitlines() if line.startswith(f"{variable} is '{values[variable]}'")]
    assert len(lines) == 1, program.output()
    assert "accepted: " in lines[0]
