"""The distro and the configurator under opentelemetry-instrument, each start in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otel_rs.testing import Point, Receiver, span

from .support.environment import SITE_PACKAGES
from .support.receiver import DEADLINE_SECONDS

INSTRUMENT = """
import sys
from opentelemetry.instrumentation.auto_instrumentation import run
sys.argv[0] = "opentelemetry-instrument"
run()
"""

# Writes a file with the configuration that it finds.
FACTS = """
import json, sys

def name(thing):
    kind = thing if isinstance(thing, type) else type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"

from importlib.metadata import entry_points
modules = [module for module in ("grpc", "google.protobuf", "requests") if module in sys.modules]
from opentelemetry import metrics, propagate, trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.sdk import _configuration
provider = trace.get_tracer_provider()
multi_processor = getattr(provider, "_active_span_processor", None)
processors = multi_processor._span_processors if multi_processor else ()
with trace.get_tracer("library").start_as_current_span("span") as span:
    pass
sampler, resource = getattr(provider, "sampler", None), getattr(provider, "resource", None)
facts = {
    "modules": modules,
    "distros": [entry_point.name for entry_point in entry_points(group="opentelemetry_distro")],
    "provider": name(provider),
    "span": name(span),
    "trace id": span.get_span_context().trace_id,
    "recording": hasattr(span, "end_time"),
    "processors": [name(processor) for processor in processors],
    "exporters": [name(processor.span_exporter) for processor in processors],
    "sampler": sampler and sampler.get_description(),
    "ids": name(getattr(provider, "id_generator", None)),
    "resource": resource and {k: v for k, v in resource.attributes.items() if k not in ("process.pid",
        "service.instance.id")},
    "propagation": sorted(propagate.get_global_textmap().fields),
    "meters": name(metrics.get_meter_provider()),
    "loggers": name(get_logger_provider()),
    "upstream's names": [name(_configuration.TracerProvider), name(_configuration.BatchSpanProcessor),
        _configuration._import_config_components.__module__],
}
with open(sys.argv[1], "w") as file:
    json.dump(facts, file)
"""

NATIVE_PROVIDER = "otel_rs.trace._provider.TracerProvider"
NATIVE_BATCH = "otel_rs.trace.export._batch.BatchSpanProcessor"
NATIVE_EXPORTERS = {
    "grpc": "otel_rs.exporter.otlp.grpc.OTLPSpanExporter",
    "http/protobuf": "otel_rs.exporter.otlp.http.OTLPSpanExporter",
}
STOCK_PROVIDER = "opentelemetry.sdk.trace.TracerProvider"
STOCK_BATCH = "opentelemetry.sdk.trace.export.BatchSpanProcessor"
STOCK_EXPORTERS = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter.OTLPSpanExporter",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter.OTLPSpanExporter",
}
PROVIDERS_OF_OTHER_SIGNALS = (
    "otel_rs.metrics._provider.MeterProvider",
    "otel_rs.logs._provider.LoggerProvider",
)
CONSOLE = "opentelemetry.sdk.trace.export.ConsoleSpanExporter"
UPSTREAMS_NAMES = [STOCK_PROVIDER, STOCK_BATCH, "opentelemetry.sdk._configuration"]
INSTALLED_NAMES = [NATIVE_PROVIDER, NATIVE_BATCH, "otel_rs.installation.replacements"]

QUIET = {
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
    # No server listens there, and the program does not wait for one.
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
}


class Started(dict[str, Any]):
    """The facts that an ended process wrote, and its output."""

    def __init__(self, facts: dict[str, Any], stdout: str, stderr: str) -> None:
        super().__init__(facts)
        self.stdout, self.stderr = stdout, stderr


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Started]:
    """`start(VARIABLE=value, ...)` runs the program under opentelemetry-instrument and returns its facts.

    A variable with the value None is not set.
    """

    def run(python: Path | str = sys.executable, program: str = FACTS, **environment: str | None) -> Started:
        output = tmp_path / "facts.json"
        output.unlink(missing_ok=True)
        script = tmp_path / "program.py"
        script.write_text(program)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
        variables = {name: value for name, value in {**QUIET, **environment}.items() if value is not None}
        done = subprocess.run(
            [python, "-c", INSTRUMENT, python, script, output],
            env={**inherited, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return Started(json.loads(output.read_text()), done.stdout, done.stderr)

    return run


def with_first(folder: Path, name: str) -> str:
    """A PYTHONPATH on which the entry points of this distribution come first."""
    (information,) = SITE_PACKAGES.glob(f"{name.replace('-', '_')}-*.dist-info")
    folder.mkdir()
    (folder / information.name).symlink_to(information)
    return str(folder)


ORDERS = {"otel-rs": ["rs", "distro"], "opentelemetry-distro": ["distro", "rs"]}


# --- OTEL_PYTHON_DISTRO=rs is enough ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ORDERS)
def test_the_variable_is_enough_when_the_stock_distro_and_exporters_are_installed(
    start: Any, tmp_path: Path, first: str
) -> None:
    facts = start(OTEL_PYTHON_DISTRO="rs", PYTHONPATH=with_first(tmp_path / "first", first))
    assert facts["distros"] == ORDERS[first]
    assert facts["provider"] == NATIVE_PROVIDER
    assert facts["span"] == "otel_rs.trace._span.Span"
    assert facts["processors"] == [NATIVE_BATCH]
    assert facts["exporters"] == [NATIVE_EXPORTERS["grpc"]]
    assert facts["modules"] == []
    assert facts["upstream's names"] == INSTALLED_NAMES


@pytest.mark.parametrize(
    "variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_EXPORTER"]
)
def test_http_by_environment(start: Any, variable: str) -> None:
    value = "otlp_proto_http" if variable == "OTEL_TRACES_EXPORTER" else "http/protobuf"
    facts = start(OTEL_PYTHON_DISTRO="rs", **{variable: value})
    assert facts["exporters"] == [NATIVE_EXPORTERS["http/protobuf"]]
    assert facts["modules"] == []


def test_spans_arrive(start: Any, receiver: Any) -> None:
    protocol = {"http": "http/protobuf", "grpc": "grpc"}[receiver.protocol]
    start(
        OTEL_PYTHON_DISTRO="rs",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.base,
        OTEL_SERVICE_NAME="shop",
    )
    assert [span.name for span in receiver.spans()] == ["span"]
    resource = receiver.requests[0].message.resource_spans[0].resource
    values = {attribute.key: attribute.value.string_value for attribute in resource.attributes}
    assert values["service.name"] == "shop"
    assert values["telemetry.auto.version"]


def test_console(start: Any) -> None:
    facts = start(OTEL_PYTHON_DISTRO="rs", OTEL_TRACES_EXPORTER="console")
    assert facts["provider"] == NATIVE_PROVIDER
    assert (facts["processors"], facts["exporters"]) == ([NATIVE_BATCH], [CONSOLE])
    assert json.loads(facts.stdout)["name"] == "span"


@pytest.mark.parametrize("value", ["otlp,console", " otlp , console "])
def test_several_exporters(start: Any, otlp_receiver: Receiver, value: str) -> None:
    facts = start(OTEL_PYTHON_DISTRO="rs", OTEL_TRACES_EXPORTER=value, **otlp_receiver.environment())
    assert facts["exporters"] == [NATIVE_EXPORTERS["grpc"], CONSOLE]
    assert json.loads(facts.stdout)["name"] == "span"
    assert otlp_receiver.traces() == [span("span")]


def test_no_exporter(start: Any) -> None:
    facts = start(OTEL_PYTHON_DISTRO="rs", OTEL_TRACES_EXPORTER="none")
    assert facts["provider"] == NATIVE_PROVIDER
    assert (facts["processors"], facts["modules"]) == ([], [])


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_EXPORTER": "unknown"},
        {"OTEL_TRACES_EXPORTER": "otlp,unknown"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml"},
        {"OTEL_PYTHON_ID_GENERATOR": "unknown"},
    ],
    ids=str,
)
def test_only_the_exporter_name_that_upstream_rejects_is_ignored(start: Any, environment: dict[str, str]) -> None:
    ((variable, value),) = environment.items()
    stock = start(OTEL_PYTHON_DISTRO="distro", OTEL_PYTHON_CONFIGURATOR=CONFIGURATORS["distro"], **environment)
    assert (stock["recording"], "RuntimeError: " in stock.stderr) == (False, True)
    facts = start(OTEL_PYTHON_DISTRO="rs", OTEL_PYTHON_CONFIGURATOR=CONFIGURATORS["rs"], **environment)
    assert (facts["provider"], facts["recording"]) == (NATIVE_PROVIDER, True)
    assert facts["exporters"] == [NATIVE_EXPORTERS["grpc"]]
    assert "Traceback" not in facts.stderr
    (line,) = [line for line in facts.stderr.splitlines() if line.startswith(variable)]
    assert value.rpartition(",")[2] in line
    assert "accepted: " in line


CONFIGURATORS = {"rs": "rs", "distro": "configurator"}


@pytest.mark.parametrize("headers", ["authorization: Basic c2VjcmV0==,x-a=1", "x-b=a%0a,x-a=1"])
def test_a_malformed_header_is_logged_and_skipped_and_the_start_continues(
    start: Any, grpc_receiver: Any, headers: str
) -> None:
    """Upstream skips it, too."""
    facts = start(
        OTEL_PYTHON_DISTRO="rs",
        OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.base,
        OTEL_EXPORTER_OTLP_HEADERS=headers,
    )
    assert facts["exporters"] == [NATIVE_EXPORTERS["grpc"]]
    assert grpc_receiver.requests[0].headers["x-a"] == "1"
    assert "Traceback" not in facts.stderr
    assert "c2vjcmv0" not in facts.stderr.lower()


# --- Settings from the environment, as upstream ----------------------------------------------------------------------

PLUGIN = """
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

class Ids(RandomIdGenerator):
    def generate_trace_id(self):
        return 12345

def sampler(argument):
    return ParentBased(TraceIdRatioBased(float(argument)))
"""


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    """A PYTHONPATH with a package that provides a sampler and an id generator as entry points."""
    folder = tmp_path / "plugin"
    information = folder / "plugin-1.dist-info"
    information.mkdir(parents=True)
    (folder / "plugin.py").write_text(PLUGIN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[opentelemetry_id_generator]\nplugin = plugin:Ids\n[opentelemetry_traces_sampler]\nplugin = plugin:sampler\n"
    )
    return str(folder)


SETTINGS: dict[str, dict[str, str]] = {
    "none": {},
    "sampler": {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
    "sampler off": {"OTEL_TRACES_SAMPLER": "always_off"},
    "sampler with a bad argument": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "x"},
    "unknown sampler": {"OTEL_TRACES_SAMPLER": "unknown"},
    "another package's sampler": {"OTEL_TRACES_SAMPLER": "plugin", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
    "another package's ids": {"OTEL_PYTHON_ID_GENERATOR": "plugin"},
    "random ids": {"OTEL_PYTHON_ID_GENERATOR": "random"},
    "service name": {"OTEL_SERVICE_NAME": "shop"},
    "resource attributes": {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,deployment.environment=b%20c"},
    "both": {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,x=y", "OTEL_SERVICE_NAME": "shop"},
    "propagators": {"OTEL_PROPAGATORS": "tracecontext"},
    "no propagators": {"OTEL_PROPAGATORS": "none"},
    "disabled": {"OTEL_SDK_DISABLED": "true"},
}


@pytest.mark.parametrize("environment", SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_are_those_of_the_stock_distro(start: Any, plugin: str, environment: dict[str, str]) -> None:
    def settings(distro: str) -> dict[str, Any]:
        facts = start(
            OTEL_PYTHON_DISTRO=distro,
            OTEL_PYTHON_CONFIGURATOR=CONFIGURATORS[distro],
            OTEL_TRACES_EXPORTER="none",
            PYTHONPATH=plugin,
            **environment,
        )
        names = ["sampler", "ids", "resource", "propagation"]
        return {name: facts[name] for name in names} | {"fixed id": facts["trace id"] in (0, 12345)}

    assert settings("rs") == settings("distro")


def test_an_id_generator_of_another_package_is_used(start: Any, plugin: str) -> None:
    facts = start(
        OTEL_PYTHON_DISTRO="rs",
        OTEL_TRACES_EXPORTER="none",
        OTEL_PYTHON_ID_GENERATOR="plugin",
        PYTHONPATH=plugin,
    )
    assert (facts["provider"], facts["ids"], facts["trace id"]) == (NATIVE_PROVIDER, "plugin.Ids", 12345)


# --- Other choices of the user ---------------------------------------------------------------------------------------


def test_a_configurator_that_the_user_chose_wins(start: Any) -> None:
    facts = start(OTEL_PYTHON_DISTRO="rs", OTEL_PYTHON_CONFIGURATOR="configurator")
    assert facts["provider"] == STOCK_PROVIDER
    assert (facts["processors"], facts["exporters"]) == ([STOCK_BATCH], [STOCK_EXPORTERS["grpc"]])


def test_our_configurator_under_the_stock_distro(start: Any) -> None:
    facts = start(OTEL_PYTHON_DISTRO="distro", OTEL_PYTHON_CONFIGURATOR="rs")
    assert facts["provider"] == NATIVE_PROVIDER
    assert facts["exporters"] == [NATIVE_EXPORTERS["grpc"]]


def test_an_exporter_that_the_user_chose_wins(start: Any) -> None:
    facts = start(OTEL_PYTHON_DISTRO="rs", OTEL_TRACES_EXPORTER="console", OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert facts["exporters"] == [CONSOLE]


@pytest.mark.parametrize("first", ORDERS)
@pytest.mark.parametrize("environment", [{}, {"OTEL_PYTHON_DISTRO": "distro"}], ids=["no distro", "stock distro"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_being_installed_changes_nothing(
    start: Any, tmp_path: Path, first: str, environment: dict[str, str], protocol: str
) -> None:
    path = with_first(tmp_path / "first", first)
    facts = start(PYTHONPATH=path, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, **environment)
    assert facts["distros"] == ORDERS[first]
    assert facts["provider"] == STOCK_PROVIDER
    assert (facts["processors"], facts["exporters"]) == ([STOCK_BATCH], [STOCK_EXPORTERS[protocol]])
    assert facts["span"].startswith("opentelemetry.")
    assert facts["upstream's names"] == UPSTREAMS_NAMES


# --- Log lines at the start ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_PYTHON_DISTRO": "distro"},
        {"OTEL_PYTHON_CONFIGURATOR": "configurator"},
        {"OTEL_PYTHON_DISTRO": "distro", "OTEL_PYTHON_CONFIGURATOR": "configurator"},
        {"OTEL_PYTHON_DISTRO": "rs"},
        {"OTEL_PYTHON_DISTRO": "rs", "OTEL_PYTHON_CONFIGURATOR": "rs"},
        {"OTEL_PYTHON_DISTRO": "rs", "OTEL_PYTHON_CONFIGURATOR": "configurator"},
    ],
    ids=str,
)
@pytest.mark.parametrize("first", ORDERS)
def test_beside_another_distro_no_line_tells_of_what_was_not_asked_for(
    start: Any, tmp_path: Path, first: str, environment: dict[str, str]
) -> None:
    path = with_first(tmp_path / "first", first)
    facts = start(PYTHONPATH=path, OTEL_TRACES_EXPORTER="none", **environment)
    is_ours = environment.get("OTEL_PYTHON_DISTRO") == "rs" and "configurator" not in environment.values()
    assert facts["provider"] == (NATIVE_PROVIDER if is_ours else STOCK_PROVIDER)
    assert facts.stderr == ""


def test_importing_the_entry_points_imports_nothing_else() -> None:
    program = "import sys, otel_rs.entry_points as e; assert e.load_distro() is e.before_instrumentation() is None; "
    program += "print(*sorted(n for n in sys.modules if n.partition('.')[0] in ('otel_rs', 'opentelemetry')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    ours = {"otel_rs", "otel_rs._lazy_exports", "otel_rs.entry_points"}
    assert set(done.stdout.split()) == ours, done.stderr


# --- With nothing else installed -------------------------------------------------------------------------------------

OTLP_EVERYWHERE = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp"}


def startup_lines(stderr: str) -> list[str]:
    """The lines that are not about exports, which fail when no server listens."""
    return [line for line in stderr.splitlines() if not line.startswith("Failed to export")]


ALL_SIGNALS = """
from opentelemetry import metrics
from opentelemetry._logs import get_logger, get_logger_provider
metrics.get_meter("library").create_counter("counter").add(3)
get_logger("library").emit(body="logged")
classes = [
    name(metrics.get_meter_provider()._metric_readers[0]._exporter),
    name(get_logger_provider()._multi_log_record_processor._log_record_processors[0]._batch_processor._exporter),
]
facts["exporters"] += classes
with open(sys.argv[1], "w") as file:
    json.dump(facts, file)
"""


def assert_all_arrived(receiver: Receiver, metrics_and_logs: Receiver | None = None) -> None:
    others = metrics_and_logs or receiver
    assert receiver.traces() == [span("span")]
    assert others.metrics()["counter"] == [Point({}, 3)]
    assert [log.body for log in others.logs()] == ["logged"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("stock", [False, True], ids=["alone", "with the stock exporters"])
def test_all_signals_are_sent_to_one_receiver(
    start: Any, only_otel_rs: Path, otlp_receiver: Receiver, stock: bool, protocol: str
) -> None:
    facts = start(
        sys.executable if stock else only_otel_rs,
        FACTS + ALL_SIGNALS,
        OTEL_PYTHON_DISTRO="rs",
        **otlp_receiver.environment(protocol),
        **OTLP_EVERYWHERE,
    )
    assert facts["provider"] == NATIVE_PROVIDER
    of_spans = NATIVE_EXPORTERS[protocol]
    assert facts["exporters"] == [of_spans, *(of_spans.replace("Span", kind) for kind in ("Metric", "Log"))]
    assert facts["modules"] == []
    assert_all_arrived(otlp_receiver)
    assert not any(line.startswith("Failed to export") for line in facts.stderr.splitlines())


def test_all_signals_are_sent_as_json(start: Any, only_otel_rs: Path, http_receiver: Any) -> None:
    start(
        only_otel_rs,
        FACTS + ALL_SIGNALS,
        OTEL_PYTHON_DISTRO="rs",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/json",
        OTEL_EXPORTER_OTLP_ENDPOINT=http_receiver.base,
        **OTLP_EVERYWHERE,
    )
    assert {request.headers["content-type"] for request in http_receiver.requests} == {"application/json"}
    assert [span.name for span in http_receiver.spans()] == ["span"]
    assert "counter" in [metric.name for metric in http_receiver.metrics()]
    assert [record.body.string_value for record in http_receiver.log_records()] == ["logged"]


def test_each_signal_may_have_its_own_protocol_and_endpoint(
    start: Any, only_otel_rs: Path, otlp_receiver: Receiver
) -> None:
    with Receiver() as other:
        start(
            only_otel_rs,
            FACTS + ALL_SIGNALS,
            OTEL_PYTHON_DISTRO="rs",
            OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.grpc_endpoint,
            OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{other.http_endpoint}/v1/metrics",
            OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=f"{other.http_endpoint}/v1/logs",
            **OTLP_EVERYWHERE,
        )
        assert_all_arrived(otlp_receiver, other)
        assert (otlp_receiver.metrics(), otlp_receiver.logs(), other.traces()) == ({}, [], [])


DEFAULTS = """
import os
assert os.environ["OTEL_TRACES_EXPORTER"] == "otlp"
assert os.environ["OTEL_METRICS_EXPORTER"] == "otlp"
assert os.environ["OTEL_LOGS_EXPORTER"] == "otlp"
assert os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc"
assert os.environ["OTEL_PYTHON_CONFIGURATOR"] == "rs"
"""


def test_the_variable_is_enough_without_stock_exporters(start: Any, only_otel_rs: Path) -> None:
    unset = dict.fromkeys(QUIET)
    unset["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"
    facts = start(only_otel_rs, program=DEFAULTS + FACTS, **{**unset, "OTEL_PYTHON_DISTRO": "rs"})
    assert facts["distros"] == ["rs"]
    assert (facts["provider"], facts["exporters"]) == (NATIVE_PROVIDER, [NATIVE_EXPORTERS["grpc"]])
    assert facts["modules"] == []
    assert (facts["meters"], facts["loggers"]) == PROVIDERS_OF_OTHER_SIGNALS
    assert startup_lines(facts.stderr) == []


def test_installed_alone_but_not_selected_it_configures_nothing(start: Any, only_otel_rs: Path) -> None:
    facts = start(only_otel_rs)
    assert facts["provider"] == "opentelemetry.trace.ProxyTracerProvider"
    assert startup_lines(facts.stderr) == []


def test_importing_the_package_loads_nothing_of_the_stock_exporters(only_otel_rs: Path) -> None:
    program = "import otel_rs, otel_rs.distro, otel_rs.exporter.otlp.grpc, otel_rs.exporter.otlp.http"
    done = subprocess.run(
        [only_otel_rs, "-W", "error", "-c", program], capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- In this process -------------------------------------------------------------------------------------------------


def test_the_entry_points_are_registered() -> None:
    from importlib.metadata import entry_points

    from opentelemetry.instrumentation.distro import BaseDistro

    from otel_rs.distro import OtelRsDistro

    (distro,) = entry_points(group="opentelemetry_distro", name="rs")
    assert issubclass(OtelRsDistro, BaseDistro)
    assert distro.load()() is None
    # The loader warns of each configurator that it does not take.
    assert not entry_points(group="opentelemetry_configurator", name="rs")


def test_our_distro_is_loaded_when_the_variable_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.instrumentation.auto_instrumentation._load import _load_distro

    from otel_rs.distro import OtelRsDistro

    monkeypatch.setenv("OTEL_PYTHON_DISTRO", "rs")
    assert type(_load_distro()) is OtelRsDistro
    monkeypatch.delenv("OTEL_PYTHON_DISTRO")
    assert type(_load_distro()) is not OtelRsDistro
