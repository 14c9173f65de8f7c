"""Providers that deliver to a receiver."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otel_rs.exporter.otlp.http import OTLPLogExporter
from otel_rs.logs import LoggerProvider, LoggingHandler
from otel_rs.logs import instrumentation as of_instrumentation
from otel_rs.logs.export import BatchLogRecordProcessor

from ..support.receiver import HttpReceiver


class Delivery:
    """A native provider, its processor, and what arrives."""

    def __init__(self, receiver: HttpReceiver, processor: dict[str, Any], **arguments: Any) -> None:
        self.receiver = receiver
        self.provider = LoggerProvider(**{"shutdown_on_exit": False, **arguments})
        self.processor = BatchLogRecordProcessor(OTLPLogExporter(endpoint=receiver.endpoint_of("logs")), **processor)
        self.provider.add_log_record_processor(self.processor)
        self.logger: Any = self.provider.get_logger("library")

    def records(self) -> list[Any]:
        assert self.provider.force_flush()
        return self.receiver.log_records()

    def bodies(self) -> list[str]:
        return [record.body.string_value for record in self.records()]


@pytest.fixture
def deliver(http_receiver: HttpReceiver) -> Iterator[Callable[..., Delivery]]:
    """`deliver(processor arguments, provider arguments)`."""
    made: list[Delivery] = []

    def make(processor: dict[str, Any] | None = None, **arguments: Any) -> Delivery:
        made.append(Delivery(http_receiver, processor or {}, **arguments))
        return made[-1]

    yield make
    for each in made:
        each.provider.shutdown()


@pytest.fixture
def delivery(deliver: Callable[..., Delivery]) -> Delivery:
    return deliver()


@pytest.fixture(params=["sdk", "instrumentation"])
def handler_class(request: pytest.FixtureRequest) -> type[Any]:
    return {"sdk": LoggingHandler, "instrumentation": of_instrumentation.LoggingHandler}[request.param]


def without_deprecation(kind: type[Any], **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the SDK's handler
        return kind(**arguments)


@pytest.fixture
def make_handler(handler_class: type[Any], delivery: Delivery) -> Callable[..., Any]:
    def make(kind: type[Any] = handler_class, **arguments: Any) -> Any:
        return without_deprecation(kind, **{"logger_provider": delivery.provider, **arguments})

    return make


@pytest.fixture
def app(make_handler: Callable[..., Any]) -> logging.Logger:
    """A logger of the program's, with a handler of ours alone: pytest's would show the values, too."""
    logger = logging.Logger("tests.app", logging.DEBUG)
    logger.addHandler(make_handler())
    return logger
