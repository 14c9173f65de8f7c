"""Threads that log never wait for each other: handlers of ours have no lock that one of them could keep."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ..support.receiver import DEADLINE_SECONDS, Receiver
from ..support.traced_program import run
from .conftest import Delivery
from .test_endings import bodies, destination

pytestmark = pytest.mark.sanitize


class Waits:
    """Its text is ready when somebody says so. A value's `__str__` may take a lock, or ask a server."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.begun, self.ready = threading.Event(), threading.Event()
        self._meanwhile = meanwhile

    def __str__(self) -> str:
        self.begun.set()
        self._meanwhile()
        self.ready.wait(DEADLINE_SECONDS)
        return "late"


def started(function: Callable[..., Any], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def test_a_line_does_not_wait_for_a_value_of_another(app: logging.Logger, delivery: Delivery) -> None:
    value = Waits()
    first = started(app.info, "%s", value)
    assert value.begun.wait(DEADLINE_SECONDS)
    second = started(app.info, "at once")
    second.join(DEADLINE_SECONDS / 3)
    waited = second.is_alive()
    value.ready.set()
    first.join(DEADLINE_SECONDS)
    assert not waited
    assert delivery.bodies() == ["at once", "late"]


def test_threads_that_log_in_a_circle_do_not_wait_for_each_other(app: logging.Logger, delivery: Delivery) -> None:
    """One logs while it has the lock of another handler, as a handler does that sends its lines by an instrumented
    client; the other logs to that handler while a line of its own is under way."""
    others = logging.Logger("others")
    others.addHandler(other := logging.NullHandler())
    other.lock, other.handle = threading.RLock(), lambda record: logging.Handler.handle(other, record)  # type: ignore[assignment,method-assign]
    value = Waits(lambda: others.info("from the value"))
    value.ready.set()
    other.acquire()
    first = started(app.info, "%s", value)
    assert value.begun.wait(DEADLINE_SECONDS)
    second = started(app.info, "within the other handler")
    second.join(DEADLINE_SECONDS / 3)
    waited = second.is_alive()
    other.release()
    first.join(DEADLINE_SECONDS)
    assert not waited
    assert delivery.bodies() == ["within the other handler", "late"]


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_child_forked_in_c_logs_whatever_threads_of_its_parent_do(http_receiver: Receiver) -> None:
    """Python's `logging` makes new locks in a child, but not after a fork in C."""
    program = """
import ctypes
class Waits:
    def __str__(self):
        begun.set()
        ready.wait(20)
        return "late"
begun, ready = threading.Event(), threading.Event()
thread = threading.Thread(target=log.info, args=("%s", Waits()))
thread.start()
begun.wait()
pid = ctypes.PyDLL(None).fork()
if pid == 0:
    signal.alarm(15)
    log.info("child")
    os._exit(0 if provider.force_flush(10_000) else 1)
assert os.waitpid(pid, 0)[1] == 0
ready.set()
thread.join()
"""
    ended = run(program, **destination(http_receiver))  # type: ignore[arg-type]
    assert ended.code == 0, ended.stderr
    assert bodies(http_receiver) == {"child": 1, "late": 1}


def test_a_handler_with_an_emit_of_its_own_has_its_lock(make_handler: Callable[..., Any], handler_class: Any) -> None:
    held = []

    class Own(handler_class):  # type: ignore[misc]
        def emit(self, record: logging.LogRecord) -> None:
            held.append(self.lock._is_owned())

    logger = logging.Logger("own")
    logger.addHandler(make_handler(Own))
    logger.info("text")
    assert held == [True]


def test_filters_of_the_handler_count(app: logging.Logger, delivery: Delivery) -> None:
    def unless_secret(record: logging.LogRecord) -> bool:
        record.seen = "by the filter"
        return "secret" not in record.getMessage()

    (handler,) = app.handlers
    handler.addFilter(unless_secret)
    app.info("secret")
    app.info("public")
    (record,) = delivery.records()
    assert record.body.string_value == "public"
    assert any(attribute.key == "seen" for attribute in record.attributes)
    handler.removeFilter(unless_secret)
    app.info("secret")
    assert delivery.bodies() == ["public", "secret"]


def test_a_filter_may_put_another_record_in_the_place(app: logging.Logger, delivery: Delivery) -> None:
    (handler,) = app.handlers
    handler.addFilter(lambda record: logging.makeLogRecord({**vars(record), "msg": "changed"}))  # type: ignore[arg-type,return-value]
    app.info("text")
    assert delivery.bodies() == ["changed" if sys.version_info >= (3, 12) else "text"]
