"""The folder of opentelemetry-instrument is looked into once, and what it has is found as before."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from .support.receiver import DEADLINE_SECONDS

INSTRUMENT = "import sys; from opentelemetry.instrumentation.auto_instrumentation import run; sys.argv[0] = 'x'; run()"
PROGRAM = """
import importlib, importlib.util, json, os, pkgutil, sys
from importlib.machinery import FileFinder, PathFinder
from opentelemetry.instrumentation import auto_instrumentation
(folder,) = auto_instrumentation.__path__
looked_into = []
listdir, stat = os.listdir, os.stat
for name in ("listdir", "stat"):
    def look(path=".", *args, original=getattr(os, name), **kwargs):
        if str(path).startswith(folder):
            looked_into.append(path)
        return original(path, *args, **kwargs)
    setattr(sys.modules["posix"], name, look)
for _ in range(3):
    try:
        import sniffio_that_nobody_has
    except ModuleNotFoundError:
        pass
missed = list(looked_into)
found = {}
for when in ("at first", "after"):
    found[when] = [
        getattr(importlib.util.find_spec(name), "origin", None)
        for name in ("sitecustomize", "_load", "nothing", "json", f"{auto_instrumentation.__name__}._load")
    ]
    importlib.invalidate_caches()
names = sorted(module.name for module in pkgutil.iter_modules([folder]))
finder = sys.path_importer_cache[folder]
print(json.dumps([folder in sys.path, isinstance(finder, FileFinder), missed, found, names]))
"""


def facts(distro: str) -> tuple[list[object], list[str]]:
    finished = subprocess.run(
        [sys.executable, "-c", INSTRUMENT, sys.executable, "-c", PROGRAM],
        env={**os.environ, "OTEL_PYTHON_DISTRO": distro, "OTEL_SDK_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert finished.returncode == 0, finished.stderr
    on_path, is_usual, looked_into, found, names = json.loads(finished.stdout.splitlines()[-1])
    return [on_path, is_usual, found, names], looked_into


def test_a_module_that_is_not_found_costs_no_look() -> None:
    ours, looked_into = facts("rs")
    theirs, looked_into_otherwise = facts("distro")
    assert looked_into == []
    assert len(looked_into_otherwise) >= 3
    assert ours == theirs
    assert ours[:2] == [True, True]
    assert "sitecustomize" in ours[3]  # type: ignore[operator]
