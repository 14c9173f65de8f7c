"""The commands of `examples/zero_code` from the first: `pip install`, `opentelemetry-bootstrap`, the program."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector
from ..program import free_port
from .arrived import log_records, log_structure, metric_names, traces_of
from .running import DISTRO, TRACEPARENT, example, get, interrupt, listening, on_port
from .test_zero_code import METRICS, RECORDS, SPANS
from .wheels import pack

pytestmark = pytest.mark.environments

ROOT = Path(__file__).parents[3]
CONSTRAINTS = ROOT / "requirements-dev.txt"
PROGRAM = ["flask", "requests"]
INSTALLED = {"stock": ["opentelemetry-distro", "opentelemetry-exporter-otlp"], "otel-rs": ["otel-rs"]}

ONLY_ON_STOCK = {
    "googleapis-common-protos",
    "grpcio",
    "opentelemetry-distro",
    "opentelemetry-exporter-http-transport",
    "opentelemetry-exporter-otlp",
    "opentelemetry-exporter-otlp-common",
    "opentelemetry-exporter-otlp-proto-common",
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-proto",
    "protobuf",
}

# What bootstrap finds for the program, besides what it always installs.
FOR_THE_PROGRAM = {"click", "flask", "jinja2", "requests", "urllib3"}
ALWAYS = {"asyncio", "dbapi", "exceptions", "logging", "sqlite3", "threading", "urllib", "wsgi"}


# As it is before the fixtures of the tests change it: pip and uv need the certificates of the package index.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON", "PYTEST_"))}


def called(command: list[Any], **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def environment_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`environment_of(implementation)` is the `bin` of an environment where the README's commands were run."""

    def make(implementation: str) -> Path:
        wanted = [*PROGRAM, *INSTALLED[implementation]]
        made_of = json.dumps([sys.version, sys.prefix, wanted, CONSTRAINTS.read_text()])
        folder = ROOT / ".cache" / "examples" / f"{implementation}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"
        wheels = tmp_path_factory.mktemp("wheels")
        pack(distribution("otel-rs"), wheels)
        uv = [sys.executable, "-m", "uv", "--quiet"]
        install = [*uv, "pip", "install", "--python", folder / "bin" / "python", "--find-links", wheels]
        if not (folder / ".made").exists():
            called([*uv, "venv", "--clear", "--seed", "--python", sys.executable, folder])
            called([*install, "--constraint", CONSTRAINTS, *wanted])
            called([folder / "bin" / "opentelemetry-bootstrap", "-a", "install"], PIP_CONSTRAINT=str(CONSTRAINTS))
            (folder / ".made").touch()
        elif implementation == "otel-rs":
            called([*install, "--reinstall-package", "otel-rs", "--no-deps", "otel-rs"])
        return folder / "bin"

    return make


def distributions(bin: Path) -> set[str]:
    return {each["name"].lower() for each in json.loads(called([bin / "python", "-m", "pip", "list", "--format=json"]))}


def found_by_bootstrap(bin: Path) -> set[str]:
    lines = called([bin / "opentelemetry-bootstrap", "-a", "requirements"]).splitlines()
    return {re.sub(r"^opentelemetry-instrumentation-(.*)==.*$", r"\1", line) for line in lines}


def test_less_is_installed_than_on_stock(environment_of: Callable[[str], Path]) -> None:
    stock, ours = distributions(environment_of("stock")), distributions(environment_of("otel-rs"))
    assert stock - ours == {*ONLY_ON_STOCK, "opentelemetry-instrumentation-grpc"}
    assert ours - stock == {"otel-rs"}


def test_bootstrap_finds_the_libraries_of_the_program(environment_of: Callable[[str], Path]) -> None:
    ours = environment_of("otel-rs")
    assert found_by_bootstrap(ours) == ALWAYS | FOR_THE_PROGRAM
    # The default action.
    assert called([ours / "opentelemetry-bootstrap"]) == called(
        [ours / "opentelemetry-bootstrap", "-a", "requirements"]
    )
    # On stock it finds grpcio, too, which the exporter brought along.
    assert found_by_bootstrap(environment_of("stock")) == ALWAYS | FOR_THE_PROGRAM | {"grpc"}


def test_bootstrap_installs_what_it_finds(environment_of: Callable[[str], Path]) -> None:
    for implementation in INSTALLED:
        bin = environment_of(implementation)
        wanted = {f"opentelemetry-instrumentation-{name}" for name in found_by_bootstrap(bin)}
        assert wanted <= distributions(bin)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_program_sends_what_it_sends_on_stock(
    collector: Collector,
    start_program: Callable[..., Any],
    environment_of: Callable[[str], Path],
    tmp_path: Path,
    protocol: str,
) -> None:
    def sent_by(implementation: str) -> list[list[str]]:
        port, bin = free_port(), environment_of(implementation)
        source = on_port(example("zero_code", implementation, tmp_path) / "app.py", port)
        environment = {
            **DISTRO[implementation],
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "",
        }
        command = [bin / "opentelemetry-instrument", bin / "python", source]
        with listening(start_program, port, *command, **environment) as program:
            assert get(port, "/orders/3", traceparent=TRACEPARENT) == "21"
            interrupt(program)
            traces = traces_of(collector, program, len(SPANS))
            assert traces.trees() == SPANS
            assert metric_names(collector, program, *METRICS) == METRICS
            program.assert_ran_on(implementation)
            return [traces.structure(), log_structure(log_records(collector, program, RECORDS), traces)]

    assert sent_by("otel-rs") == sent_by("stock")
