"""Tells when a module has been imported, before the one who imports it goes on."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from otel_rs._finder import FINDER
from otel_rs.installation.importing import restore_loader


class _Depth(threading.local):
    """How many watched imports are under way in this thread, one within the other."""

    value = 0


class WatchedImports:
    """Calls ``imported`` with the name of each watched module that has been imported, and ``quiet`` when that, and
    all watched imports around it, are over.

    There is no lock, which a forked child could inherit while it is taken.
    """

    def __init__(self, imported: Callable[[str], None], quiet: Callable[[], None]) -> None:
        self._watched: set[str] = set()
        self._imported = imported
        self._quiet = quiet
        self._depth = _Depth()

    def watch(self, *names: str) -> None:
        self._watched |= set(names)
        FINDER.add(self, names)

    def concerns(self, fullname: str, _target: ModuleType | None) -> bool:
        return fullname in self._watched

    def changed(self, _fullname: str, _target: ModuleType | None, spec: ModuleSpec | None) -> ModuleSpec | None:
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _WatchedLoader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def run(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        """Imports the module."""
        name = module.__name__
        self._depth.value += 1
        try:
            execute(module)
            self._watched.discard(name)
            self._imported(name)
        finally:
            self._depth.value -= 1
            self.settle()

    def is_under_way(self, name: str) -> bool:
        """Whether some thread is running the watched module."""
        spec = getattr(sys.modules.get(name), "__spec__", None)
        return name in self._watched and getattr(spec, "_initializing", False)

    def settle(self) -> None:
        """Calls ``quiet``, unless this thread is within a watched import or within ``quiet``."""
        if self._depth.value == 0:
            self._depth.value = 1
            try:
                self._quiet()
            finally:
                self._depth.value = 0


class _WatchedLoader:
    """In place of the module's own loader until that runs; whoever looks at a spec finds the own one's methods."""

    def __init__(self, loader: Any, imports: WatchedImports) -> None:
        self._loader = loader
        self._imports = imports

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        restore_loader(module, self._loader)
        self._imports.run(self._loader.exec_module, module)
