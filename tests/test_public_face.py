"""What the package shows of itself: names, versions, reprs, and types."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import otel_rs
from otel_rs.exporter.otlp import grpc, http

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
