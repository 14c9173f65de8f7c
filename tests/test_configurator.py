"""The features of upstream's configurator with native classes: configuration files, OpAMP hooks, tracer configurators.

Each runs with the rs distro, and with upstream's own function after `install`.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .support.program import run

QUIET = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}

DISTRO = {"OTEL_PYTHON_DISTRO": "rs"}
# Named explicitly, because our configurator is installed too.
STOCK_CONFIGURATOR = "from opentelemetry.distro import OpenTelemetryConfigurator as C\nC().configure()\n"


def run_by_distro(program: str, **environment: str) -> Any:
    instrument = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
    assert instrument is not None
    return run(program, instrument, sys.executable, **{**QUIET, **DISTRO, **environment})


def run_by_install(program: str, **environment: str) -> Any:
    return run(
        "import otel_rs\notel_rs.install()\n" + STOCK_CONFIGURATOR + program,
        **{**QUIET, "OTEL_TRACES_EXPORTER": "otlp", **environment},
    )


@pytest.fixture(params=[run_by_distro, run_by_install], ids=["distro", "install"])
def run_configured(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a program in a process where OpenTelemetry is already configured."""
    return request.param


# --- Configuration files ---------------------------------------------------------------------------------------------

FILE = """
file_format: "1.0"
resource:
  attributes:
    - name: service.name
      value: shop
tracer_provider:
  processors:
    - {processor}:
        exporter:
          {exporter}
  sampler:
    parent_based:
      root:
        always_on: {{}}
  limits:
    attribute_count_limit: 2
  tracer_configurator/development:
    default_config:
      enabled: true
    tracers:
      - name: quiet.*
        config:
          enabled: false
"""

SECTIONS = {
    "http": "otlp_http: {{endpoint: '{receiver.endpoint}', compression: gzip, headers: [{{name: x-a, value: b}}]}}",
    "grpc": "otlp_grpc: {{endpoint: '{receiver.endpoint}', compression: gzip, headers: [{{name: x-a, value: b}}], "
    "timeout: 5000}}",
}

MAKE_SPANS = """
from opentelemetry import trace
assert loaded() == []
provider = trace.get_tracer_provider()
(processor,) = provider._active_span_processor._span_processors
with trace.get_tracer("loud").start_as_current_span("span", attributes={"a": 1, "b": 2, "c": 3}):
    trace.get_tracer("quiet.library").start_span("disabled").end()
"""
ALL_NATIVE = "assert native(type(provider)) and native(type(processor)) and native(type(processor.span_exporter))\n"


def write(folder: Path, processor: str, exporter: str) -> str:
    file = folder / "otel.yaml"
    file.write_text(FILE.format(processor=processor, exporter=exporter))
    return str(file)


@pytest.mark.parametrize("processor", ["batch", "simple"])
def test_a_configuration_file_creates_native_classes(
    run_configured: Any, receiver: Any, tmp_path: Path, processor: str
) -> None:
    file = write(tmp_path, processor, SECTIONS[receiver.protocol].format(receiver=receiver))
    run_configured(MAKE_SPANS + ALL_NATIVE + "assert loaded() == []", OTEL_CONFIG_FILE=file)
    (request,) = receiver.requests
    (span,) = receiver.spans()
    assert (span.name, [attribute.key for attribute in span.attributes]) == ("span", ["b", "c"])
    assert span.dropped_attributes_count == 1
    assert request.headers["x-a"] == "b"
    assert request.encoded_size < 1000
    (name,) = [a for a in request.message.resource_spans[0].resource.attributes if a.key == "service.name"]
    assert name.value.string_value == "shop"


def test_upstreams_function_loads_a_configuration_file_without_grpcio(receiver: Any, tmp_path: Path) -> None:
    file = write(tmp_path, "batch", SECTIONS[receiver.protocol].format(receiver=receiver))
    run(f"""
without("grpc", "google", "requests")
import otel_rs
otel_rs.install()
from opentelemetry.configuration import configure_sdk, load_config_file
configure_sdk(load_config_file({file!r}))
{MAKE_SPANS}
{ALL_NATIVE}
""")
    assert [span.name for span in receiver.spans()] == ["span"]


METRICS_AND_LOGS = """\
file_format: "1.0"
resource:
  attributes:
    - name: service.name
      value: shop
meter_provider:
  readers:
    - periodic:
        exporter:
          {metrics}
logger_provider:
  processors:
    - batch:
        exporter:
          {logs}
"""


def test_a_configuration_file_creates_native_metric_and_log_exporters(
    run_configured: Any, receiver: Any, tmp_path: Path
) -> None:
    def section(signal: str, more: str = "") -> str:
        endpoint = receiver.endpoint_of(signal)
        return f"otlp_{receiver.protocol}: {{endpoint: '{endpoint}', compression: gzip, timeout: 5000{more}}}"

    preferences = ", temporality_preference: delta, default_histogram_aggregation: base2_exponential_bucket_histogram"
    file = tmp_path / "otel.yaml"
    file.write_text(METRICS_AND_LOGS.format(metrics=section("metrics", preferences), logs=section("logs")))
    run_configured(
        """
from opentelemetry import metrics
from opentelemetry._logs import get_logger, get_logger_provider
assert loaded() == []
meter = metrics.get_meter("library")
meter.create_counter("counter").add(3)
meter.create_histogram("histogram").record(3)
get_logger("library").emit(body="logged")
(processor,) = get_logger_provider()._multi_log_record_processor._log_record_processors
assert native(type(processor._batch_processor._exporter))
assert loaded() == []
""",
        OTEL_CONFIG_FILE=str(file),
    )
    counter, histogram = receiver.metrics()
    assert counter.sum.aggregation_temporality == 1
    assert histogram.WhichOneof("data") == "exponential_histogram"
    assert [record.body.string_value for record in receiver.log_records()] == ["logged"]


@pytest.mark.parametrize("processor", ["batch", "simple"])
def test_a_configuration_file_with_a_console(run_configured: Any, tmp_path: Path, processor: str) -> None:
    file = write(tmp_path, processor, "console: {}")
    done = run_configured(
        MAKE_SPANS + "assert native(type(provider)) and native(type(processor))", OTEL_CONFIG_FILE=file
    )
    span = json.loads(done.stdout)
    assert (span["name"], span["resource"]["attributes"]["service.name"]) == ("span", "shop")


@pytest.mark.parametrize("exporter", ["otlp_grpc: {compression: lzma}", "unknown: {}"])
def test_an_invalid_configuration_file_gets_upstreams_error_message(tmp_path: Path, exporter: str) -> None:
    program = f"""
from opentelemetry.configuration import ConfigurationError, configure_sdk, load_config_file
try:
    configure_sdk(load_config_file({write(tmp_path, "batch", exporter)!r}))
except ConfigurationError as error:
    print(error)
"""
    stock = run(program).stdout
    assert stock
    assert run("import otel_rs\notel_rs.install()\n" + program).stdout == stock


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "Configuration file not found: {file}"),
        ("file_format: [", "Failed to parse YAML: "),
        ("file_format: '9.0'", "Unsupported file_format '9.0': "),
        ("tracer_provider: {}", "Configuration does not match schema: "),
        (FILE.format(processor="batch", exporter="unknown: {}"), "Plugin 'unknown' not found in group "),
    ],
    ids=["missing", "no YAML", "another version", "another schema", "unknown exporter"],
)
def test_a_configuration_file_that_cannot_be_used_costs_itself_and_one_line(
    tmp_path: Path, text: str | None, why: str
) -> None:
    file = tmp_path / "otel.yaml"
    if text is not None:
        file.write_text(text)
    program = """
from opentelemetry import trace
trace.get_tracer("t").start_span("of the program").end()
import sqlite3
print(type(sqlite3.connect).__name__)
"""
    # Where nothing listens: nothing is sent by the variables instead.
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ""}
    done = run_by_distro(program, OTEL_CONFIG_FILE=str(file), **variables)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"OTEL_CONFIG_FILE is {str(file)!r}, which cannot be used: {why.format(file=file)}")
    assert line.endswith(". What it has not set up records nothing.")


# --- Entry points of other packages ----------------------------------------------------------------------------------

PLUGIN = """
def before(resource):
    from opentelemetry import trace
    print("before", resource.attributes["service.name"], type(trace.get_tracer_provider()).__name__)

def after(resource):
    from opentelemetry import trace
    print("after", type(trace.get_tracer_provider()).__module__.partition(".")[0])

def configurator(scope):
    from opentelemetry.sdk.trace import _TracerConfig
    return _TracerConfig(is_enabled=not scope.name.startswith("quiet"))
"""

ENTRY_POINTS = """
[_opentelemetry_opamp]
pre_sdk_init_function = plugin:before
post_sdk_init_function = plugin:after
[_opentelemetry_tracer_configurator]
plugin = plugin:configurator
"""


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    """A PYTHONPATH with a package that provides OpAMP hooks and a tracer configurator."""
    folder = tmp_path / "plugin"
    information = folder / "plugin-1.dist-info"
    information.mkdir(parents=True)
    (folder / "plugin.py").write_text(PLUGIN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    return str(folder)


def test_opamp_hooks_are_called_before_and_after_the_native_set_up(run_configured: Any, plugin: str) -> None:
    done = run_configured("", PYTHONPATH=plugin, OTEL_TRACES_EXPORTER="none", OTEL_SERVICE_NAME="shop")
    assert done.stdout.splitlines() == ["before shop ProxyTracerProvider", "after otel_rs"]


def test_a_tracer_configurator_applies_to_native_tracers(run_configured: Any, plugin: str, grpc_receiver: Any) -> None:
    run_configured(
        MAKE_SPANS
        + ALL_NATIVE
        + """
        assert native(type(trace.get_tracer("loud")))
        assert not trace.get_tracer("quiet").start_span("x").is_recording()
        """.replace("\n        ", "\n"),
        PYTHONPATH=plugin,
        OTEL_PYTHON_TRACER_CONFIGURATOR="plugin",
        OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.base,
    )
    assert [span.name for span in grpc_receiver.spans()] == ["span"]


def test_a_missing_tracer_configurator_is_logged_and_ignored(run_configured: Any) -> None:
    done = run_configured(
        """
from opentelemetry import trace
assert native(type(trace.get_tracer_provider()))
assert trace.get_tracer("any").start_span("x").is_recording()
""",
        OTEL_TRACES_EXPORTER="none",
        OTEL_PYTHON_TRACER_CONFIGURATOR="unknown",
    )
    assert any(line.startswith("Using default tracer configurator.") for line in done.stderr.splitlines())


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_broken_stock_exporter_does_not_affect_ours(protocol: str) -> None:
    done = run(
        f"""
without("grpc", "google", "requests")
import otel_rs
otel_rs.install()
{STOCK_CONFIGURATOR}
from opentelemetry import _logs, metrics, trace
provider = trace.get_tracer_provider()
(processor,) = provider._active_span_processor._span_processors
{ALL_NATIVE}
(reader,) = metrics.get_meter_provider()._metric_readers
(processor,) = _logs.get_logger_provider()._multi_log_record_processor._log_record_processors
assert native(type(reader._exporter)) and native(type(processor._batch_processor._exporter))
""",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_METRICS_EXPORTER="otlp",
        OTEL_LOGS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TIMEOUT="0.2",
    )
    assert not [line for line in done.stderr.splitlines() if not line.startswith("Failed to export")]
