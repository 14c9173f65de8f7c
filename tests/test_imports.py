"""Each module can be imported first, and changes nothing when it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "python" / "otel_rs"


def name_of(source: Path) -> str:
    parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(source): source for source in sorted(PACKAGE.rglob("*.py"))}

# Not in the development set, where an application of FastAPI's would have two instrumentations.
LACKING = {"otel_rs.instrument.starlette": "opentelemetry.instrumentation.starlette"}

# What importing a module must leave as it is. `__main__` modules run when they are imported under another name, too.
PROGRAM = """
import atexit, importlib, signal, sys, threading
import {first}
before = atexit._ncallbacks(), len(threading._threading_atexits), signal.raise_signal, list(sys.meta_path)
importlib.import_module({module!r})
after = atexit._ncallbacks(), len(threading._threading_atexits), signal.raise_signal, list(sys.meta_path)
assert before == after, (before, after)
"""


@pytest.mark.parametrize("module", MODULES)
def test_a_module_can_be_imported_first_and_does_nothing_else(module: str) -> None:
    if module in LACKING:
        pytest.importorskip(LACKING[module])
    # Upstream's modules, requests, Celery and Django may register what they like.
    first = (
        "opentelemetry.sdk._configuration, concurrent.futures.thread, opentelemetry.instrumentation.distro, requests, "
        "opentelemetry.instrumentation.celery, opentelemetry.instrumentation.django"
    )
    for program in (f"import {module}", PROGRAM.format(first=first, module=module)):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
