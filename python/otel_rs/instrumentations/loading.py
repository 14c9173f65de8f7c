"""Loads an instrumentation when its library is imported: a program does not pay for libraries that it does not use.

The library's module has run then, and whoever imports it has not gone on, so that ``from flask import Flask`` gets the
instrumented one. See docs/decisions/0024-instrumentations-wait-for-their-libraries.md.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import NamedTuple

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.util._importlib_metadata import EntryPoint, entry_points

from otel_rs.instrumentations.importing import WatchedImports
from otel_rs.instrumentations.libraries import library_of
from otel_rs.settings import read
from otel_rs.settings.table import LAZY_INSTRUMENTATIONS

_logger = logging.getLogger("otel_rs")
# What it would have written.
_loaders_logger = logging.getLogger("opentelemetry.instrumentation.auto_instrumentation._load")


class _Instrumentation(NamedTuple):
    name: str
    module: str
    library: str
    load: Callable[[], None]


class Instrumentations:
    """Those that wait for their library, and those whose library is there, in the order of the entry points."""

    def __init__(self) -> None:
        self._imports = WatchedImports(self._imported, self._load_ready)
        self._numbers = count()
        self._waiting: dict[int, _Instrumentation] = {}
        self._ready: dict[int, _Instrumentation] = {}

    def load(self, entry_point: EntryPoint, load: Callable[[], None]) -> None:
        """Calls ``load`` now, or when the library is imported if that is known and has not happened."""
        library = library_of(entry_point.value)
        if library is None or library in sys.modules or not _may_wait():
            load()
            return
        module = entry_point.value.partition(":")[0]
        _loaders_logger.addFilter(self._is_so)
        self._waiting[next(self._numbers)] = _Instrumentation(entry_point.name, module, library, load)
        # Its own module as well: if the program imports that, the library is imported before the module is complete.
        self._imports.watch(library, module)
        _logger.debug("%s will be instrumented when %s is imported", entry_point.name, library)

    def _imported(self, module: str) -> None:
        for number, waiting in list(self._waiting.items()):
            if waiting.library == module and self._waiting.pop(number, None) is not None:
                self._ready[number] = waiting

    def _load_ready(self) -> None:
        while (found := self._next()) is not None:
            number, instrumentation = found
            try:
                instrumentation.load()
            except Exception as error:  # whatever an instrumentation raises
                if self._imports.is_under_way(instrumentation.module):
                    # Two threads imported library and instrumentation at once, and Python let one of them have a
                    # module that is not complete.
                    self._ready[number] = instrumentation
                else:
                    _tell_of_failure(instrumentation.name, error)
            else:
                _loaders_logger.debug("Instrumented %s", instrumentation.name)

    def _next(self) -> tuple[int, _Instrumentation] | None:
        """The first one that can be loaded. A thread that imports an instrumentation's module loads that at its end."""
        for number, ready in sorted(self._ready.items()):
            if not self._imports.is_under_way(ready.module) and self._ready.pop(number, None) is not None:
                return number, ready
        return None

    def _is_so(self, record: logging.LogRecord) -> bool:
        """The loader tells that each one is instrumented when we have taken it."""
        if record.msg != "Instrumented %s" or not isinstance(record.args, tuple):
            return True
        return not any(waiting.name in record.args for waiting in list(self._waiting.values()))


_instrumentations = Instrumentations()
load_when_imported: Callable[[EntryPoint, Callable[[], None]], None] = _instrumentations.load


@cache
def _may_wait() -> bool:
    """What runs after the instrumentations expects that all are there."""
    return bool(read(LAZY_INSTRUMENTATIONS).value) and not entry_points(group="opentelemetry_post_instrument")


def _tell_of_failure(name: str, error: Exception) -> None:
    """As the loader does, but the others go on whatever it is."""
    if isinstance(error, DependencyConflictError):
        error.conflict._log(_loaders_logger, name)
    elif isinstance(error, ModuleNotFoundError):
        _loaders_logger.debug("Skipping instrumentation %s: %s", name, error.msg)
    elif isinstance(error, ImportError):
        _loaders_logger.exception("Importing of %s failed, skipping it", name)
    else:
        _loaders_logger.exception("Instrumenting of %s failed", name)
