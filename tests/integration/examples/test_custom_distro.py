"""examples/custom_distro: a distro that derives from ours, hooks, instrumentors, and the choice among several."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from ..otelcol import Collector, attributes_of
from ..program import Program, free_port
from .arrived import Traces, traces_of
from .running import DISTRO, IMPLEMENTATIONS, INSTRUMENT, example, get, interrupt, listening, on_port

OURS, STOCKS = "from otel_rs.distro import OtelRsDistro", "from opentelemetry.distro import OpenTelemetryDistro"
# The distro of the stock side derives from upstream's, whose configurator must be chosen by name.
CHOICE = {
    "stock": {"OTEL_PYTHON_DISTRO": "acme", "OTEL_PYTHON_CONFIGURATOR": "configurator"},
    "otel-rs": {"OTEL_PYTHON_DISTRO": "acme"},
}


def installed(implementation: str, folder: Path) -> Path:
    """The example with what pip makes of its pyproject.toml: entry points."""
    source = example("custom_distro", "otel-rs", folder / implementation)
    distro = source / "acme_distro.py"
    if implementation == "stock":
        assert OURS in distro.read_text()
        distro.write_text(distro.read_text().replace(OURS, f"{STOCKS} as OtelRsDistro"))
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    information = source / "acme_distro-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-distro\nVersion: 1.0\n")
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entry_points.items())
        for group, entry_points in project["entry-points"].items()
    )
    (information / "entry_points.txt").write_text("\n".join(groups))
    return source


def served(
    collector: Collector,
    start_program: Callable[..., Any],
    source: Path,
    *paths: str,
    **environment: str | None,
) -> Program:
    """The program after it has answered these requests and ended."""
    port = free_port()
    program_file = on_port(source / "server.py", port)
    variables = {
        "PYTHONPATH": str(source),
        "OTEL_SERVICE_NAME": "orders",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        **environment,
    }
    variables = {name: value for name, value in variables.items() if value is not None}
    with listening(start_program, port, INSTRUMENT, sys.executable, program_file, **variables) as program:
        for path in paths:
            get(port, path)
        interrupt(program)
    return program


def test_the_distro_and_its_hooks_and_instrumentors(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path
) -> None:
    arrived: dict[str, Traces] = {}
    hooks: dict[str, list[str]] = {}
    for implementation in IMPLEMENTATIONS:
        source = installed(implementation, tmp_path)
        program = served(collector, start_program, source, "/orders", "/again", **CHOICE[implementation])
        arrived[implementation] = traces_of(collector, program, 3)
        hooks[implementation] = [line for line in program.output().splitlines() if line.startswith(("before", "after"))]
        assert program.output().count("already instrumented") == 1
        assert program.imported("otel_rs._native") is (implementation == "otel-rs")
    assert arrived["otel-rs"].structure() == arrived["stock"].structure()
    assert arrived["otel-rs"].trees() == [
        "INTERNAL json.loads < SERVER GET /orders",
        "SERVER GET /again",
        "SERVER GET /orders",
    ]
    (span,) = arrived["otel-rs"].named("GET /orders")
    assert attributes_of(span)["acme.team"] == "orders"
    assert hooks["otel-rs"] == hooks["stock"]
    assert hooks["otel-rs"] == ["before: TracerProvider, flask.app", "after: opentelemetry.instrumentation.flask"]


def test_the_distros_own_default_of_the_resource(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path
) -> None:
    # The variable has the run's id in the other tests.
    for implementation in IMPLEMENTATIONS:
        source = installed(implementation, tmp_path)
        (source / "sees.py").write_text("import os\nprint('resource:', os.environ['OTEL_RESOURCE_ATTRIBUTES'])\n")
        environment = {**CHOICE[implementation], "PYTHONPATH": str(source), "OTEL_TRACES_EXPORTER": "none"}
        command = ["env", "-u", "OTEL_RESOURCE_ATTRIBUTES", INSTRUMENT, sys.executable, source / "sees.py"]
        with start_program(*map(str, command), **environment, OTEL_METRICS_EXPORTER="none") as program:
            assert program.process.wait(timeout=30) == 0, program.output()
        assert "resource: deployment.environment.name=staging" in program.output()


CONFLICT = "Provides-Extra: instruments\nRequires-Dist: acme-library-that-nobody-has >= 1.0; extra == 'instruments'\n"
RAISES = "class MissingInstrumentor:\n    def instrument(self, **kwargs):\n        raise RuntimeError('it fails')\n"


@pytest.mark.parametrize("kind", ["a conflict of versions", "an instrumentor that raises"])
def test_an_instrumentor_that_cannot_be_used(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    """One in conflict is left out; one that raises ends the instrumentation, and not the program."""
    lines: dict[str, list[str]] = {}
    for implementation in IMPLEMENTATIONS:
        source = installed(implementation, tmp_path)
        (source / "acme_missing.py").write_text(RAISES)
        if kind == "a conflict of versions":
            metadata = source / "acme_distro-1.0.dist-info" / "METADATA"
            metadata.write_text(metadata.read_text() + CONFLICT)
        program = served(collector, start_program, source, "/orders", **CHOICE[implementation])
        lines[implementation] = [
            line for line in program.output().splitlines() if "acme" in line or line.startswith(("Runtime", "Failed"))
        ]
        lines[implementation] = [line for line in lines[implementation] if "File " not in line]
    assert lines["otel-rs"] == lines["stock"]
    if kind == "a conflict of versions":
        assert traces_of(collector, program, 1).trees() == ["SERVER GET /orders"]
    else:
        assert "Failed to auto initialize OpenTelemetry" in lines["otel-rs"]


@pytest.mark.parametrize(
    ("disabled", "expected"), [("flask", ["INTERNAL json.loads"]), ("acme_orders , flask", []), ("*", [])]
)
def test_disabled_instrumentations(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, disabled: str, expected: list[str]
) -> None:
    for implementation in IMPLEMENTATIONS:
        source = installed(implementation, tmp_path)
        environment = {**CHOICE[implementation], "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": disabled}
        program = served(collector, start_program, source, "/orders", **environment)
        if expected:
            assert traces_of(collector, program, 1).trees() == expected
        else:
            assert collector.resource_spans(program.run) == []


@pytest.mark.parametrize(
    ("distro", "configurator", "is_native"),
    [
        ("acme", None, True),
        ("rs", None, True),
        ("acme", "rs", True),
        ("distro", "rs", True),
        ("rs", "configurator", False),
        ("distro", "configurator", False),
    ],
)
def test_the_choice_among_several(
    collector: Collector,
    start_program: Callable[..., Any],
    tmp_path: Path,
    distro: str,
    configurator: str | None,
    is_native: bool,
) -> None:
    source = installed("otel-rs", tmp_path)
    program = served(
        collector,
        start_program,
        source,
        "/orders",
        OTEL_PYTHON_DISTRO=distro,
        OTEL_PYTHON_CONFIGURATOR=configurator,
    )
    (span,) = traces_of(collector, program, 2).named("GET /orders")
    assert ("acme.team" in attributes_of(span)) is (distro == "acme")
    assert program.imported("otel_rs._native") is is_native
    warned = [line for line in program.output().splitlines() if "not loaded" in line]
    # The loader's, of the stock configurator, before any code of ours has run.
    assert len(warned) == (1 if (distro, configurator) == ("distro", "rs") else 0)


GREENLETS = """
import gevent
import gevent.monkey
from opentelemetry import trace

tracer = trace.get_tracer("test")
print("patched:", gevent.monkey.is_module_patched("socket"), flush=True)


def work(number):
    with tracer.start_as_current_span(f"greenlet {number}"):
        gevent.sleep(0)
        with tracer.start_as_current_span(f"inside {number}"):
            gevent.sleep(0)


gevent.joinall([gevent.spawn(work, number) for number in range(3)])
"""

CHILD = """
import subprocess, sys
from opentelemetry import trace

with trace.get_tracer("test").start_as_current_span(f"process {len(sys.argv)}"):
    if len(sys.argv) == 1:
        subprocess.run([sys.executable, __file__, "child"], check=True)
"""

LISTING = """
from opentelemetry.util._importlib_metadata import entry_points

for entry_point in entry_points(group="opentelemetry_instrumentor"):
    print(f"Name: {entry_point.name}")
    print(f"Value: {entry_point.value}")
    if entry_point.name == "flask":
        instrumentor_class = entry_point.load()
        instrumentor = instrumentor_class()
        print(type(instrumentor).__name__)
"""


@pytest.mark.parametrize(
    ("program_text", "spans"),
    [
        (GREENLETS, [f"INTERNAL inside {n} < INTERNAL greenlet {n}" for n in range(3)]),
        (CHILD, ["INTERNAL process 1", "INTERNAL process 2"]),
        (LISTING, []),
    ],
    ids=["gevent's patch", "a child process", "the list of entry points"],
)
def test_a_program_under_the_instrumenting_command(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, program_text: str, spans: list[str]
) -> None:
    (source := tmp_path / "program.py").write_text(program_text)
    trees: dict[str, list[str]] = {}
    outputs: dict[str, str] = {}
    for implementation in IMPLEMENTATIONS:
        environment = {
            **DISTRO[implementation],
            "OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH": "patch_all" if spans[2:] else "",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        }
        with start_program(INSTRUMENT, sys.executable, source, **environment) as program:
            assert program.process.wait(timeout=60) == 0, program.output()
            expected = len(spans) + sum("greenlet" in span for span in spans)
            arrived = traces_of(collector, program, expected) if expected else Traces([])
        trees[implementation], outputs[implementation] = arrived.trees(), program.output()
    assert trees["otel-rs"] == trees["stock"]
    assert set(spans) <= set(trees["otel-rs"])
    assert outputs["otel-rs"] == outputs["stock"]
    if program_text is GREENLETS:
        assert "patched: True" in outputs["otel-rs"]
