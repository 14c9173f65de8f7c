"""Records of the program's own classes, which `logging.setLogRecordFactory` makes, are read as upstream reads them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.instrumentation.logging import handler as instrumentation
from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from otel_rs.logs import LoggingHandler

from .conftest import Delivery, without_deprecation
from .test_handler import attributes_of

pytestmark = pytest.mark.sanitize


class Plain(logging.LogRecord):
    pass


class LazyMessage(logging.LogRecord):
    """Keeps its arguments elsewhere."""

    @property  # type: ignore[override]
    def args(self) -> Any:
        return self.kept

    @args.setter
    def args(self, args: Any) -> None:
        self.kept = args


class Coloured(logging.LogRecord):
    @property  # type: ignore[override]
    def levelname(self) -> str:
        return f"<{logging.getLevelName(self.levelno)}>"

    @levelname.setter
    def levelname(self, name: str) -> None:
        pass


class Masked(logging.LogRecord):
    def __getattribute__(self, name: str) -> Any:
        return "masked %s" if name == "msg" else super().__getattribute__(name)


@pytest.fixture
def factory() -> Iterator[Callable[[Any], None]]:
    before = logging.getLogRecordFactory()
    yield logging.setLogRecordFactory
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize("kind", [Plain, LazyMessage, Coloured, Masked])
def test_a_class_of_the_programs_is_read_as_upstream_reads_it(
    app: logging.Logger, delivery: Delivery, handler_class: type[Any], factory: Callable[[Any], None], kind: type[Any]
) -> None:
    memory = InMemoryLogRecordExporter()
    provider = sdk.LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    stock = sdk.LoggingHandler if handler_class is LoggingHandler else instrumentation.LoggingHandler
    app.addHandler(without_deprecation(stock, logger_provider=provider))
    factory(kind)
    for _ in range(2):
        app.warning("hello %s", "world", extra={"user": "ada"})
    expected = [record.log_record for record in memory.get_finished_logs()]
    found = delivery.records()
    assert len(found) == len(expected) == 2
    for theirs, ours in zip(expected, found, strict=True):
        assert ours.body.string_value == theirs.body
        assert ours.severity_text == theirs.severity_text
        assert attributes_of(ours)["user"] == "ada"
        assert attributes_of(ours).keys() == theirs.attributes.keys()  # type: ignore[union-attr]


def test_a_line_of_a_plain_class_is_a_native_step(
    app: logging.Logger,
    delivery: Delivery,
    handler_class: type[Any],
    factory: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def in_python(*arguments: Any) -> None:
        raise AssertionError("called in Python")

    monkeypatch.setattr(handler_class, "_emit_in_python", in_python)
    factory(Plain)
    app.info("text")
    assert delivery.bodies() == ["text"]
