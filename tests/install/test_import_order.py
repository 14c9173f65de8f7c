"""After `install`, whatever is imported first, all places have the native classes; after `uninstall` upstream's."""

from __future__ import annotations

import json

import pytest

from ..support.program import run

LOOK = """
import json
from opentelemetry.sdk import _configuration
from opentelemetry.sdk._logs import Logger, LoggerProvider, LoggingHandler, _internal
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider

def modules():
    from opentelemetry.instrumentation.logging import handler
    from opentelemetry.sdk import _logs, metrics
    from opentelemetry.sdk._logs import export
    return [thing.__module__ for thing in (
        metrics.MeterProvider, metrics.export.PeriodicExportingMetricReader, _logs.LoggerProvider, _logs.Logger,
        _logs.LoggingHandler, export.BatchLogRecordProcessor, export.SimpleLogRecordProcessor,
        _internal.LoggerProvider, _internal.export.BatchLogRecordProcessor,
        _configuration.LoggerProvider, _configuration.BatchLogRecordProcessor, _configuration.LoggingHandler,
        handler.LoggingHandler,
    )]

installed = modules()
otel_rs.uninstall()
print(json.dumps([first.__module__, installed, modules()]))
"""


@pytest.mark.parametrize(
    "first",
    [
        "otel_rs.metrics import MeterProvider",
        "otel_rs.metrics.export import PeriodicExportingMetricReader",
        "otel_rs.logs import LoggerProvider",
        "otel_rs.logs.export import BatchLogRecordProcessor",
        "otel_rs.logs.instrumentation import LoggingHandler",
        "otel_rs.exporter.otlp.http import OTLPLogExporter",
        "opentelemetry.configuration._logger_provider import BatchLogRecordProcessor",
        "opentelemetry.sdk._configuration import LoggingHandler",
        "opentelemetry.instrumentation.logging.handler import LoggingHandler",
        "opentelemetry.sdk._logs._internal import LoggerProvider",
        "opentelemetry.sdk._logs._internal.export import SimpleLogRecordProcessor",
    ],
)
def test_all_places_have_the_native_classes(first: str) -> None:
    finished = run(f"import otel_rs; otel_rs.install()\nfrom {first} as first\n{LOOK}")
    assert finished.returncode == 0, finished.stderr
    of_first, installed, uninstalled = json.loads(finished.stdout)
    assert of_first.startswith("otel_rs.")
    assert [module for module in installed if not module.startswith("otel_rs.")] == []
    assert [module for module in uninstalled if not module.startswith("opentelemetry.")] == []
