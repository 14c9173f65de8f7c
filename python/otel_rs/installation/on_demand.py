"""Modules whose file runs when one of its names is asked for, as little as possible before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.abc import InspectLoader
from types import FunctionType, ModuleType
from typing import Any


class RunOnDemand:
    """A module's ``__getattr__``, which runs its file."""

    def __init__(self, module: ModuleType, loader: InspectLoader, after: Callable[[ModuleType], None]) -> None:
        self._module = module
        self._loader = loader
        self._after = after
        self._lock = threading.RLock()
        self._running = False
        self.has_run: bool = False

    def __call__(self, name: str) -> Any:
        if self._may_define(name):
            self._run()
            if name in vars(self._module):
                return vars(self._module)[name]
        raise AttributeError(f"module {self._module.__name__!r} has no attribute {name!r}")

    def _may_define(self, name: str) -> bool:
        """Import machinery, inspect and pickle ask modules for names that those do not have: not worth a run."""
        if name == "__all__":
            return True  # asked for by `import *`, which wants every name
        code = self._loader.get_code(self._module.__name__)
        return code is None or name in code.co_names

    def _run(self) -> None:
        with self._lock:
            # The file may ask for its own names while it runs.
            if self.has_run or self._running:
                return
            self._running = True
            programs = {
                name: value
                for name, value in vars(self._module).items()
                if is_the_programs(value) and not name.startswith("__")
            }
            try:
                self._loader.exec_module(self._module)
                self.has_run = True
            finally:
                self._running = False
                # If it failed too: it may have come far enough to replace what was put there, and will be run again.
                self._after(self._module)
                # For the program the file had run already.
                vars(self._module).update(programs)


def is_waiting(module: ModuleType) -> bool:
    """Whether the module's file has still to run."""
    on_demand = vars(module).get("__getattr__")
    return isinstance(on_demand, RunOnDemand) and not on_demand.has_run


def is_the_programs(value: Any) -> bool:
    """Whether the program has put this into a module: neither upstream's definition nor ours, nor a table of those."""
    if isinstance(value, dict):
        return False
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    is_definition = issubclass(type(value), (type, FunctionType))
    return not (is_definition and str(value.__module__).startswith(("opentelemetry.", "otel_rs.")))
