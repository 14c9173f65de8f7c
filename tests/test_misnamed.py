"""A name that nothing has: one line says which does, and the program is traced by the defaults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .support.receiver import DEADLINE_SECONDS, GrpcReceiver

BIN = Path(sys.executable).parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
PROGRAM = """
from opentelemetry import trace
trace.get_tracer("t").start_span("of the program").end()
"""

INSTRUMENT = [str(BIN / "opentelemetry-instrument"), sys.executable]
OTEL_RS = [sys.executable, "-m", "otel_rs", "run", sys.executable]


def lines(command: list[str], receiver: GrpcReceiver, path: Path, **variables: str) -> list[str]:
    """What the program has on stderr that has to do with names."""
    (path / "program.py").write_text(PROGRAM)
    quiet = {
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.base,
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
    tmp_path: Path, grpc_receiver: GrpcReceiver, variable: str, name: str, meant: str, instead: str
) -> None:
    (line,) = lines(INSTRUMENT, grpc_receiver, tmp_path, **{"OTEL_PYTHON_DISTRO": "rs", variable: name})
    wrong = name.rpartition(",")[2]
    assert line.startswith(f"{variable} is {wrong!r}; accepted: ")
    assert meant in line.partition("accepted: ")[2].partition(" (")[0].split(", ")
    assert line.endswith(f" (did you mean {meant}?). {instead}")
    assert [span.name for span in grpc_receiver.spans()] == ["of the program"]


@pytest.mark.parametrize(
    ("names", "instead"),
    [("tracecontex", "Using tracecontext,baggage, the default."), ("b4,baggage", "It is left out.")],
)
def test_a_propagator_costs_itself_under_otel_rs_run(
    tmp_path: Path, grpc_receiver: GrpcReceiver, names: str, instead: str
) -> None:
    """Under opentelemetry-instrument upstream's API raises before anything of this package is imported."""
    found = lines(OTEL_RS, grpc_receiver, tmp_path, OTEL_PROPAGATORS=names)
    assert len(found) == 1
    assert found[0].startswith(f"OTEL_PROPAGATORS is {names.partition(',')[0]!r}; accepted: baggage, ")
    assert found[0].endswith(instead)
    assert [span.name for span in grpc_receiver.spans()] == ["of the program"]


def test_a_name_of_another_distro_is_left_alone(tmp_path: Path, grpc_receiver: GrpcReceiver) -> None:
    assert lines(INSTRUMENT, grpc_receiver, tmp_path, OTEL_PYTHON_DISTRO="distro") == []


def test_a_program_that_its_configurator_has_set_up_keeps_that(tmp_path: Path, grpc_receiver: GrpcReceiver) -> None:
    """It exports, as the variables ask for."""
    variables = {"OTEL_PYTHON_DISTRO": "rss", "OTEL_TRACES_EXPORTER": "otlp"}
    (line,) = lines(INSTRUMENT, grpc_receiver, tmp_path, **variables)
    assert line.endswith("(did you mean rs?). Using the configurator configurator, and no distro.")
    assert [span.name for span in grpc_receiver.spans()] == ["of the program"]


def test_the_start_is_told_at_info_level(tmp_path: Path, grpc_receiver: GrpcReceiver) -> None:
    (line,) = lines(INSTRUMENT, grpc_receiver, tmp_path, OTEL_PYTHON_DISTRO="rs", OTEL_LOG_LEVEL="info")
    version, _, rest = line.partition(": ")
    assert version == "otel-rs 0.1.0"
    assert rest.startswith(f"traces: to {grpc_receiver.base} by grpc (native SDK); metrics: to nowhere (native SDK); ")
    assert "native instrumentations: asgi, " in rest
    assert lines(INSTRUMENT, grpc_receiver, tmp_path, OTEL_PYTHON_DISTRO="rs") == []
