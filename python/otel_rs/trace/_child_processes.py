"""Processes that end without a call of ``atexit``'s functions: children of ``multiprocessing``, workers of Celery.

``multiprocessing`` clears what a child inherited and then calls what ``register_after_fork`` was given; it is there
that the child's own end is arranged. ``billiard``, Celery's pool, shares that registry, but its workers end in a way of
their own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from otel_rs import _native
from otel_rs._exit import exit_timeout_millis

# After everything of the program's own.
_LAST = -(10**9)

_at_end: Callable[[], None] | None = None
_is_told_of_children = False
_arranged_in = 0


def call_at_end(at_end: Callable[[], None]) -> None:
    """Calls it when this process, or one forked from it, ends as a child of multiprocessing or a worker of Celery."""
    global _at_end
    if _at_end is None and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_listen)
    _at_end = at_end
    _listen()
    if _is_child():
        _arrange()


def _listen() -> None:
    """Has `_arrange` called in children, once multiprocessing is there to do so."""
    global _is_told_of_children
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_told_of_children:
        _is_told_of_children = True
        # It holds the first argument weakly, and calls the second with it.
        util.register_after_fork(_arrange, lambda arrange: arrange())


def _is_child() -> bool:
    """Whether multiprocessing has begun to run this child, so that it calls nothing more that is registered."""
    process = sys.modules.get("multiprocessing.process")
    return (process is not None and process.parent_process() is not None) or _celery_worker() is not None


def _arrange() -> None:
    global _arranged_in
    if _arranged_in == os.getpid() or _at_end is None:
        return
    _arranged_in = os.getpid()
    worker = _celery_worker()
    if worker is not None:
        worker.on_exit = _after(worker.on_exit, _at_end)
        return
    # A spawned child comes to its `atexit` functions.
    if getattr(sys.modules["multiprocessing.process"].current_process(), "_start_method", None) != "spawn":
        sys.modules["multiprocessing.util"].Finalize(None, _at_end, exitpriority=_LAST)
    # Pools end their workers so, those too that have just handed in their last result.
    _native.drain_before_termination(exit_timeout_millis())


def _celery_worker() -> Any | None:
    """What this process runs, if that is the worker of one of billiard's pools."""
    process, pool = sys.modules.get("billiard.process"), sys.modules.get("billiard.pool")
    if process is None or pool is None:
        return None
    target = getattr(process.current_process(), "_target", None)
    return target if isinstance(target, pool.Worker) else None


def _after(on_exit: Callable[..., Any] | None, at_end: Callable[[], None]) -> Callable[..., None]:
    def both(*arguments: Any) -> None:
        try:
            if on_exit is not None:
                on_exit(*arguments)
        finally:
            at_end()

    return both
