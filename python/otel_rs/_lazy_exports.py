"""Names that a package exports without importing their modules until somebody asks for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns a ``__getattr__`` for the package. ``modules`` maps each name to the module that defines it."""

    def imported(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return imported


def with_exports(package: str, modules: Mapping[str, str]) -> Callable[[], list[str]]:
    """Returns a ``__dir__`` for the package: these names, its other public ones, and Python's own."""

    def names() -> list[str]:
        found = vars(sys.modules[package])
        return sorted({*modules, *found.get("__all__", ()), *(name for name in found if name.startswith("__"))})

    return names
