"""Packages of the tests that cannot be installed everywhere: what imports one is skipped where it is not there."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import FrameType

import pytest

TESTS = str(Path(__file__).parents[1])

# Without wheels for a free-threaded Python; see tests/matrix/without_wheels.txt.
MAY_BE_ABSENT = ("gevent", "greenlet", "grpc", "pydantic", "fastapi", "uvloop", "sqlalchemy")


class SkipsTests(MetaPathFinder):
    """Skips the test, or the module of tests, that imports a package that is not there."""

    def __init__(self, absent: Sequence[str]) -> None:
        self.absent = absent

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name.split(".")[0] in self.absent and _importer(sys._getframe(1)).startswith(TESTS):
            pytest.skip(f"{name} is not installed", allow_module_level=True)


def _importer(frame: FrameType | None) -> str:
    while frame and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_code.co_filename if frame else ""


def skip_tests_of_absent_packages() -> None:
    absent = [name for name in MAY_BE_ABSENT if importlib.util.find_spec(name) is None]
    if absent:
        sys.meta_path.insert(0, SkipsTests(absent))
