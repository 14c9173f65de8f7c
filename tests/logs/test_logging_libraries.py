"""Libraries for logging that hand their lines to handlers of Python's `logging`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import loguru
import pytest
import structlog

from .conftest import Delivery


def attributes_of(record: Any) -> dict[str, Any]:
    return {attribute.key: attribute.value.WhichOneof("value") for attribute in record.attributes}


@pytest.fixture
def without_structlogs_configuration() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("without_structlogs_configuration")
def test_structlog_that_renders(app: logging.Logger, delivery: Delivery) -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=lambda *arguments: app,
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    structlog.get_logger().bind(user="ada").warning("order", count=3)
    (record,) = delivery.records()
    assert record.body.string_value == "event='order' user='ada' count=3 level='warning'"
    assert (record.severity_number, record.severity_text) == (13, "WARN")


@pytest.mark.usefixtures("without_structlogs_configuration")
def test_structlog_that_leaves_it_to_logging(app: logging.Logger, delivery: Delivery) -> None:
    structlog.configure(
        processors=[structlog.stdlib.render_to_log_kwargs],
        logger_factory=lambda *arguments: app,
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    structlog.get_logger().bind(user="ada").info("order", count=3, items=["a", "b"])
    (record,) = delivery.records()
    assert record.body.string_value == "order"
    found = attributes_of(record)
    assert (found["user"], found["count"], found["items"]) == ("string_value", "int_value", "array_value")


def test_loguru(make_handler: Callable[..., Any], delivery: Delivery) -> None:
    sink = loguru.logger.add(make_handler(), format="{message}")
    try:
        loguru.logger.bind(user="ada").warning("order {}", 3)
        try:
            raise LookupError("not found")
        except LookupError:
            loguru.logger.exception("failed")
    finally:
        loguru.logger.remove(sink)
    warned, failed = delivery.records()
    assert warned.body.string_value == "order 3"
    assert (warned.severity_number, warned.severity_text) == (13, "WARN")
    assert attributes_of(warned)["extra"] == "kvlist_value"
    assert attributes_of(failed)["exception.stacktrace"] == "string_value"
