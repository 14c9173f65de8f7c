"""The image of the example's Dockerfile, run as its Deployment says: not as root, with a root that is read-only.

The recipes themselves are carried out, by chroot. The wheels are packed from what the development set has installed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector, attributes_of
from ..program import RUN_ATTRIBUTE, Program, free_port
from . import base_images, container, gunicorn_workers, kubernetes
from .arrived import Traces, traces_of
from .running import DISTRO, IMPLEMENTATIONS, get
from .wheels import packed

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
OF_THE_DEPLOYMENT = {
    "service.name": "shop",
    "k8s.pod.name": "shop-5d7f9c6b8d-x2x7q",
    "k8s.namespace.name": "store",
    "k8s.node.name": "node-1",
}
STOCK = ["opentelemetry-distro", "opentelemetry-exporter-otlp-proto-grpc"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    container.required()
    root = base_images.of_this_python(tmp_path_factory.mktemp("base") / "root")
    yield lambda _image: root
    shutil.rmtree(root)


def context(folder: Path, file: str, *more: str) -> Path:
    """A copy of the example's folder in `folder`, which also requires `more`, with wheels of all that it requires."""
    sources = shutil.copytree(kubernetes.FOLDER, folder / "kubernetes")
    names = [line for line in (sources / file).read_text().splitlines() if not line.startswith("#")]
    (sources / file).write_text("\n".join([*names, *more]))
    packed(sources / "wheels", *names, *more)
    return sources


@contextmanager
def pod(
    image: container.Image, collector: Collector, implementation: str, start_program: Callable[..., Any], **more: str
) -> Iterator[tuple[Program, int]]:
    """Runs the image with the variables of deployment.yaml, and waits until it serves."""
    of_the_deployment = kubernetes.container_of(kubernetes.document("deployment.yaml"))
    assert of_the_deployment["securityContext"]["readOnlyRootFilesystem"]
    variables = kubernetes.environment(of_the_deployment["env"])
    variables |= {name: DISTRO[implementation][name] for name in variables.keys() & DISTRO[implementation].keys()}
    (image.root / "app" / "gunicorn.conf.py").write_text(gunicorn_workers.CONFIGURATION)
    run, port = uuid.uuid4().hex, free_port()
    endpoint = variables["OTEL_EXPORTER_OTLP_ENDPOINT"].replace("4317", str(collector.ports["grpc"]))
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    variables["OTEL_RESOURCE_ATTRIBUTES"] += f",{RUN_ATTRIBUTE}={run}"
    # The image's own address would be seen outside of this machine.
    variables |= {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}", "PYTHONPROFILEIMPORTTIME": "1", **more}
    with start_program(*image.container(**variables)) as program:
        program.run = run
        gunicorn_workers.wait_until_they_take_signals(program)
        yield program, port


def first_process(program: Program) -> int:
    """The container's process 1, as its id is outside."""
    command = ["ps", "-o", "pid=", "--ppid", str(program.process.pid)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def check(
    image: container.Image, collector: Collector, implementation: str, start_program: Callable[..., Any]
) -> Traces:
    at_the_end = {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    with pod(image, collector, implementation, start_program, **at_the_end) as (program, port):
        first = first_process(program)
        status = Path(f"/proc/{first}/status").read_text()
        assert "\nUid:\t10001\t10001\t10001\t10001\n" in status
        assert "\nNSpid:\t" + f"{first}\t1\n" in status
        assert get(port, "/report") == "order 3"
        for number in range(20):
            assert get(port, f"/orders/{number}") == f"order {number}"
        program.assert_ran_on(implementation.replace("-", "_"))
        os.kill(first, signal.SIGTERM)
        assert program.process.wait(timeout=45) == 0, program.output()
    return traces_of(collector, program, 23)


def test_the_image_runs_as_the_deployment_says(
    collector: Collector, base: Callable[[str], Path], start_program: Callable[..., Any], tmp_path: Path
) -> None:
    # One image for both: the variable selects.
    sources = context(tmp_path, "requirements.txt", *STOCK)
    structures = {}
    with container.built((sources / "Dockerfile").read_text(), sources, tmp_path / "build", base, **OFFLINE) as image:
        assert not list(image.root.rglob("otel_rs-*.whl"))
        for implementation in IMPLEMENTATIONS:
            traces = check(image, collector, implementation, start_program)
            for span in traces.named("GET /report"):
                assert attributes_of(span["resource"]).items() >= OF_THE_DEPLOYMENT.items()
            structures[implementation] = traces.structure()
    assert structures["otel-rs"] == structures["stock"]


def test_the_operators_image_has_the_folder(base: Callable[[str], Path], tmp_path: Path) -> None:
    sources = context(tmp_path, "operator/requirements.txt")
    # As a wheel that is built on Debian is named; there is none here for musl.
    (wheel,) = (sources / "wheels").glob("otel_rs-*.whl")
    wheel.rename(wheel.with_name(wheel.name.replace("-linux", "-manylinux_2_34")))
    recipe = (sources / "operator" / "Dockerfile").read_text()
    start, end = recipe.index("FROM python:3.11-alpine"), recipe.index("FROM busybox")
    recipe = (recipe[:start] + recipe[end:]).replace(" /autoinstrumentation-musl", "")
    recipe = "\n".join(line for line in recipe.splitlines() if "build-musl" not in line)
    with container.built(recipe, sources, tmp_path / "build", base, **OFFLINE) as image:
        assert image.user == "1000:1000"
        folder = image.root / "autoinstrumentation"
        # The init container's command.
        image.run("mkdir /tmp/mounted && cp -r /autoinstrumentation/. /tmp/mounted")
        mounted = image.root / "tmp" / "mounted"
        assert (mounted / "opentelemetry" / "instrumentation" / "auto_instrumentation" / "sitecustomize.py").exists()
        assert list((mounted / "otel_rs").glob("_native.*.so"))
        assert len(list(mounted.rglob("*"))) == len(list(folder.rglob("*")))
