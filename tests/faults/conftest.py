"""Fixtures: programs that run in their own process, and a C library for them that fails on demand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.receiver import Receiver
from .programs import Program, program_for

HERE = Path(__file__).parent
SHIM = HERE / "shim.c"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # pytest passes the tests of all folders.
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.installed)
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process where `ctypes.CDLL(None)` has the variables of `shim.c`."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a C compiler makes the library that fails on demand, and Linux preloads it")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(SHIM), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return {"LD_PRELOAD": str(library)}


@pytest.fixture
def program(receiver: Receiver) -> Program:
    """`program(source)` runs a program that sends to `receiver`."""
    return program_for(receiver)
