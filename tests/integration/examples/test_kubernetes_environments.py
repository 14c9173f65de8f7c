"""The Kubernetes example with what a network brings: Kubernetes' schemas, packages of PyPI, Debian, other Pythons."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector
from . import base_images, container, kubernetes
from .environments import CACHE, environment_with, made
from .other_pythons import other_pythons
from .test_kubernetes_image import check
from .wheels import packed

pytestmark = pytest.mark.environments

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("file", ["deployment.yaml", "operator/deployment.yaml"])
def test_kubernetes_own_schemas_accept_the_file(file: str, tmp_path: Path) -> None:
    validate = [environment_with("kubernetes-validate", "kubernetes-validate") / "kubernetes-validate", "--strict"]
    text = (kubernetes.FOLDER / file).read_text()
    for accepted, written in ((True, text), (False, text.replace("terminationGracePeriodSeconds", "gracePeriod"))):
        (tmp_path / "file.yaml").write_text(written)
        done = subprocess.run([*validate, tmp_path / "file.yaml"], capture_output=True, text=True)
        assert (done.returncode == 0) == accepted, done.stdout + done.stderr


def test_the_image_on_debian_with_packages_of_pypi(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path
) -> None:
    container.required()
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is not installed")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("Debian 12 has Python 3.11, and otel-rs is built for another one here")
    debian = made("debian-12", debian_with_python)
    sources = shutil.copytree(kubernetes.FOLDER, tmp_path / "kubernetes")
    packed(sources / "wheels", "otel-rs")
    for wheel in (sources / "wheels").glob("*.whl"):
        if not wheel.name.startswith("otel_rs-"):
            wheel.unlink()
    recipe, base = (sources / "Dockerfile").read_text(), lambda _name: debian
    with container.built(recipe, sources, tmp_path / "build", base, **for_registries(debian)) as image:
        assert not (image.root / "usr" / "bin" / "cc").exists()
        check(image, collector, "otel-rs", start_program)


def debian_with_python(folder: Path) -> None:
    with_python = "--include=python3,python3-venv,python-is-python3"
    subprocess.run(["debootstrap", "--variant=minbase", with_python, "bookworm", folder], check=True, timeout=900)
    base_images.in_etc_and_dev(folder)


def for_registries(root: Path) -> dict[str, str]:
    """What pip in the root needs to reach the registry of this machine."""
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    variables = {name: value for name, value in os.environ.items() if name in ("PIP_INDEX_URL", "https_proxy")}
    if bundle := os.environ.get("PIP_CERT"):
        shutil.copy(bundle, root / "root" / "certificates.pem")
        variables["PIP_CERT"] = "/root/certificates.pem"
    return variables


SPAN = """
from opentelemetry import trace
with trace.get_tracer("program").start_as_current_span("work"):
    pass
"""


def test_one_folder_for_two_pythons(collector: Collector, start_program: Callable[..., Any], tmp_path: Path) -> None:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    other_python = other_pythons()[-1]
    version = other_python.name.removeprefix("python")

    def make(folder: Path) -> None:
        maturin = [Path(sys.executable).with_name("maturin"), "build", "--locked", "--interpreter", other_python]
        environment = os.environ | {"CARGO_TARGET_DIR": str(CACHE / "target")}
        subprocess.run([*maturin, "--out", folder], cwd=ROOT, env=environment, check=True)

    (wheel,) = made(f"wheel-{version}", make).glob("*.whl")
    wheels = packed(tmp_path / "wheels", "otel-rs")
    mounted = tmp_path / "mounted"
    pip = [sys.executable, "-m", "pip", "--quiet", "install", "--no-index", "--find-links", wheels]
    subprocess.run([*pip, "--target", mounted, "otel-rs"], check=True)
    with zipfile.ZipFile(wheel) as file:  # its native part, and this tree's Python files
        (native,) = (name for name in file.namelist() if "/_native." in name and not name.endswith(".pyi"))
        file.extract(native, mounted)
    for python in (sys._base_executable, other_python):
        variables = {
            "PYTHONPATH": f"{mounted}/opentelemetry/instrumentation/auto_instrumentation:{mounted}",
            "OTEL_PYTHON_DISTRO": "rs",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
        }
        with start_program(python, "-c", SPAN, **variables) as program:
            assert len(collector.wait_for_spans(program.run, 1, program)) == 1
            assert program.process.wait(timeout=30) == 0
            program.assert_ran_on("otel-rs")
