"""Ends of a process that do not come to ``atexit``, but deliver all the same: children of ``multiprocessing``, workers
of Celery, servers that end themselves by the signal that they were stopped with, or in C.

``multiprocessing`` clears what a child inherited and then calls what ``register_after_fork`` was given; it is there
that the child's own end is arranged. ``billiard``, Celery's pool, shares that registry, but its workers end in a way of
their own.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from itertools import count
from types import ModuleType
from typing import Any
from weakref import WeakValueDictionary

from otel_rs import _native, exit, forks
from otel_rs.exit import exit_timeout_millis

_logger = logging.getLogger(__name__)

# After everything of the program's own.
_LAST = -(10**9)

# What ends a process that does not handle it.
_ENDING_SIGNALS = {getattr(signal, name) for name in ("SIGHUP", "SIGINT", "SIGTERM") if hasattr(signal, name)}

_numbers = count()
# In the order in which they were made.
_providers: WeakValueDictionary[int, Any] = WeakValueDictionary()

_watches_raised_signals = False
_watches_children = False
_arranged_in = 0


def shut_down_at_end(provider: Any) -> None:
    """What the provider has registered with ``atexit``, for this process and forked ones that end without that."""
    global _watches_raised_signals
    _providers[next(_numbers)] = provider
    if not _watches_raised_signals:
        _watches_raised_signals = True
        _call_before_raised_signals()
        forks.call_in_children(in_child)
    in_child()
    if _is_child():
        _arrange()


def _at_end() -> None:
    exit.begin()
    # As `atexit`: the last one first.
    for provider in reversed(list(_providers.values())):
        if provider._atexit_handler is not None:
            try:
                provider.shutdown()
            except Exception:
                _logger.exception("%s was not shut down at the end of the process", type(provider).__name__)
    exit.finish()


def _call_before_raised_signals() -> None:
    """uvicorn handles a signal, stops serving, puts the default handler back and raises the signal again."""
    raise_signal = signal.raise_signal

    @wraps(raise_signal)
    def after_delivery(signalnum: int, /) -> None:
        if signalnum in _ENDING_SIGNALS and signal.getsignal(signalnum) is signal.SIG_DFL:
            _at_end()
        raise_signal(signalnum)

    signal.raise_signal = after_delivery


def in_child() -> None:
    """Has `_arrange` called in children of multiprocessing, once that is there to do so. For each process anew."""
    global _watches_children
    # It ends a worker that is within a request without Python's part of the exit.
    if "uwsgi" in sys.modules:
        _native.flush_before_exit(exit_timeout_millis())
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _watches_children:
        _watches_children = True
        # It holds the first argument weakly, and calls the second with it.
        util.register_after_fork(_arrange, lambda arrange: arrange())


def _is_child() -> bool:
    """Whether this child runs already, so that nothing more that is registered gets called."""
    return _multiprocessing_child() is not None or _celery_worker() is not None


def _arrange() -> None:
    global _arranged_in
    if _arranged_in == os.getpid():
        return
    _arranged_in = os.getpid()
    if (worker := _celery_worker()) is not None:
        worker.on_exit = _after(worker.on_exit, _at_end)
        return
    util = sys.modules["multiprocessing.util"]
    child = _multiprocessing_child()
    if child is None or sys.version_info >= (3, 13):
        # billiard's own processes, and Pythons that wait for the child's threads before.
        util.Finalize(None, _at_end, exitpriority=_LAST)
    elif child._start_method != "spawn":  # which comes to its `atexit` functions
        _call_after_threads(util, _at_end)
    # Pools end their workers so, those too that have just handed in their last result.
    _native.flush_before_sigterm(exit_timeout_millis())


def _multiprocessing_child() -> Any | None:
    process = sys.modules.get("multiprocessing.process")
    return process.current_process() if process is not None and process.parent_process() is not None else None


def _call_after_threads(util: ModuleType, at_end: Callable[[], None]) -> None:
    """Before 3.13 a child calls its finalizers, waits for its threads, and flushes its output last of all."""
    flush = util._flush_std_streams
    finalized: list[bool] = []

    def flush_after_delivery() -> None:
        # It also flushes before it forks.
        if finalized:
            at_end()
        flush()

    util._flush_std_streams = flush_after_delivery  # type: ignore[attr-defined]
    util.Finalize(None, finalized.append, args=(True,), exitpriority=_LAST)


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
