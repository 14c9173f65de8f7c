"""A release of opentelemetry-sdk that nobody has seen yet: its provider takes one more argument, which it requires."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import sdk

from otel_rs.installation.releases import NEWEST, why_unknown

NEXT = f"{NEWEST[0]}.{NEWEST[1] + 1}.0"
QUIET = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}

ZERO_CODE = """
import sys
from opentelemetry import trace
with trace.get_tracer("library").start_as_current_span("span"):
    pass
print(type(trace.get_tracer_provider()).__module__)
"""

INSTALLED = """
import otel_rs
otel_rs.install()
from opentelemetry.sdk.trace import TracerProvider
print(TracerProvider.__module__)
"""


@pytest.fixture(scope="module")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH: the installed SDK, changed."""
    folder = tmp_path_factory.mktemp("next")
    (installed,) = sdk.__path__
    changed = folder / "opentelemetry" / "sdk"
    shutil.copytree(installed, changed, ignore=shutil.ignore_patterns("__pycache__"))
    (changed / "version" / "__init__.py").write_text(f'__version__ = "{NEXT}"\n')
    provider = changed / "trace" / "__init__.py"
    text = provider.read_text()
    begin = text.index("class TracerProvider(")
    at = text.index("def __init__(\n        self,\n", begin) + len("def __init__(\n        self,\n")
    provider.write_text(f"{text[:at]}        queue: object = None,\n{text[at:]}")
    configuration = changed / "_configuration" / "__init__.py"
    call = "TracerProvider(\n"
    text = configuration.read_text()
    assert call in text
    configuration.write_text(text.replace(call, f"{call}        queue=object(),\n", 1))
    return folder


def run(folder: Path, *command: str, expected: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    environment = {**inherited, **QUIET, "PYTHONPATH": str(folder), **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == expected, done.stderr
    return done


def start(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    instrument = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    return run(folder, instrument, sys.executable, "-c", ZERO_CODE, OTEL_PYTHON_DISTRO="rs", **variables)


def test_the_stock_sdk_is_used_and_one_line_says_so(next_release: Path, http_receiver: Any) -> None:
    done = start(
        next_release,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_ENDPOINT=http_receiver.base,
    )
    assert done.stdout == "opentelemetry.sdk.trace\n"
    assert [span.name for span in http_receiver.spans()] == ["span"]
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"The stock SDK is used instead of otel-rs: opentelemetry-sdk {NEXT} is newer than ")
    assert "OTEL_RS_UNKNOWN_SDK=true" in line


def test_a_program_that_installs_keeps_the_stock_sdk(next_release: Path) -> None:
    done = run(next_release, sys.executable, "-c", INSTALLED)
    assert done.stdout == "opentelemetry.sdk.trace\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("The stock SDK is used instead of otel-rs: ")


def test_a_program_may_want_ours_all_the_same(next_release: Path) -> None:
    done = run(next_release, sys.executable, "-c", INSTALLED, OTEL_RS_UNKNOWN_SDK="true")
    assert (done.stdout, done.stderr) == ("otel_rs.trace._provider\n", "")


def test_the_doctor_says_so(next_release: Path) -> None:
    done = run(next_release, sys.executable, "-m", "otel_rs", "doctor", "--json", expected=1)
    said = json.loads(done.stdout)
    problems = [each["text"] for each in [*said["set_up"], *said["delivery"]] if each["status"] == "problem"]
    assert any(text.startswith(f"the stock SDK is used: opentelemetry-sdk {NEXT} is newer") for text in problems)
    # This release's provider takes the resource in another place.
    assert any(text.startswith("no test item can be made: AttributeError(") for text in problems)


def test_the_releases_of_the_development_set_are_known() -> None:
    assert why_unknown() is None
