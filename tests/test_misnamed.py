"""A name that nothing has: one line says which does, and the program is traced by the defaults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_rs.testing import Receiver, span

from .support.receiver import DEADLINE_SECONDS

BIN = Path(sys.executable).parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
PROGRAM = """
from opentelemetry import trace
trace.get_tracer("t").start_span("of the program").end()
"""

INSTRUMENT = [str(BIN / "opentelemetry-instrument"), sys.executable]
OTEL_RS = [sys.executable, "-m", "otel_rs", "run", sys.executable]


def lines(command: list[str], receiver: Receiver, path: Path, **variables: str) -> list[str]:
    """What the program has on stderr that has to do with names."""
    (path / "program.py").write_text(PROGRAM)
    quiet = {
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
        **receiver.environment(),
    }
    done = subprocess.run(
        [*command, str(path / "program.py")],
        env={**ENVIRONMENT, **quiet, **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "Configuration of configurator not loaded" not in line]


@pytest.mark.parametrize(
    ("variable", "name", "meant", "instead"),
    [
        ("OTEL_PYTHON_DISTRO", "rss", "rs", "Using rs."),
        ("OTEL_PYTHON_CONFIGURATOR", "rss", "rs", "Using rs."),
        ("OTEL_TRACES_EXPORTER", "otpl", "otlp", "Using otlp, the default."),
        ("OTEL_TRACES_EXPORTER", "otlp,consol", "console", "It is left out."),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grcp", "grpc", "Using grpc, the default."),
        ("OTEL_TRACES_SAMPLER", "alwayson", "always_on", "Using parentbased_always_on, the default."),
        ("OTEL_PYTHON_ID_GENERATOR", "randm", "random", "Using random, the default."),
    ],
)
def test_one_line_says_what_there_is(
    tmp_path: Path, otlp_receiver: Receiver, variable: str, name: str, meant: str, instead: str
) -> None:
    (line,) = lines(INSTRUMENT, otlp_receiver, tmp_path, **{"OTEL_PYTHON_DISTRO": "rs", variable: name})
    wrong = name.rpartition(",")[2]
    assert line.startswith(f"{variable} is {wrong!r}; accepted: ")
    assert meant in line.partition("accepted: ")[2].partition(" (")[0].split(", ")
    assert line.endswith(f" (did you mean {meant}?). {instead}")
    assert otlp_receiver.traces() == [span("of the program")]


@pytest.mark.parametrize(
    ("names", "instead"),
    [("tracecontex", "Using tracecontext,baggage, the default."), ("b4,baggage", "It is left out.")],
)
def test_a_propagator_costs_itself_under_otel_rs_run(
    tmp_path: Path, otlp_receiver: Receiver, names: str, instead: str
) -> None:
    found = lines(OTEL_RS, otlp_receiver, tmp_path, OTEL_PROPAGATORS=names)
    assert len(found) == 1
    assert found[0].startswith(f"OTEL_PROPAGATORS is {names.partition(',')[0]!r}; accepted: baggage, ")
    assert found[0].endswith(instead)
    assert otlp_receiver.traces() == [span("of the program")]


def test_a_propagator_costs_one_line_where_the_program_is_a_child_of_the_receiver(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "otel_rs", "run", "--view", str(tmp_path / "program.py")]
    environment = {**ENVIRONMENT, "OTEL_PROPAGATORS": "b4,baggage"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("OTEL_PROPAGATORS ")]
    assert line.endswith("It is left out.")
    assert "of the program" in done.stderr


def test_a_propagator_costs_itself_under_install(tmp_path: Path, otlp_receiver: Receiver) -> None:
    """Where the program asks for it before it imports OpenTelemetry's API, as it has to anyway."""
    program = tmp_path / "installed.py"
    program.write_text("""
import otel_rs
otel_rs.install()
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
with trace.get_tracer("t").start_as_current_span("of the program"):
    headers = {}
    propagate.inject(headers)
    assert list(headers) == ["traceparent"]
""")
    variables = {"OTEL_PROPAGATORS": "tracecontex", **otlp_receiver.environment()}
    command = [sys.executable, str(program)]
    done = subprocess.run(command, env={**ENVIRONMENT, **variables}, capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    assert line.startswith("OTEL_PROPAGATORS is 'tracecontex'; accepted: baggage, ")
    assert line.endswith("(did you mean tracecontext?). Using tracecontext,baggage, the default.")
    assert otlp_receiver.traces() == [span("of the program")]


# The API reads the variable when it is imported, and opentelemetry-instrument imports it first: decision 30.
NOT_FOUND = "ValueError: Propagator tracecontex not found. It is either misspelled or not installed."


def test_opentelemetry_instrument_does_not_start_a_program_with_an_unknown_propagator(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("print('started')")
    environment = {**ENVIRONMENT, "OTEL_PYTHON_DISTRO": "rs", "OTEL_PROPAGATORS": "tracecontex"}
    command = [*INSTRUMENT, str(tmp_path / "program.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == NOT_FOUND


def test_a_program_with_an_unknown_propagator_and_the_folder_of_opentelemetry_instrument_is_not_traced(
    tmp_path: Path, otlp_receiver: Receiver
) -> None:
    """As Kubernetes' operator starts it: the folder is on the path, and the command is not run."""
    (tmp_path / "program.py").write_text("print('started')\n" + PROGRAM)
    from opentelemetry.instrumentation import auto_instrumentation

    variables = {
        "PYTHONPATH": auto_instrumentation.__path__[0],
        "OTEL_PYTHON_DISTRO": "rs",
        "OTEL_PROPAGATORS": "tracecontex",
        **otlp_receiver.environment(),
    }
    command = [sys.executable, str(tmp_path / "program.py")]
    done = subprocess.run(command, env={**ENVIRONMENT, **variables}, capture_output=True, text=True, check=True)
    assert done.stdout == "started\n"
    assert done.stderr.splitlines() == ["Error in sitecustomize; set PYTHONVERBOSE for traceback:", NOT_FOUND]
    assert otlp_receiver.requests() == []


def test_a_name_of_another_distro_is_left_alone(tmp_path: Path, otlp_receiver: Receiver) -> None:
    assert lines(INSTRUMENT, otlp_receiver, tmp_path, OTEL_PYTHON_DISTRO="distro") == []


def test_a_program_that_its_configurator_has_set_up_keeps_that(tmp_path: Path, otlp_receiver: Receiver) -> None:
    """It exports, as the variables ask for."""
    variables = {"OTEL_PYTHON_DISTRO": "rss", "OTEL_TRACES_EXPORTER": "otlp"}
    (line,) = lines(INSTRUMENT, otlp_receiver, tmp_path, **variables)
    assert line.endswith("(did you mean rs?). Using the configurator configurator, and no distro.")
    assert otlp_receiver.traces() == [span("of the program")]


def test_the_start_is_told_at_info_level(tmp_path: Path, otlp_receiver: Receiver) -> None:
    (line,) = lines(INSTRUMENT, otlp_receiver, tmp_path, OTEL_PYTHON_DISTRO="rs", OTEL_LOG_LEVEL="info")
    version, _, rest = line.partition(": ")
    assert version == "otel-rs 0.1.0"
    assert rest.startswith(
        f"traces: to {otlp_receiver.grpc_endpoint} by grpc (native SDK); metrics: to nowhere (native SDK); "
    )
    assert "native instrumentations: asgi, " in rest
    assert lines(INSTRUMENT, otlp_receiver, tmp_path, OTEL_PYTHON_DISTRO="rs") == []
