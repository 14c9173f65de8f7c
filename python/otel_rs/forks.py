"""Forked children: what must be made anew in each, before it makes telemetry.

Python's own hooks call it; where C code forked, so that they do not run, the first span or measurement of the child.
"""

from __future__ import annotations

# Upstream's resource of a child uses it. Its hook, which frees a lock, has to be registered before those of providers.
import concurrent.futures.thread  # noqa: F401
import logging
import os
import threading
from collections.abc import Callable
from itertools import count
from types import MethodType
from weakref import WeakMethod

_logger = logging.getLogger(__name__)


class _Handler:
    def __init__(self, handle: Callable[[], None]) -> None:
        self.get: Callable[[], Callable[[], None] | None] = (
            WeakMethod(handle) if isinstance(handle, MethodType) else lambda: handle
        )
        self.process = os.getpid()


_numbers = count()
# In the order in which they were registered.
_handlers: dict[int, _Handler] = {}
_has_hook = False

# By process: a child may have been forked while its parent held its own.
_handling: dict[int, threading.RLock] = {}


def call_in_children(handle: Callable[[], None]) -> None:
    """Calls it once in each process forked from now on; a method as long as its object is there."""
    global _has_hook
    if not _has_hook and hasattr(os, "register_at_fork"):
        _has_hook = True
        os.register_at_fork(after_in_child=after_fork)
    for number, handler in list(_handlers.items()):
        if handler.get() is None:
            _handlers.pop(number, None)
    _handlers[next(_numbers)] = _Handler(handle)


def after_fork() -> None:
    """Called natively, too. No other thread makes telemetry meanwhile with what was the parent's."""
    process = os.getpid()
    with _handling.setdefault(process, threading.RLock()):
        for handler in list(_handlers.values()):
            if handler.process == process:
                continue
            handler.process = process
            if handle := handler.get():
                try:
                    handle()
                except Exception:
                    _logger.exception("A forked child goes on with what was its parent's")
