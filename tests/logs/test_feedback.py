"""What is logged while log records are exported is not exported: each such line would be the next record."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from opentelemetry.sdk._logs import LogRecordLimits, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, LogRecordExportResult
from requests.adapters import HTTPAdapter

from otel_rs.exporter.otlp.http import OTLPLogExporter
from otel_rs.logs import LoggerProvider, LoggingHandler
from otel_rs.logs.export import BatchLogRecordProcessor

from ..support.receiver import HttpReceiver
from .conftest import Delivery, without_deprecation


@pytest.fixture
def logs_all_to(handler_class: type[Any]) -> Iterator[Callable[[Any], LoggerProvider]]:
    """`logs_all_to(exporter)`: the root logger sends all lines there, those of libraries that debug as well."""
    root, made = logging.getLogger(), []
    level = root.level

    def make(exporter: Any) -> LoggerProvider:
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=3_600_000))
        handler = without_deprecation(handler_class, logger_provider=provider)
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        made.append((handler, provider))
        return provider

    yield make
    root.setLevel(level)
    for handler, provider in made:
        root.removeHandler(handler)
        provider.shutdown()


def flush_again_and_again(provider: LoggerProvider) -> None:
    for _ in range(4):
        assert provider.force_flush()


class Talks(InMemoryLogRecordExporter):
    def export(self, batch: Any) -> LogRecordExportResult:
        logging.getLogger("client").debug("POST /v1/logs")
        return super().export(batch)


class Raises(InMemoryLogRecordExporter):
    def export(self, batch: Any) -> LogRecordExportResult:
        super().export(batch)
        raise ValueError("from export")


@pytest.mark.parametrize("kind", [Talks, Raises])
def test_what_an_exporter_logs_is_not_exported(
    logs_all_to: Callable[[Any], LoggerProvider], kind: type[InMemoryLogRecordExporter], log: Callable[[], list[str]]
) -> None:
    exporter = kind()
    provider = logs_all_to(exporter)
    logging.getLogger("app").info("text")
    flush_again_and_again(provider)
    found: tuple[ReadableLogRecord, ...] = exporter.get_finished_logs()
    assert [record.log_record.body for record in found] == ["text"]
    if kind is Talks:
        assert "POST /v1/logs" in log(), "other handlers get it"


def test_what_requests_and_urllib3_log_for_an_exporter_is_not_exported(
    logs_all_to: Callable[[Any], LoggerProvider], http_receiver: HttpReceiver, log: Callable[[], list[str]]
) -> None:
    class Adapter(HTTPAdapter):
        """Not requests' own, so that the stock exporter sends."""

    with requests.Session() as session:
        session.mount("http://", Adapter())
        provider = logs_all_to(OTLPLogExporter(http_receiver.endpoint_of("logs"), session=session))
        logging.getLogger("app").info("text")
        flush_again_and_again(provider)
        provider.shutdown()
    assert [record.body.string_value for record in http_receiver.log_records()] == ["text"]
    assert any("POST /v1/logs" in line for line in log()), "urllib3 tells of its requests"


def test_what_other_threads_log_meanwhile_is_exported(logs_all_to: Callable[[Any], LoggerProvider]) -> None:
    class LogsElsewhere(InMemoryLogRecordExporter):
        def export(self, batch: Any) -> LogRecordExportResult:
            result = super().export(batch)
            if len(self.get_finished_logs()) == 1:
                from concurrent.futures import ThreadPoolExecutor

                with ThreadPoolExecutor(1) as other:
                    other.submit(logging.getLogger("app").info, "meanwhile").result()
            return result

    provider = logs_all_to(exporter := LogsElsewhere())
    logging.getLogger("app").info("text")
    flush_again_and_again(provider)
    assert [record.log_record.body for record in exporter.get_finished_logs()] == ["text", "meanwhile"]


def test_warnings_about_a_record_are_not_exported(
    handler_class: type[Any], deliver: Callable[..., Delivery], log: Callable[[], list[str]]
) -> None:
    """Of attributes beyond the limit. `logging` makes lines of warnings, and these may have too many as well."""
    delivery = deliver(log_record_limits=LogRecordLimits(max_log_record_attributes=0))
    handler = without_deprecation(handler_class, logger_provider=delivery.provider)
    if handler_class is not LoggingHandler:
        handler._log_code_attributes = True
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            logging.getLogger("app").error("text")
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
    assert delivery.bodies() == ["text"]
    assert len([line for line in log() if "dropped due to limits" in line]) == 1
