"""The end of the process: one deadline for everything that waits then."""

from __future__ import annotations

import atexit
import threading

from otel_rs import _native
from otel_rs.settings import read
from otel_rs.settings.table import EXIT_TIMEOUT

_arranged = False


def exit_timeout_millis() -> int:
    """How long the process may take to deliver what is left when it ends: ``OTEL_RS_EXIT_TIMEOUT``, in milliseconds."""
    return int(read(EXIT_TIMEOUT).value)


def begin() -> None:
    """Nothing waits longer than the exit timeout from now on."""
    _native.begin_exit(exit_timeout_millis())


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
