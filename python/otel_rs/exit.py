"""The end of the process: one deadline for everything that waits then."""

from __future__ import annotations

import atexit
import sys
import threading
from functools import wraps
from math import inf
from typing import Any

from otel_rs import _native
from otel_rs.settings import read
from otel_rs.settings.table import EXIT_TIMEOUT

_arranged = False

# Upstream's classes whose `shutdown` joins a thread, for 30 seconds where the caller does not say.
_STOCK_WITH_THREADS = (
    ("opentelemetry.sdk._shared_internal", "BatchProcessor"),
    ("opentelemetry.sdk.metrics._internal.export", "PeriodicExportingMetricReader"),
)


def exit_timeout_millis() -> int:
    """How long the process may take to deliver what is left when it ends: ``OTEL_RS_EXIT_TIMEOUT``, in milliseconds."""
    return int(read(EXIT_TIMEOUT).value)


def begin() -> None:
    """Nothing waits longer than the exit timeout from now on, and no export is tried again."""
    _native.begin_exit(exit_timeout_millis())
    for module, name in _STOCK_WITH_THREADS:
        # A class that nobody has imported has no objects.
        if owner := getattr(sys.modules.get(module), name, None):
            _bound_shutdown(owner)


def finish() -> None:
    """Waits for what processors that were dropped, not shut down, still export."""
    _native.finish_exit()


def arrange() -> None:
    """Has `begin` and `finish` called when the interpreter exits.

    Call it before a provider or an exporter is made. `atexit` calls the last function registered first: `finish` is
    registered before the provider's shutdown, so it is called after it.
    """
    global _arranged
    if _arranged:
        return
    _arranged = True
    atexit.register(finish)
    try:
        # Called when the main thread has ended, before `atexit`'s functions: what it registers is called first of them.
        threading._register_atexit(_begin_first)  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):  # some Pythons do not have it, and none takes more once it exits
        _begin_first()


def _begin_first() -> None:
    atexit.register(begin)


def _bound_shutdown(owner: type[Any]) -> None:
    """Has a stock class's `shutdown` keep the deadline of the exit, whatever exporter it waits for.

    One takes half of the time that is left, so that a receiver that hangs leaves some for those that come after it.
    """
    shutdown = owner.shutdown
    if hasattr(shutdown, "_keeps_deadline_of_exit"):
        return

    @wraps(shutdown)
    def shutdown_in_time(self: Any, timeout_millis: float = 30_000, **kwargs: Any) -> Any:
        left = _native.bounded_by_exit(inf)
        return shutdown(self, timeout_millis if left == inf else min(timeout_millis, left / 2), **kwargs)

    shutdown_in_time._keeps_deadline_of_exit = True  # type: ignore[attr-defined]
    owner.shutdown = shutdown_in_time
