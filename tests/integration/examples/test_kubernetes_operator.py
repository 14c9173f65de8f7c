"""The OpenTelemetry operator's way: a folder on PYTHONPATH traces a program that has no OpenTelemetry.

The folder is made by `pip install --target`, and the variables are those that the operator writes into the pod.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any

import pytest

from ...support.environment import environment as linked_environment
from ..otelcol import Collector, attributes_of
from ..program import RUN_ATTRIBUTE, Program, free_port
from . import gunicorn_workers, kubernetes
from .arrived import traces_of
from .environments import environment_with
from .other_pythons import other_pythons
from .running import DISTRO, IMPLEMENTATIONS, get
from .wheels import packed

OTEL_RS = "otel-rs"
STOCK = ("opentelemetry-distro", "opentelemetry-exporter-otlp-proto-http")
REQUIREMENTS = [
    line for line in (kubernetes.FOLDER / "operator" / "requirements.txt").read_text().splitlines() if line[0] != "#"
]

INJECTED = {
    "service.name": "shop",
    "service.namespace": "store",
    "service.version": "1.0",
    "k8s.container.name": "shop",
    "k8s.deployment.name": "shop",
    "k8s.namespace.name": "store",
    "k8s.node.name": "node-1",
    "k8s.pod.name": "shop-5d7f9c6b8d-x2x7q",
    "k8s.replicaset.name": "shop-5d7f9c6b8d",
}

NAMES = ["GET", "GET /orders/<int:number>", "GET /report"]
INSTANCE = "store.shop-5d7f9c6b8d-x2x7q.shop"

Folder = Callable[..., Path]
Shop = tuple[Program, int]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("packed") / "wheels", *REQUIREMENTS, *STOCK)


@pytest.fixture(scope="module")
def folder_with(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Folder:
    """`folder_with(*requirements)` is what the operator mounts, made once for these requirements."""
    made: dict[tuple[str, ...], Path] = {}

    def folder(*requirements: str) -> Path:
        if requirements not in made:
            target = made[requirements] = tmp_path_factory.mktemp("mounted") / "otel-auto-instrumentation-python"
            pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-index"]
            pip += ["--find-links", str(wheels), "--no-compile", "--target", str(target), *requirements]
            subprocess.run(pip, check=True, timeout=100)
        return made[requirements]

    return folder


@pytest.fixture(scope="module")
def mounted(folder_with: Folder) -> Callable[[str], Path]:
    """The folder of an implementation; the operator's own has the stock distro and exporter."""
    instrumentation = [name for name in REQUIREMENTS if name != OTEL_RS]
    return lambda implementation: folder_with(*(STOCK if implementation == "stock" else [OTEL_RS]), *instrumentation)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of the program's environment, which has no OpenTelemetry."""
    python = linked_environment(tmp_path_factory.mktemp("program") / "venv", "flask", "gunicorn", "requests")
    assert not list(python.parents[1].glob("lib/python3*/site-packages/opentelemetry*"))
    return python


def variables_of_the_pod(mounted: Path, collector: Collector, implementation: str) -> dict[str, str]:
    deployment, instrumentation = map(
        kubernetes.document, ("operator/deployment.yaml", "operator/instrumentation.yaml")
    )
    (distro,) = instrumentation["spec"]["python"]["env"]
    distro["value"] = DISTRO[implementation][distro["name"]]
    variables = kubernetes.environment(kubernetes.injected(deployment, instrumentation, mounted))
    port = collector.ports["http/protobuf"]
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = variables["OTEL_EXPORTER_OTLP_ENDPOINT"].replace("4318", str(port))
    return variables


@pytest.fixture
def shop(collector: Collector, tmp_path: Path, start_program: Callable[..., Any]) -> Callable[..., Any]:
    """`with shop(python, mounted, implementation) as (program, port)` runs the Deployment's command in its pod."""
    folder = tmp_path / "shop"
    shutil.copytree(kubernetes.FOLDER, folder)
    conf = folder / "gunicorn.conf.py"
    conf.write_text(gunicorn_workers.CONFIGURATION)

    @contextmanager
    def running(python: Path, mounted: Path, implementation: str, **more: str) -> Iterator[Shop]:
        program, *arguments = kubernetes.container_of(kubernetes.document("operator/deployment.yaml"))["command"]
        assert program == "gunicorn"
        run, port = uuid.uuid4().hex, free_port()
        variables = {**variables_of_the_pod(mounted, collector, implementation), **more}
        variables["OTEL_RESOURCE_ATTRIBUTES"] += f",{RUN_ATTRIBUTE}={run}"
        variables["GUNICORN_CMD_ARGS"] = f"--bind 127.0.0.1:{port} --chdir {folder} -c {conf} --no-control-socket"
        command = [python, "-c", "from gunicorn.app.wsgiapp import run; run()", *arguments]
        with start_program(*command, **variables) as started:
            started.run = run
            gunicorn_workers.wait_until_they_take_signals(started)
            yield started, port

    return running


def stopped(program: Program) -> None:
    """As Kubernetes stops a pod."""
    program.process.send_signal(signal.SIGTERM)
    period = kubernetes.document("operator/deployment.yaml")["spec"]["template"]["spec"]
    assert program.process.wait(timeout=period["terminationGracePeriodSeconds"]) == 0, program.output()


def test_what_arrives_is_what_arrives_from_the_operators_own_image(
    collector: Collector, python: Path, mounted: Callable[[str], Path], shop: Callable[..., Any]
) -> None:
    structures = {}
    for implementation in IMPLEMENTATIONS:
        with shop(python, mounted(implementation), implementation) as (program, port):
            assert get(port, "/report") == "order 3"
            traces = traces_of(collector, program, 3)
            program.assert_ran_on(implementation.replace("-", "_"))
            stopped(program)
        server, client = "SERVER GET /report", "CLIENT GET"  # the child is a process of its own
        assert traces.trees() == [client, f"SERVER GET /orders/<int:number> < {client}", server]
        resources = {span["name"]: attributes_of(span["resource"]) for name in NAMES for span in traces.named(name)}
        for resource in resources.values():
            assert resource.items() >= INJECTED.items()
            assert resource["telemetry.auto.version"]
        # The operator gives each process of a pod one id; the SDK replaces it in a process that was forked.
        assert [resources[name]["service.instance.id"] == INSTANCE for name in NAMES] == [True, False, False]
        structures[implementation] = traces.structure()
    assert structures["otel-rs"] == structures["stock"]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_nothing_is_lost_when_kubernetes_stops_the_pod(
    collector: Collector, python: Path, mounted: Callable[[str], Path], shop: Callable[..., Any], implementation: str
) -> None:
    at_the_end = {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    with shop(python, mounted(implementation), implementation, **at_the_end) as (program, port):
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(lambda number: get(port, f"/orders/{number}"), range(40)))
            assert get(port, "/report") == "order 3"
        # The child has ended, and so its span has arrived.
        assert traces_of(collector, program, 1).trees() == ["CLIENT GET"]
        stopped(program)
    traces = traces_of(collector, program, 43)
    assert len(traces.named("GET /orders/<int:number>")) == 41


def test_the_programs_own_packages_come_first_where_the_folder_has_none(
    collector: Collector, python: Path, mounted: Callable[[str], Path]
) -> None:
    program = "import certifi, idna, requests, urllib3; print(requests.__file__)"
    places = {}
    for implementation in IMPLEMENTATIONS:
        done = in_the_pod(python, program, variables_of_the_pod(mounted(implementation), collector, implementation))
        places[implementation] = done.stdout
    # The stock exporter for HTTP brings requests, and what that needs, to every program, in its own versions.
    assert places["stock"].startswith(str(mounted("stock")))
    assert places["otel-rs"].startswith(str(python.parents[1]))


@pytest.mark.environments
def test_a_program_with_an_older_opentelemetry_of_its_own_runs_on_the_folders(
    collector: Collector, mounted: Callable[[str], Path], shop: Callable[..., Any]
) -> None:
    opentelemetry = ["opentelemetry-sdk==1.30.0", "opentelemetry-instrumentation-flask==0.51b0", "wrapt==1.17.2"]
    its_own = environment_with("older-opentelemetry", "flask", "gunicorn", "requests", "setuptools", *opentelemetry)
    structures = {}
    for implementation in IMPLEMENTATIONS:
        with shop(its_own / "python", mounted(implementation), implementation) as (program, port):
            assert get(port, "/orders/3") == "order 3"
            stopped(program)
            program.assert_ran_on(implementation.replace("-", "_"))
        traces = traces_of(collector, program, 1)
        (span,) = traces.named("GET /orders/<int:number>")
        assert attributes_of(span["resource"])["telemetry.sdk.version"] == distribution_version("opentelemetry-sdk")
        structures[implementation] = traces.structure()
    assert structures["otel-rs"] == structures["stock"]


def test_without_the_distros_name_nothing_is_traced(
    collector: Collector, python: Path, mounted: Callable[[str], Path]
) -> None:
    variables = variables_of_the_pod(mounted("otel-rs"), collector, "otel-rs")
    del variables["OTEL_PYTHON_DISTRO"]
    assert in_the_pod(python, PROVIDER, variables).stdout == "ProxyTracerProvider\n"


PROVIDER = "from opentelemetry import trace; print(type(trace.get_tracer_provider()).__name__)"


@pytest.fixture
def for_another_python(mounted: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder that pip made with a Python whose extension modules this one does not load."""
    folder = shutil.copytree(mounted("otel-rs"), tmp_path / "another")
    (native,) = (folder / "otel_rs").glob("_native.*.so")
    native.rename(native.with_name("_native.cpython-399-x86_64-linux-gnu.so"))
    return folder


def test_in_a_folder_for_another_python_one_line_says_so_and_the_program_runs(
    collector: Collector, python: Path, for_another_python: Path, shop: Callable[..., Any]
) -> None:
    with shop(python, for_another_python, "otel-rs") as (program, port):
        assert get(port, "/orders/3") == "order 3"
        stopped(program)
    assert "Traceback" not in program.output()
    (line,) = (line for line in program.output().splitlines() if "otel-rs" in line)
    assert line.startswith("Nothing is sent. otel-rs cannot be used: it is installed for cpython-399-x86_64-linux-gnu")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"; install its wheel for Python {version} in {for_another_python}. " in line
    assert not collector.resource_spans(program.run)


def test_in_a_folder_for_another_python_the_stock_exporter_sends_if_it_is_there(
    collector: Collector,
    python: Path,
    for_another_python: Path,
    mounted: Callable[[str], Path],
    shop: Callable[..., Any],
) -> None:
    shutil.copytree(mounted("stock"), for_another_python, dirs_exist_ok=True)
    with shop(python, for_another_python, "otel-rs") as (program, port):
        assert get(port, "/orders/3") == "order 3"
        stopped(program)
    assert traces_of(collector, program, 1).trees() == ["SERVER GET /orders/<int:number>"]
    assert "Traceback" not in program.output()
    lines = [line for line in program.output().splitlines() if "otel-rs" in line]
    assert lines[0].startswith("The stock SDK is used instead of otel-rs: it is installed for cpython-399-"), lines


def test_another_python_runs_with_the_folder(collector: Collector, mounted: Callable[[str], Path]) -> None:
    for python in other_pythons():
        done = in_the_pod(python, PROVIDER, variables_of_the_pod(mounted("otel-rs"), collector, "otel-rs"))
        assert done.stdout == "ProxyTracerProvider\n"
        (line,) = done.stderr.splitlines()
        assert line.startswith("Nothing is sent. otel-rs cannot be used: it is installed for ")


def in_the_pod(python: Path, program: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    return subprocess.run(
        [python, "-c", program],
        env={**inherited, **variables, "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
