"""Imports that upstream's modules make at every start, for what few programs use."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any


class _OnDemand(ModuleType):
    """A module among another one's names, which is imported when one of its own names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def put_off_imports() -> None:
    """Does nothing about a module that is imported already. For the start of a process, when there is one thread."""
    # wrapt asks for its names only where a program decorates coroutines with `wrapt.synchronized`.
    _import("wrapt", without=_OnDemand("asyncio"))
    _import("opentelemetry.instrumentation.dependencies", without=_requirements())
    # For the arguments of opentelemetry-instrument.
    _import("opentelemetry.instrumentation.auto_instrumentation", without=_parsers())
    # It asks other programs for the machine's id, where no file has it.
    _import("opentelemetry.sdk.resources", without=_OnDemand("subprocess"))


def _import(name: str, without: ModuleType) -> None:
    if name in sys.modules or without.__name__ in sys.modules:
        return
    sys.modules[without.__name__] = without
    try:
        # A release that wants another name of it is imported when it is needed, with all that it wants.
        with suppress(ImportError):
            import_module(name)
    finally:
        # Unless it was asked for, and made way for the module.
        if sys.modules.get(without.__name__) is without:
            del sys.modules[without.__name__]


def _parsers() -> ModuleType:
    module = ModuleType("argparse")

    class ArgumentParser:
        def __new__(cls, *args: Any, **options: Any) -> Any:
            return import_module(module.__name__).ArgumentParser(*args, **options)

    vars(module).update(ArgumentParser=ArgumentParser, REMAINDER="...")
    return module


def _requirements() -> ModuleType:
    """`packaging.requirements`, for conflicts of versions, which `instrumentations.conflicts` rules out without it."""
    module = ModuleType("packaging.requirements")

    class Requirement:
        def __new__(cls, text: str) -> Any:
            dependencies = import_module("opentelemetry.instrumentation.dependencies")
            real = import_module(module.__name__)
            # It is there before an error can be caught, or an object's class be looked at.
            vars(dependencies).update(Requirement=real.Requirement, InvalidRequirement=real.InvalidRequirement)
            return real.Requirement(text)

    class InvalidRequirement(ValueError):
        pass

    vars(module).update(Requirement=Requirement, InvalidRequirement=InvalidRequirement)
    return module
