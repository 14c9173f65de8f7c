"""The handlers of Python's `logging`: the SDK's and that of opentelemetry-instrumentation-logging."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import _logs as api
from opentelemetry.instrumentation.logging import handler as instrumentation
from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor as StockSimple
from opentelemetry.test.globals_test import reset_logging_globals

from otel_rs import _native
from otel_rs.logs import Logger, LoggerProvider, LoggingHandler
from otel_rs.logs import instrumentation as of_instrumentation

from ..differential.values import Raises
from ..support.receiver import wait_until
from .conftest import Delivery, without_deprecation

pytestmark = pytest.mark.sanitize

MakeHandler = Callable[..., Any]


def line(msg: str = "text", **more: Any) -> logging.LogRecord:
    """As a logger makes it."""
    return logging.makeLogRecord(
        {
            "name": "app",
            "msg": msg,
            "levelno": logging.INFO,
            "levelname": "INFO",
            "pathname": "/a.py",
            "lineno": 5,
            **more,
        }
    )


def attributes_of(record: Any) -> dict[str, Any]:
    return {attribute.key: attribute.value.string_value for attribute in record.attributes}


def test_handlers_are_upstreams_too(make_handler: MakeHandler, handler_class: type[Any]) -> None:
    upstreams = sdk.LoggingHandler if handler_class is LoggingHandler else instrumentation.LoggingHandler
    assert isinstance(make_handler(), upstreams)


def test_the_sdks_handler_says_that_it_is_deprecated(delivery: Delivery) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        LoggingHandler(logger_provider=delivery.provider)


def test_a_line_is_one_native_step(
    app: logging.Logger, delivery: Delivery, handler_class: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_python(*arguments: Any) -> None:
        raise AssertionError("called in Python")

    monkeypatch.setattr(handler_class, "_emit_in_python", in_python)
    app.info("hello %s", "world", extra={"user": "ada"})
    assert delivery.processor.counts()["created"] == 1
    (record,) = delivery.records()
    assert (record.body.string_value, attributes_of(record)["user"]) == ("hello world", "ada")
    assert delivery.receiver.requests[0].message.resource_logs[0].scope_logs[0].scope.name == app.name


# --- What the program has of its own ---------------------------------------------------------------------------------


def test_a_subclass_that_translates_is_called(
    make_handler: MakeHandler, handler_class: type[Any], delivery: Delivery
) -> None:
    class Own(handler_class):  # type: ignore[misc]
        def _translate(self, record: logging.LogRecord) -> Any:
            translated = super()._translate(record)
            translated.body = f"own {translated.body}"
            return translated

    make_handler(Own).handle(line("body"))
    assert delivery.bodies() == ["own body"]


def test_a_method_that_is_replaced_is_called(
    app: logging.Logger, handler_class: type[Any], delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate = handler_class._translate

    def translated(self: Any, record: logging.LogRecord) -> Any:
        found = translate(self, record)
        found.body = "replaced"
        return found

    app.info("first")
    with monkeypatch.context() as patch:
        patch.setattr(handler_class, "_translate", translated)
        app.info("second")
    app.info("third")
    assert delivery.bodies() == ["first", "replaced", "third"]


def test_a_provider_of_the_programs_is_asked_each_time(handler_class: type[Any], delivery: Delivery) -> None:
    asked = []

    class Own(LoggerProvider):
        def get_logger(self, name: str, *arguments: Any, **keywords: Any) -> Any:
            asked.append(name)
            return super().get_logger(f"own {name}", *arguments, **keywords)

    provider = Own(shutdown_on_exit=False)
    provider.add_log_record_processor(delivery.processor)
    handler = without_deprecation(handler_class, logger_provider=provider)
    for _ in range(2):
        handler.handle(line())
    assert asked == ["app", "app"]
    delivery.records()
    scopes = [scope.scope.name for scope in delivery.receiver.requests[0].message.resource_logs[0].scope_logs]
    assert scopes == ["own app"]


@pytest.mark.parametrize("level", [logging.DEBUG, 25, logging.CRITICAL])
def test_a_stock_provider_gets_records(handler_class: type[Any], level: int) -> None:
    memory = InMemoryLogRecordExporter()
    provider = sdk.LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(StockSimple(memory))
    without_deprecation(handler_class, logger_provider=provider).handle(line("body", levelno=level))
    assert [record.log_record.body for record in memory.get_finished_logs()] == ["body"]


def test_a_provider_that_is_set_later_gets_records(handler_class: type[Any], delivery: Delivery) -> None:
    reset_logging_globals()
    try:
        handler = without_deprecation(handler_class)
        handler.handle(line("early"))
        api.set_logger_provider(delivery.provider)
        handler.handle(line("late"))
        assert delivery.bodies() == ["late"]
    finally:
        reset_logging_globals()


def test_emit_of_a_logger_that_is_replaced_is_called(
    app: logging.Logger, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(Logger, "emit", lambda self, record=None, **keywords: seen.append(record))
        app.info("seen")
    assert [record.body for record in seen] == ["seen"]
    assert delivery.bodies() == []


def test_formatters_make_the_body(app: logging.Logger, delivery: Delivery) -> None:
    app.handlers[0].setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    app.warning("hello %s", "world")
    assert delivery.bodies() == ["[WARNING] hello world"]


def test_what_a_formatter_adds_to_the_record_is_sent(
    app: logging.Logger, handler_class: type[Any], delivery: Delivery
) -> None:
    class Adding(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            record.added = "by the formatter"
            return super().format(record)

    app.handlers[0].setFormatter(Adding("%(message)s"))
    app.info("text", extra={"user": "ada"})
    found = attributes_of(delivery.records()[0])
    # The SDK's handler reads the attributes first.
    assert found.get("added") == (None if handler_class is LoggingHandler else "by the formatter")
    assert found["user"] == "ada"


@pytest.mark.parametrize("count", [1, 8, 9, 30])
def test_any_number_of_extra_attributes(app: logging.Logger, delivery: Delivery, count: int) -> None:
    extra = {f"extra{number}": str(number) for number in range(count)}
    app.info("text", extra=extra)
    found = attributes_of(delivery.records()[0])
    assert extra.items() <= found.items()


def test_get_message_of_a_subclass_is_called(app: logging.Logger, delivery: Delivery) -> None:
    class Braces(logging.LogRecord):
        def getMessage(self) -> str:
            return str(self.msg).format(*self.args)  # type: ignore[misc]

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Braces)
    try:
        app.info("hello {}", "world")
    finally:
        logging.setLogRecordFactory(before)
    assert delivery.bodies() == ["hello world"]


def test_get_message_that_is_replaced_is_called(
    app: logging.Logger, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.info("first")
    with monkeypatch.context() as patch:
        patch.setattr(logging.LogRecord, "getMessage", lambda self: "replaced")
        app.info("second")
    assert delivery.bodies() == ["first", "replaced"]


def test_objects_are_the_body_with_the_sdks_handler(
    app: logging.Logger, handler_class: type[Any], delivery: Delivery
) -> None:
    app.info({"key": [1, 2.5, None]})
    (record,) = delivery.records()
    kind = "kvlist_value" if handler_class is LoggingHandler else "string_value"
    assert record.body.WhichOneof("value") == kind


def test_code_attributes_and_event_names_of_the_instrumentations_handler(delivery: Delivery) -> None:
    handler = of_instrumentation.LoggingHandler(logger_provider=delivery.provider, log_code_attributes=True)
    record = line("body", funcName="f", **{"otel.event.name": "event", "event.name": "old"})
    handler.handle(record)
    (record,) = delivery.records()
    assert record.event_name == "event"
    # A number is no text.
    assert attributes_of(record) == {"code.file.path": "/a.py", "code.function.name": "f", "code.line.number": ""}


def test_an_exception_is_described(app: logging.Logger, delivery: Delivery) -> None:
    try:
        raise LookupError("not found")
    except LookupError:
        app.exception("failed")
    attributes = attributes_of(delivery.records()[0])
    assert (attributes["exception.type"], attributes["exception.message"]) == ("LookupError", "not found")
    assert "test_an_exception_is_described" in attributes["exception.stacktrace"]


# --- Nothing raises, recurses or hangs -------------------------------------------------------------------------------


def test_a_line_that_cannot_be_formatted_is_sent_as_it_was_logged(
    app: logging.Logger, delivery: Delivery, capsys: pytest.CaptureFixture[str]
) -> None:
    app.info("number %d", "text")
    assert "--- Logging error ---" in capsys.readouterr().err
    assert delivery.bodies() == ["number %d"]


def test_what_raises_in_extra_costs_itself(app: logging.Logger, delivery: Delivery) -> None:
    app.info("text", extra={"bad": Raises(), "good": "value"})
    (record,) = delivery.records()
    assert (record.body.string_value, attributes_of(record)["good"]) == ("text", "value")
    assert "bad" not in attributes_of(record)


@pytest.mark.parametrize("exc_info", [(None, None, None), (ValueError, ValueError("a"), None), "wrong", (1, 2)])
def test_an_odd_exc_info_costs_itself(app: logging.Logger, delivery: Delivery, exc_info: Any) -> None:
    record = line()
    record.exc_info = exc_info
    app.handle(record)
    assert delivery.bodies() == ["text"]


def test_texts_that_are_no_unicode_cost_nothing(
    app: logging.Logger, make_handler: MakeHandler, delivery: Delivery
) -> None:
    logger = logging.Logger("lone \udc80")
    logger.addHandler(app.handlers[0])
    logger.error("text \udc80", extra={"key \udc80": "value \udc80"})
    record = line("text \udc80", levelname="level \udc80", pathname="/file \udc80", funcName="f \udc80")
    record.exc_info = (ValueError, ValueError("message \udc80"), None)
    make_handler().handle(record)
    first, second = delivery.records()
    assert first.body.string_value == second.body.string_value == "text \ufffd"
    assert attributes_of(first)["key \ufffd"] == "value \ufffd"
    assert second.severity_text == "level \ufffd"
    assert attributes_of(second)["exception.message"] == "message \ufffd"
    scopes = [scope.scope.name for scope in delivery.receiver.requests[0].message.resource_logs[0].scope_logs]
    assert "lone \ufffd" in scopes


def test_lines_at_the_recursion_limit_do_no_harm(app: logging.Logger, delivery: Delivery) -> None:
    logged = 0

    def recurse() -> None:
        nonlocal logged
        app.info("line", extra={"values": [logged]})
        logged += 1
        recurse()

    before = logging.raiseExceptions
    logging.raiseExceptions = False  # what cannot be formatted so deep
    try:
        with pytest.raises(RecursionError):
            recurse()
    finally:
        logging.raiseExceptions = before
    app.info("afterwards")
    # In any order: two batches may be on their way at a time.
    bodies = delivery.bodies()
    assert bodies.count("afterwards") == 1
    assert len(bodies) > logged / 2


def test_what_a_value_logs_when_it_is_shown_arrives_too(app: logging.Logger, delivery: Delivery) -> None:
    class Talks:
        def __str__(self) -> str:
            app.info("shown")
            return "talks"

    app.info("%s", Talks())
    assert sorted(delivery.bodies()) == ["shown", "talks"]


def test_what_is_said_about_a_record_is_not_sent(app: logging.Logger, delivery: Delivery) -> None:
    """A factory that gives every record a value that cannot be sent would make one line of another for ever."""
    said: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    root = logging.getLogger()
    before = logging.getLogRecordFactory()

    def factory(*arguments: Any, **keywords: Any) -> logging.LogRecord:
        record = before(*arguments, **keywords)
        record.odd = object()
        return record

    listening = Listening()
    root.addHandler(app.handlers[0])
    root.addHandler(listening)
    logging.setLogRecordFactory(factory)
    try:
        app.info("text")
    finally:
        logging.setLogRecordFactory(before)
        root.removeHandler(listening)
        root.removeHandler(app.handlers[0])
    assert delivery.bodies() == ["text"]
    assert any("Invalid type `object`" in line for line in said)


def test_what_a_processor_logs_is_not_sent(app: logging.Logger, delivery: Delivery) -> None:
    class Talking(sdk.LogRecordProcessor):
        def on_emit(self, log_record: sdk.ReadWriteLogRecord) -> None:
            app.info("from the processor")

        def shutdown(self) -> None:
            pass

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return True

    delivery.provider.add_log_record_processor(Talking())
    app.info("text")
    assert delivery.bodies() == ["text"]


def test_threads_that_log_do_not_wait_for_each_other(app: logging.Logger, delivery: Delivery) -> None:
    def work() -> None:
        for number in range(200):
            app.info("line %d", number, extra={"values": [number]})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    delivery.records()
    counts = delivery.processor.counts()
    assert (counts["created"], counts["exported"]) == (800, 800)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signals_handler_may_log(app: logging.Logger, delivery: Delivery) -> None:
    def handle(number: int, frame: Any) -> None:
        app.warning("signal")

    class Interrupted:
        def __str__(self) -> str:
            signal.raise_signal(signal.SIGUSR1)
            return "interrupted"

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        app.info("%s", Interrupted())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert sorted(delivery.bodies()) == ["interrupted", "signal"]


def test_an_interrupt_reaches_the_program_and_the_line_arrives(app: logging.Logger, delivery: Delivery) -> None:
    class Interrupts:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        app.info("text", extra={"bad": Interrupts()})
    assert delivery.bodies() == ["text"]


@pytest.mark.skipif(not hasattr(_native, "panic_in"), reason="a build without the fault")
def test_a_panic_costs_the_line_alone(app: logging.Logger, delivery: Delivery) -> None:
    _native.panic_in("emit")  # type: ignore[attr-defined]
    app.info("lost")
    app.info("kept")
    assert delivery.bodies() == ["kept"]


# --- Ways in which programs configure logging ------------------------------------------------------------------------


def test_a_queue_handler_in_front(make_handler: MakeHandler, delivery: Delivery) -> None:
    lines: queue.Queue[logging.LogRecord] = queue.Queue()
    listener = logging.handlers.QueueListener(lines, make_handler())
    logger = logging.Logger("queued")
    logger.addHandler(logging.handlers.QueueHandler(lines))
    listener.start()
    logger.info("hello %s", "world", extra={"user": "ada"})
    listener.stop()
    (record,) = delivery.records()
    assert (record.body.string_value, attributes_of(record)["user"]) == ("hello world", "ada")


def test_a_memory_handler_in_front(make_handler: MakeHandler, delivery: Delivery) -> None:
    logger = logging.Logger("kept")
    logger.addHandler(logging.handlers.MemoryHandler(10, logging.ERROR, make_handler()))
    logger.info("first")
    logger.error("second")
    assert delivery.bodies() == ["first", "second"]


def test_dict_config(handler_class: type[Any], delivery: Delivery) -> None:
    reset_logging_globals()
    api.set_logger_provider(delivery.provider)
    try:
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"short": {"format": "%(levelname)s: %(message)s"}},
            "handlers": {"otel": {"()": handler_class, "level": "INFO", "formatter": "short"}},
            "loggers": {"tests.configured": {"handlers": ["otel"], "level": "DEBUG", "propagate": False}},
        }
        if handler_class is LoggingHandler:
            with pytest.warns(DeprecationWarning, match="deprecated"):
                logging.config.dictConfig(config)
        else:
            logging.config.dictConfig(config)
        logger = logging.getLogger("tests.configured")
        logger.debug("too low")
        logger.info("text")
        assert delivery.bodies() == ["INFO: text"]
    finally:
        logging.getLogger("tests.configured").handlers.clear()
        reset_logging_globals()


def test_flushing_a_handler_flushes_the_provider_without_a_thread_for_it(
    make_handler: MakeHandler, handler_class: type[Any], delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_a_thread(self: Any) -> None:
        raise AssertionError("upstream's starts a thread")

    upstreams = next(kind for kind in handler_class.__mro__ if kind.__module__.startswith("opentelemetry."))
    monkeypatch.setattr(upstreams, "flush", in_a_thread)
    handler = make_handler()
    handler.handle(line())
    handler.flush()
    wait_until(delivery.receiver.log_records, "the record has not arrived")


def test_flushing_a_handler_flushes_a_python_processor(handler_class: type[Any]) -> None:
    flushed = threading.Event()

    class Flushed(sdk.LogRecordProcessor):
        def on_emit(self, log_record: sdk.ReadWriteLogRecord) -> None:
            pass

        def shutdown(self) -> None:
            pass

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            flushed.set()
            return True

    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(Flushed())
    without_deprecation(handler_class, logger_provider=provider).flush()
    assert flushed.wait(30)
