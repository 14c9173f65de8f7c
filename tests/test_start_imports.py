"""What a start imports: nothing that the program does not use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .support.receiver import DEADLINE_SECONDS

HEAVY = {
    *("asyncio", "grpc", "google.protobuf", "requests", "urllib3", "unittest", "xml", "sqlite3", "multiprocessing"),
    *("yaml", "jsonschema", "packaging.requirements", "packaging.specifiers", "opentelemetry.proto"),
    *("flask", "django", "fastapi", "starlette", "pydantic", "celery", "sqlalchemy", "httpx", "opentelemetry.distro"),
    *("opentelemetry.exporter.otlp.proto.common", "opentelemetry.instrumentation.flask"),
}
# What upstream's modules import at every start, and what the other commands of `otel-rs` need.
PUT_OFF = {"argparse", "subprocess", "sysconfig"}
if sys.version_info < (3, 11):
    # By Python's own `platform`, which `uuid` imports, and that the API.
    PUT_OFF.remove("subprocess")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
SENDS_NOTHING = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    # The development set has these without their libraries, and upstream's code says which one is missing.
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "aiokafka,confluent_kafka,kafka",
}
OTEL_RS = ["-m", "otel_rs.cli", "run"]
# The instrumentation's handler is one more of those that Python's logging ends after the providers.
INSTRUMENT = "import sys; from opentelemetry.instrumentation.auto_instrumentation import run; sys.argv[0] = 'x'; run()"
SHOW = "import sys; print(*sys.modules)"


def imported(*arguments: str, **variables: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**ENVIRONMENT, **SENDS_NOTHING, **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program.py"
    path.write_text(SHOW)
    return str(path)


def test_the_package() -> None:
    own = {name for name in imported("-c", f"import otel_rs; {SHOW}") if name.startswith(("otel_rs", "opentelemetry"))}
    assert own == {"otel_rs", "otel_rs._lazy_exports"}


def test_install() -> None:
    assert imported("-c", f"import otel_rs; otel_rs.install(); {SHOW}") & HEAVY == set()


def test_otel_rs_run(program: str) -> None:
    assert imported(*OTEL_RS, program) & (HEAVY | PUT_OFF) == set()


def test_the_distro(program: str) -> None:
    """opentelemetry-instrument itself imports some of them before the distro can act."""
    of_upstream = {"asyncio", "packaging.requirements", "packaging.specifiers"}
    assert imported("-c", INSTRUMENT, sys.executable, program, OTEL_PYTHON_DISTRO="rs") & HEAVY <= of_upstream


def test_with_a_library_that_the_program_uses(program: str) -> None:
    Path(program).write_text(f"import flask; {SHOW}")
    wanted = {"flask", "opentelemetry.instrumentation.flask"}
    modules = imported(*OTEL_RS, program)
    assert modules & HEAVY - wanted <= imported("-c", f"import flask; {SHOW}")
    assert wanted <= modules


# --- What is put off is there for who needs it -----------------------------------------------------------------------

NEEDED = {
    "asyncio": "import asyncio; asyncio.run(asyncio.sleep(0)); print(asyncio.__file__)",
    "asyncio of wrapt": "import wrapt\n@wrapt.synchronized\nasync def f(): print('ran')\n"
    "import asyncio; asyncio.run(f())",
    "packaging": "from packaging.requirements import InvalidRequirement, Requirement\n"
    "from opentelemetry.instrumentation import dependencies\n"
    "print(dependencies.get_dependency_conflicts(['not a requirement', 'flask']))\n"
    "print(dependencies.get_dependency_conflicts([Requirement('flask < 1')]))\n"
    "print(dependencies.Requirement is Requirement, dependencies.InvalidRequirement is InvalidRequirement)",
    "argparse": "from argparse import REMAINDER, ArgumentParser\n"
    "from opentelemetry.instrumentation import auto_instrumentation\n"
    "parser = auto_instrumentation.ArgumentParser(prog='mine')\n"
    "print(parser, type(parser) is ArgumentParser, auto_instrumentation.REMAINDER == REMAINDER)",
    "subprocess": "import subprocess; print(subprocess.__file__, subprocess.check_output(['echo', 'ran']))",
    "subprocess of the SDK": "from opentelemetry.sdk import resources; print(resources._run_command(('echo', 'ran')))",
    "packaging later": "from opentelemetry.instrumentation import dependencies\n"
    "print(dependencies.get_dependency_conflicts(['flask < 1']), dependencies.get_dependency_conflicts(['flask']))",
}


@pytest.mark.parametrize("need", NEEDED)
def test_what_is_put_off_is_as_ever_when_it_is_used(need: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(NEEDED[need])
    arguments = {"run": [*OTEL_RS, str(program)], "plain": [str(program)]}
    outputs = [
        subprocess.run(
            [sys.executable, *words],
            env={**ENVIRONMENT, **SENDS_NOTHING},
            stdout=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
        for words in arguments.values()
    ]
    assert outputs[0].stdout == outputs[1].stdout != ""
    assert [done.returncode for done in outputs] == [0, 0]
