"""The end of the process: one deadline for whatever is waited for then."""

from __future__ import annotations

import atexit
import threading

from otel_rs import _native
from otel_rs._environment import positive_number

OTEL_RS_EXIT_TIMEOUT = "OTEL_RS_EXIT_TIMEOUT"
_DEFAULT_EXIT_TIMEOUT_MILLIS = 10_000


def exit_timeout_millis() -> int:
    """How long the process may take to deliver what is left when it ends: ``OTEL_RS_EXIT_TIMEOUT``, in milliseconds."""
    return positive_number(OTEL_RS_EXIT_TIMEOUT, _DEFAULT_EXIT_TIMEOUT_MILLIS, "milliseconds")


def begin() -> None:
    """From now on the process waits no longer than the exit timeout, for whatever it is."""
    _native.begin_exit(exit_timeout_millis())


def _begin_first() -> None:
    # The last one to be registered is called first, before the providers' own.
    atexit.register(begin)


def finish() -> None:
    """Waits for what processors that were forgotten, not shut down, still export."""
    _native.finish_exit()


# Imported before any provider is made, so this is called after theirs.
atexit.register(finish)
try:
    # When the main thread has ended and before the others are waited for: what is registered there comes last.
    threading._register_atexit(_begin_first)  # type: ignore[attr-defined]
except (AttributeError, RuntimeError):  # not every Python has it, nor takes more once it exits
    _begin_first()
