"""What the package shows of itself: names, versions, reprs, and types."""

from __future__ import annotations

import math
import pydoc
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import otel_rs
from otel_rs import BatchSpanProcessor, SimpleSpanProcessor, TracerProvider
from otel_rs.exporter.otlp import grpc, http
from otel_rs.logs import LoggerProvider
from otel_rs.logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from otel_rs.metrics import MeterProvider
from otel_rs.metrics.export import PeriodicExportingMetricReader

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_distributions() -> None:
    assert otel_rs.__version__ == version("otel-rs")


@pytest.mark.parametrize("module", [otel_rs, grpc, http], ids=lambda module: module.__name__)
def test_dir_has_the_names_that_there_are(module: object) -> None:
    public = {name for name in dir(module) if not name.startswith("__")}
    assert public | {"__version__"} == {*module.__all__} | {"__version__"}  # type: ignore[attr-defined]
    assert all(hasattr(module, name) for name in dir(module))


def test_an_exporter_shows_where_it_sends_and_no_secret() -> None:
    shown = repr(http.OTLPSpanExporter("http://user:pa55word@host:4318/v1/traces?key=s3cret", headers={"a": "s3cret"}))
    assert shown == "OTLPSpanExporter(endpoint='http://host:4318/v1/traces', protocol='http/protobuf')"
    shown = repr(grpc.OTLPMetricExporter("host:4317", insecure=True))
    assert shown == "OTLPMetricExporter(endpoint='http://host:4317', protocol='grpc')"


@pytest.mark.parametrize("package", ["otel_rs", "otel_rs.exporter.otlp.grpc", "otel_rs.testing"])
def test_a_name_that_is_not_there_is_an_error_for_mypy(tmp_path: Path, package: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"from {package} import Typo\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert f'Module "{package}" has no attribute "Typo"' in done.stdout, done.stdout


def test_providers_and_processors_show_where_they_send() -> None:
    span_exporter = http.OTLPSpanExporter("http://host:4318/v1/traces")
    shown = "OTLPSpanExporter(endpoint='http://host:4318/v1/traces', protocol='http/protobuf')"
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    assert repr(tracer_provider) == "TracerProvider(processors=[])"
    tracer_provider.add_span_processor(BatchSpanProcessor(span_exporter))
    tracer_provider.add_span_processor(SimpleSpanProcessor(span_exporter))
    processors = f"BatchSpanProcessor(exporter={shown}), SimpleSpanProcessor(exporter={shown})"
    assert repr(tracer_provider) == f"TracerProvider(processors=[{processors}])"

    log_exporter = grpc.OTLPLogExporter("host:4317", insecure=True)
    shown = "OTLPLogExporter(endpoint='http://host:4317', protocol='grpc')"
    logger_provider = LoggerProvider(shutdown_on_exit=False)
    logger_provider.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(log_exporter))
    processors = f"BatchLogRecordProcessor(exporter={shown}), SimpleLogRecordProcessor(exporter={shown})"
    assert repr(logger_provider) == f"LoggerProvider(processors=[{processors}])"

    reader = PeriodicExportingMetricReader(grpc.OTLPMetricExporter("host:4317", insecure=True), math.inf)
    shown = "OTLPMetricExporter(endpoint='http://host:4317', protocol='grpc')"
    assert repr(reader) == f"PeriodicExportingMetricReader(exporter={shown})"
    meter_provider = MeterProvider([reader], shutdown_on_exit=False)
    assert repr(meter_provider) == f"MeterProvider(readers=[{reader!r}])"
    meter_provider.shutdown(100)


def test_what_its_constructor_has_not_made_has_a_repr() -> None:
    for cls in (TracerProvider, LoggerProvider, MeterProvider, BatchSpanProcessor, SimpleSpanProcessor):
        assert f"{cls.__name__} object at" in repr(cls.__new__(cls))


def test_help_says_what_a_class_and_its_arguments_are_for() -> None:
    text = pydoc.plain(pydoc.render_doc(otel_rs.BatchSpanProcessor))
    assert "Collects ended spans and exports them in batches" in text
    assert "OTEL_BSP_MAX_QUEUE_SIZE" in text
    assert "install()" in pydoc.plain(pydoc.render_doc(otel_rs))
