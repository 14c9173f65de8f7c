"""Contrib's functions are exchanged in releases that are known, and where the setting says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from otel_rs.installation.instrumentations import instrumentations
from otel_rs.instrument.known_releases import KNOWN, fingerprint

WHOSE = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")
import otel_rs
otel_rs.install()
from opentelemetry.instrumentation import asgi, dbapi, flask, httpx, requests
def all_functions():
    client = httpx._BaseHTTPXClientInstrumentor
    yield from (flask._rewrapped_app, requests._instrument, dbapi.CursorTracer.traced_execution)
    yield from (asgi.OpenTelemetryMiddleware.__call__, client._handle_request_wrapper)
functions = all_functions()
print(*(function.__module__.split(".")[0] for function in functions))
otel_rs.uninstall()
assert all(function.__module__.split(".")[0] == "opentelemetry" for function in all_functions())
"""
ALL = ["otel_rs"] * 5
NONE = ["opentelemetry"] * 5


def whose(before: str = "", **variables: str) -> tuple[list[str], str]:
    finished = subprocess.run(
        [sys.executable, "-c", before + WHOSE],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.split(), finished.stderr


def test_the_pinned_release_is_known() -> None:
    for module in KNOWN:
        try:
            file = import_module(module).__file__
        except ImportError:
            continue  # Not in the development set.
        assert file is not None
        assert fingerprint(file) == KNOWN[module], module


def test_functions_are_exchanged_and_put_back() -> None:
    assert whose()[0] == ALL


def test_a_module_of_ours_that_cannot_be_used_with_the_library_costs_itself_and_one_line() -> None:
    """The library may be of a release that has other names than those that were read."""
    functions, lines = whose(
        """
import sys
class OtherRelease:
    def find_spec(self, name, path=None, target=None):
        if name == "otel_rs.instrument.flask":
            raise AttributeError("no such name")
sys.meta_path.insert(0, OtherRelease())
"""
    )
    assert functions == ["opentelemetry", *ALL[1:]]
    (line,) = [line for line in lines.splitlines() if "flask" in line and line.startswith("WARNING")]
    assert line == (
        "WARNING otel_rs otel_rs.instrument.flask cannot be used with what is installed "
        "(AttributeError: no such name): contrib's own code runs."
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("false", NONE),
        ("TRUE", ALL),
        ("flask", ["otel_rs", *NONE[1:]]),
        ("dbapi, requests", ["opentelemetry", "otel_rs", "otel_rs", *NONE[3:]]),
    ],
)
def test_the_setting_switches_them(value: str, expected: list[str]) -> None:
    assert whose(OTEL_RS_NATIVE_INSTRUMENTATIONS=value)[0] == expected


def test_a_bad_setting_costs_one_line() -> None:
    natives, errors = whose(OTEL_RS_NATIVE_INSTRUMENTATIONS="flask,falsk")
    assert natives == ALL
    (line,) = (line for line in errors.splitlines() if line.startswith("ERROR"))
    assert "OTEL_RS_NATIVE_INSTRUMENTATIONS is 'flask,falsk'" in line


OF_EACH = """
import importlib, json, logging, sys
import otel_rs
otel_rs.install()
from otel_rs.installation.instrumentations import instrumentations
functions = {}
for place, names in instrumentations().items():
    for name in names:
        try:
            found = importlib.import_module(place)
        except ModuleNotFoundError:  # not in the development set
            continue
        for part in name.split("."):
            found = getattr(found, part)
        # A native method has none.
        functions[f"{place}.{name}"] = getattr(found, "__module__", "otel_rs").split(".")[0]
print(json.dumps(functions))
"""


@pytest.mark.parametrize(
    ("place", "changed"),
    [
        ("celery", "celery/utils.py"),
        ("django", "django/middleware/otel_middleware.py"),
        ("redis", "redis/util.py"),
        ("sqlalchemy", "sqlalchemy/engine.py"),
        ("wsgi", "_semconv.py"),
    ],
)
def test_all_functions_of_a_release_that_is_not_known_are_its_own(place: str, changed: str, tmp_path: Path) -> None:
    import opentelemetry.instrumentation as installed

    copy = tmp_path / "opentelemetry" / "instrumentation"
    shutil.copytree(installed.__path__[0], copy)
    with (copy / changed).open("a") as file:
        file.write("# Another release.\n")
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    finished = subprocess.run(
        [sys.executable, "-c", OF_EACH], env=variables, capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    owners: dict[str, str] = json.loads(finished.stdout)
    of_place = {owner for name, owner in owners.items() if name.startswith(f"opentelemetry.instrumentation.{place}.")}
    assert of_place == {"opentelemetry"}
    assert owners["opentelemetry.util.http.get_custom_headers"] == "otel_rs"


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ("flask/__init__.py", 0),
        ("wsgi/__init__.py", 0),
        ("utils.py", 0),
        ("asgi/__init__.py", 3),
        ("propagators.py", 3),
        ("httpx/__init__.py", 4),
        ("utils.py", 4),
    ],
)
def test_a_release_that_is_not_known_runs_its_own_code(changed: str, place: int, tmp_path: Path) -> None:
    """One whose own file differs, or that of a module which it relies on."""
    import opentelemetry.instrumentation as installed

    copy = tmp_path / "opentelemetry" / "instrumentation"
    shutil.copytree(installed.__path__[0], copy)
    with (copy / changed).open("a") as file:
        file.write("# Another release.\n")
    # A folder of that name is a part of the packages `opentelemetry` and `opentelemetry.instrumentation`.
    functions, errors = whose(PYTHONPATH=str(tmp_path))
    assert functions[place] == "opentelemetry"
    module = f"opentelemetry.instrumentation.{changed.removesuffix('.py').removesuffix('/__init__')}"
    assert f"{module} is of a release that otel-rs does not know: its own code runs" in errors


def test_the_table_names_what_contrib_has() -> None:
    for module, functions in instrumentations().items():
        try:
            imported = import_module(module)
        except ModuleNotFoundError:
            assert module == "opentelemetry.instrumentation.starlette"  # Not in the development set.
            continue
        for name in functions:
            found = imported
            for part in name.split("."):
                found = getattr(found, part)
