"""The lines at info level by which a program that sets itself up says where its telemetry goes."""

from __future__ import annotations

import pytest

from .support.program import run
from .support.receiver import Receiver

PROGRAM = """
import sys
if "install" in sys.argv:
    import otel_rs
    otel_rs.install()
    from opentelemetry.exporter.otlp.proto.{package}._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.{package}.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.{package}.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
else:
    import logging
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from otel_rs.exporter.otlp.{package} import OTLPLogExporter, OTLPMetricExporter, OTLPSpanExporter
    from otel_rs.logs import LoggerProvider
    from otel_rs.logs.export import BatchLogRecordProcessor
    from otel_rs.metrics import MeterProvider
    from otel_rs.metrics.export import PeriodicExportingMetricReader
    from otel_rs.trace import TracerProvider
    from otel_rs.trace.export import BatchSpanProcessor

for _ in range(2):
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    late = MeterProvider()
    late.add_metric_reader(PeriodicExportingMetricReader(OTLPMetricExporter()))
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    loggers = LoggerProvider()
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
"""

INSTALLED = "otel-rs 0.1.0: the names of opentelemetry.sdk and of its OTLP exporters are native; "


def lines(receiver: Receiver, *words: str, **variables: str) -> list[str]:
    program = PROGRAM.format(package=receiver.protocol)
    done = run(f"import sys\nsys.argv += {words!r}\n{program}", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.base, **variables)
    return done.stderr.splitlines()


def ways(receiver: Receiver) -> list[str]:
    protocol = {"http": "http/protobuf", "grpc": "grpc"}[receiver.protocol]
    return [
        f"otel-rs 0.1.0: {signal}: to {receiver.endpoint_of(signal)} by {protocol} (native SDK)"
        for signal in ("traces", "metrics", "logs")
    ]


def test_install_tells_what_is_native_and_where_each_signal_goes(receiver: Receiver) -> None:
    first, *others = lines(receiver, "install", OTEL_LOG_LEVEL="info")
    assert first.startswith(INSTALLED + "native instrumentations: asgi, ")
    assert others == ways(receiver)


def test_a_program_with_our_names_tells_it_where_it_shows_info_lines(receiver: Receiver) -> None:
    assert lines(receiver) == ways(receiver)


@pytest.mark.parametrize("variables", [{}, {"OTEL_LOG_LEVEL": "warning"}], ids=["default", "warning"])
def test_nothing_is_told_below_info(grpc_receiver: Receiver, variables: dict[str, str]) -> None:
    assert lines(grpc_receiver, "install", **variables) == []


def test_that_nothing_is_recorded_is_told(grpc_receiver: Receiver) -> None:
    _, line = lines(grpc_receiver, "install", OTEL_LOG_LEVEL="info", OTEL_SDK_DISABLED="true")
    assert line == "otel-rs 0.1.0: OTEL_SDK_DISABLED is true, nothing is recorded"


def test_what_sends_nothing_has_no_way() -> None:
    program = """
import otel_rs
otel_rs.install()
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
provider.add_span_processor(SpanProcessor())
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
"""
    (installed,) = run(program, OTEL_LOG_LEVEL="info").stderr.splitlines()
    assert "traces:" not in installed
