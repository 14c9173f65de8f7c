"""What the package costs a program that tries to import what it lacks: httpcore does so in each request."""

from __future__ import annotations

import os
import subprocess
import sys

from .support.receiver import DEADLINE_SECONDS

LACKS = """
import sys
names = []
def note(frame, event, argument):
    name = frame.f_globals["__name__"]
    if event == "call" and name.startswith("otel_rs"):
        names.append(f"{name}.{frame.f_code.co_qualname if sys.version_info >= (3, 11) else frame.f_code.co_name}")
sys.setprofile(note)
try:
    import no_such_module
except ImportError:
    pass
sys.setprofile(None)
print(*names, sep="\\n")
"""
INSTRUMENT = "import sys; from opentelemetry.instrumentation.auto_instrumentation import run; sys.argv[0] = 'x'; run()"


def called(program: str, *arguments: str) -> list[str]:
    """Functions of the package that a failing import calls."""
    done = subprocess.run(
        [sys.executable, *arguments, program],
        env={**os.environ, "OTEL_PYTHON_DISTRO": "rs", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_failing_import_calls_one_function_after_install() -> None:
    assert len(called(f"import otel_rs; otel_rs.install()\n{LACKS}", "-c")) == 1


def test_a_failing_import_calls_two_functions_under_the_distro() -> None:
    # An instrumentation waits for its library. And opentelemetry-instrument has put a folder on the path.
    assert len(called(f"import opentelemetry.sdk\n{LACKS}", "-c", INSTRUMENT, sys.executable, "-c")) == 2
