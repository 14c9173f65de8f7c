"""Names of upstream's modules that the program itself replaces, before `install` or after it: the configurator and
configuration files use what the program has put there, as they do with the stock SDK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ..support.program import run

HTTP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"

# Puts a class of its own into each place where a program may look for upstream's.
REPLACE = """
from importlib import import_module
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult

def replace(module, name, **members):
    module = import_module(module)
    setattr(module, name, type(f"My{name}", (getattr(module, name),), members))

replace("opentelemetry.sdk.trace", "TracerProvider")
replace("opentelemetry.sdk.trace.export", "BatchSpanProcessor")
replace("opentelemetry.sdk.trace.export", "SimpleSpanProcessor")
for protocol in ("grpc", "http"):
    for module, name, result in (
        ("trace_exporter", "OTLPSpanExporter", SpanExportResult),
        ("metric_exporter", "OTLPMetricExporter", MetricExportResult),
        ("_log_exporter", "OTLPLogExporter", LogRecordExportResult),
    ):
        replace(f"opentelemetry.exporter.otlp.proto.{protocol}.{module}", name,
            export=lambda self, *args, result=result, **kwargs: result.SUCCESS)
"""

BY_CONFIGURATOR = """
import os
for signal in ("TRACES", "METRICS", "LOGS"):
    os.environ[f"OTEL_{signal}_EXPORTER"] = "otlp_proto_grpc,otlp_proto_http"
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
_OTelSDKConfigurator().configure()
"""

BY_FILE = """
import os, tempfile
from opentelemetry.configuration import configure_sdk, load_config_file
with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
    file.write('''
file_format: "1.0"
tracer_provider:
  processors:
    - batch: {exporter: {otlp_grpc: {compression: gzip}}}
    - simple: {exporter: {otlp_http: {compression: gzip}}}
meter_provider:
  readers:
    - periodic: {exporter: {otlp_grpc: {}}}
    - periodic: {exporter: {otlp_http: {}}}
logger_provider:
  processors:
    - batch: {exporter: {otlp_grpc: {}}}
    - batch: {exporter: {otlp_http: {}}}
''')
    file.flush()
    configure_sdk(load_config_file(file.name))
"""

LOOK = """
import json
from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider
provider = trace.get_tracer_provider()
processors = provider._active_span_processor._span_processors
print(json.dumps([type(thing).__name__ for thing in (
    provider,
    *processors,
    *(processor.span_exporter for processor in processors),
    *(reader._exporter for reader in metrics.get_meter_provider()._metric_readers),
    *(p._batch_processor._exporter for p in get_logger_provider()._multi_log_record_processor._log_record_processors),
)]))
"""

INSTALL = "import otel_rs\notel_rs.install()\n"


@pytest.mark.parametrize("set_up", [BY_CONFIGURATOR, BY_FILE], ids=["configurator", "file"])
def test_what_the_program_put_there_is_used(set_up: str) -> None:
    def names(program: str) -> Any:
        return json.loads(run(program + set_up + LOOK).stdout)

    expected = names(REPLACE)
    assert len(expected) == 9
    assert all(name.startswith("My") for name in expected)
    assert names(REPLACE + INSTALL) == expected
    assert names(INSTALL + REPLACE) == expected


def test_with_otel_rs_alone(only_otel_rs: Path) -> None:
    done = run(INSTALL + REPLACE + BY_CONFIGURATOR + LOOK, only_otel_rs, "-W", "error")
    names = json.loads(done.stdout)
    assert len(names) == 9
    assert all(name.startswith("My") for name in names)


def test_a_mock_is_used_while_it_is_there() -> None:
    run("""
        from unittest import mock
        import otel_rs
        otel_rs.install()
        from opentelemetry.configuration import _tracer_provider
        from opentelemetry.configuration.models import OtlpGrpcExporter, OtlpHttpExporter, SpanExporter
        for protocol, section in (("grpc", OtlpGrpcExporter()), ("http", OtlpHttpExporter())):
            config = SpanExporter(**{f"otlp_{protocol}": section})
            place = f"opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter.OTLPSpanExporter"
            with mock.patch(place) as patched:
                assert _tracer_provider._create_span_exporter(config) is patched.return_value
            assert native(type(_tracer_provider._create_span_exporter(config)))
    """)


def test_a_name_is_kept_when_the_rest_of_the_module_is_asked_for() -> None:
    run(f"""
        import otel_rs
        otel_rs.install()
        import {HTTP} as module
        class Mine(module.OTLPSpanExporter):
            pass
        module.OTLPSpanExporter, module.encode_spans = Mine, "mine"
        assert callable(module.Compression)
        from {HTTP} import OTLPSpanExporter, encode_spans
        assert (OTLPSpanExporter, encode_spans) == (Mine, "mine")
        otel_rs.uninstall()
        assert module.OTLPSpanExporter is Mine
    """)


def test_a_name_that_was_replaced_before_install_stays_after_uninstall() -> None:
    run("""
        from unittest import mock
        from opentelemetry.sdk import trace
        import otel_rs.trace
        stock = trace.Tracer
        with mock.patch.object(trace, "Tracer") as patched:
            otel_rs.install()
            assert trace.Tracer is patched
            assert native(trace.Span)
        assert trace.Tracer is stock
        otel_rs.uninstall()
        assert trace.Tracer is stock
    """)
