"""The folder that ``opentelemetry-instrument`` puts on ``sys.path``, looked into once.

Python asks every folder on its path for a module that it does not find, at each attempt, and there are programs that
try to import what they lack in each request: httpcore asks for sniffio four times. The folder has the ``sitecustomize``
that sets the program up, and nothing that comes later.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import ModuleType

_LOADERS = (
    (ExtensionFileLoader, EXTENSION_SUFFIXES),
    (SourceFileLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
)


class _Folder(FileFinder):
    """Python's own finder, for the names that the folder has."""

    def __init__(self, path: str) -> None:
        super().__init__(path, *_LOADERS)
        self._names = frozenset(name.partition(".")[0] for name in os.listdir(path))

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname.rpartition(".")[2] in self._names:
            return super().find_spec(fullname, target)
        return None


def look_once(paths: Sequence[str]) -> None:
    """The first of these that is on Python's path is not looked into again."""
    for path in paths:
        # Somebody else may have put another finder there.
        if path in sys.path and type(sys.path_importer_cache.get(path)) is FileFinder:
            sys.path_importer_cache[path] = _Folder(path)
            return
