"""Reaches the modules that are imported after `install`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from otel_rs._installation.replacements import Replacement

Put = Callable[[ModuleType, dict[str, Replacement]], list[str]]


class NativeFinder(MetaPathFinder):
    """Finds the modules as everybody would, and gives them a loader that puts the native classes in."""

    def __init__(self, wanted: dict[str, dict[str, Replacement]], on_its_own: frozenset[str], put: Put) -> None:
        self._wanted = wanted
        self._on_its_own = on_its_own
        self._put = put
        self._standing_in: list[_StandIn] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        wanted = self._wanted.get(fullname)
        if wanted is None:
            return None
        spec = self._found_by_others(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        if fullname in self._on_its_own:
            spec.loader = stand_in = _StandIn(spec.loader, wanted, self._put)
            self._standing_in.append(stand_in)
        else:
            spec.loader = _PutAfter(spec.loader, wanted, self._put)
        return spec

    def _found_by_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(fullname, path, target)) is not None:
                return spec
        return None

    def forget(self) -> None:
        """Leaves every module that stands in to its own file."""
        for stand_in in self._standing_in:
            stand_in.forget()


class _PutAfter(Loader):
    """Runs the module, then replaces."""

    def __init__(self, loader: Loader, wanted: dict[str, Replacement], put: Put) -> None:
        self._loader = loader
        self._wanted = wanted
        self._put = put

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._put(module, self._wanted)


class _StandIn(_PutAfter):
    """Gives the module the native classes alone, and runs its file only when another of its names is asked for: so that
    grpcio, protobuf and requests are not imported for nothing."""

    def __init__(self, loader: Loader, wanted: dict[str, Replacement], put: Put) -> None:
        super().__init__(loader, wanted, put)
        self._running = threading.RLock()
        self._has_run = False
        self._module: ModuleType | None = None

    def exec_module(self, module: ModuleType) -> None:
        self._module = module
        for name, replacement in self._wanted.items():
            setattr(module, name, replacement(None))

        def run_for(name: str) -> Any:
            # Not for what the import system and inspect ask every module for.
            if name.startswith("__") and name != "__all__":
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            self._run(module)
            try:
                return vars(module)[name]
            except KeyError:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}") from None

        module.__getattr__ = run_for  # type: ignore[method-assign]

    def _run(self, module: ModuleType) -> None:
        with self._running:
            if not self._has_run:
                # First, because the file may import itself from within.
                self._has_run = True
                native = self._wanted
                self._loader.exec_module(module)
                self._put(module, native)

    def forget(self) -> None:
        """The native names go; the file gives them when they are next asked for."""
        with self._running:
            self._wanted = {}
            if self._module is not None and not self._has_run:
                for name in [name for name in vars(self._module) if not name.startswith("__")]:
                    delattr(self._module, name)
