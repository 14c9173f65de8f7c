"""Loggers and their providers: what is emitted, by whom it is seen, and what becomes of it."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry._logs import LogRecord, NoOpLogger, SeverityNumber
from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk import metrics
from opentelemetry.sdk._logs import LogRecordLimits, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs import _internal as upstream
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor as StockSimple
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from otel_rs.exporter.otlp.http import OTLPLogExporter
from otel_rs.logs import Logger, LoggerProvider
from otel_rs.logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from otel_rs.trace import TracerProvider

from ..differential.values import Raises
from ..support.receiver import HttpReceiver
from .conftest import Delivery

pytestmark = pytest.mark.sanitize

Deliver = Callable[..., Delivery]


def attributes_of(record: Any) -> dict[str, Any]:
    return {
        attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value") or "string_value")
        for attribute in record.attributes
    }


def test_a_record_is_bytes_when_emit_returns(delivery: Delivery) -> None:
    body, attributes = {"key": "before"}, {"list": ["before"]}
    delivery.logger.emit(body=body, attributes=attributes)
    assert delivery.processor.counts()["created"] == 1
    body["key"], attributes["list"][0] = "after", "after"
    assert "after" not in str(delivery.records()[0])


def test_everything_of_a_record_arrives(delivery: Delivery) -> None:
    span = trace.NonRecordingSpan(
        trace.SpanContext(5, 6, is_remote=False, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    )
    delivery.logger.emit(
        timestamp=1,
        observed_timestamp=2,
        context=trace.set_span_in_context(span, context.Context()),
        severity_number=SeverityNumber.WARN,
        severity_text="warning",
        body="body",
        attributes={"key": "value"},
        event_name="event",
    )
    (record,) = delivery.records()
    assert (record.time_unix_nano, record.observed_time_unix_nano) == (1, 2)
    assert (record.severity_number, record.severity_text) == (13, "warning")
    assert (record.body.string_value, record.event_name) == ("body", "event")
    assert (record.trace_id, record.span_id, record.flags) == ((5).to_bytes(16, "big"), (6).to_bytes(8, "big"), 1)
    assert attributes_of(record) == {"key": "value"}
    assert delivery.receiver.requests[0].message.resource_logs[0].scope_logs[0].scope.name == "library"


def test_a_record_belongs_to_the_current_native_span(delivery: Delivery) -> None:
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("span") as span:
        delivery.logger.emit(body="inside")
    delivery.logger.emit(body="outside")
    inside, outside = delivery.records()
    assert inside.trace_id == span.get_span_context().trace_id.to_bytes(16, "big")
    assert inside.span_id == span.get_span_context().span_id.to_bytes(8, "big")
    assert (outside.trace_id, outside.span_id) == (b"", b"")


# --- Combinations ----------------------------------------------------------------------------------------------------


PROCESSORS: dict[str, Callable[[Any], Any]] = {
    "native batch": BatchLogRecordProcessor,
    "native simple": SimpleLogRecordProcessor,
    "stock batch": sdk.export.BatchLogRecordProcessor,
    "stock simple": StockSimple,
}


@pytest.mark.parametrize("provider", [LoggerProvider, sdk.LoggerProvider], ids=["native", "stock"])
@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS.keys())
@pytest.mark.parametrize("exporter", ["native", "memory"])
def test_every_combination_delivers(provider: Any, processor: Any, exporter: str, http_receiver: HttpReceiver) -> None:
    memory = InMemoryLogRecordExporter()
    exports = memory if exporter == "memory" else OTLPLogExporter(endpoint=http_receiver.endpoint_of("logs"))
    made = provider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    made.add_log_record_processor(processor(exports))
    logger = made.get_logger("library", "1.0", attributes={"of": "scope"})
    logger.emit(body="text", attributes={"key": 1})
    logger.emit(LogRecord(body={"as": "record"}, severity_number=SeverityNumber.INFO))  # type: ignore[abstract]
    made.force_flush()
    made.shutdown()
    if exporter == "memory":
        found = memory.get_finished_logs()
        assert [record.log_record.body for record in found] == ["text", {"as": "record"}]
        assert found[0].instrumentation_scope.name == "library"  # type: ignore[union-attr]
        return
    assert [record.body.WhichOneof("value") for record in http_receiver.log_records()] == [
        "string_value",
        "kvlist_value",
    ]
    message = http_receiver.requests[0].message.resource_logs[0]
    assert attributes_of(message.resource) == {"service.name": "shop"}
    assert message.scope_logs[0].scope.version == "1.0"


class Changing(LogRecordProcessor):
    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.seen.append(log_record)
        log_record.log_record.body = "changed"
        log_record.log_record.attributes["more"] = "attributes"  # type: ignore[index]

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def test_what_a_processor_changes_is_sent_by_those_after_it(deliver: Deliver, http_receiver: HttpReceiver) -> None:
    seen: list[Any] = []
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(Changing(seen))
    after = BatchLogRecordProcessor(OTLPLogExporter(endpoint=http_receiver.endpoint_of("logs")))
    provider.add_log_record_processor(after)
    provider.get_logger("library").emit(body="emitted", attributes={"key": "value"})
    provider.force_flush()
    provider.shutdown()
    assert isinstance(seen[0], ReadWriteLogRecord)
    (record,) = http_receiver.log_records()
    assert record.body.string_value == "changed"
    assert attributes_of(record) == {"key": "value", "more": "attributes"}


def test_a_processor_gets_the_record_as_it_is_at_its_turn(delivery: Delivery) -> None:
    delivery.provider.add_log_record_processor(Changing([]))
    delivery.logger.emit(body="emitted")
    assert delivery.bodies() == ["emitted"]


def test_a_processor_that_raises_costs_itself(delivery: Delivery, log: Callable[[], list[str]]) -> None:
    class Raising(Changing):
        def on_emit(self, log_record: ReadWriteLogRecord) -> None:
            raise ValueError("from on_emit")

    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(Raising([]))
    provider.add_log_record_processor(delivery.processor)
    provider.get_logger("library").emit(body="text")
    assert delivery.bodies() == ["text"]
    assert log() == ["A log record processor's on_emit raised: ValueError: from on_emit"]


def test_a_subclass_of_the_processor_is_called(http_receiver: HttpReceiver) -> None:
    class Filtering(BatchLogRecordProcessor):
        def on_emit(self, log_record: ReadWriteLogRecord) -> None:
            if log_record.log_record.body != "secret":
                super().on_emit(log_record)

    provider = LoggerProvider(shutdown_on_exit=False)
    processor = Filtering(OTLPLogExporter(endpoint=http_receiver.endpoint_of("logs")))
    provider.add_log_record_processor(processor)
    for body in ("public", "secret"):
        provider.get_logger("library").emit(body=body)
    provider.force_flush()
    provider.shutdown()
    assert [record.body.string_value for record in http_receiver.log_records()] == ["public"]
    assert processor.counts()["created"] == 1


# --- Counts ----------------------------------------------------------------------------------------------------------


def balance(counts: dict[str, int]) -> int:
    return sum(counts[name] for name in ("exported", "rejected", "failed", "dropped", "pending"))


def test_counts_add_up_while_threads_emit(deliver: Deliver) -> None:
    delivery = deliver({"max_queue_size": 64, "max_export_batch_size": 16, "schedule_delay_millis": 5})

    def emit() -> None:
        for number in range(500):
            delivery.logger.emit(body=number)

    threads = [threading.Thread(target=emit) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counts = delivery.processor.counts()
        assert counts["created"] == balance(counts)
    delivery.provider.shutdown()
    counts = delivery.processor.counts()
    assert (counts["created"], counts["pending"]) == (2000, 0)
    assert counts["exported"] == len(delivery.receiver.log_records()) == 2000 - counts["dropped"]


def test_what_comes_after_the_shutdown_is_dropped_and_counted(delivery: Delivery, log: Callable[[], list[str]]) -> None:
    delivery.provider.shutdown()
    delivery.logger.emit(body="late")
    counts = delivery.processor.counts()
    assert (counts["created"], counts["dropped"]) == (1, 1)
    assert "BatchLogRecordProcessor is already shut down, dropping log records" in log()


def test_a_full_queue_drops_the_new_records(deliver: Deliver, log: Callable[[], list[str]]) -> None:
    processor = {"max_queue_size": 2, "max_export_batch_size": 2, "schedule_delay_millis": 60_000}
    delivery = deliver(processor)
    delivery.receiver.fall_silent()
    for _ in range(20):
        delivery.logger.emit(body="text")
    counts = delivery.processor.counts()
    assert counts["created"] == 20 == balance(counts)
    assert counts["dropped"] > 0
    assert any("dropping log records" in line for line in log())
    delivery.receiver.silent.clear()
    delivery.receiver._stopping.set()


@pytest.mark.parametrize("argument", ["max_queue_size", "schedule_delay_millis", "max_export_batch_size"])
def test_bad_sizes_raise(argument: str) -> None:
    exporter = OTLPLogExporter()
    with pytest.raises(ValueError, match=argument):
        BatchLogRecordProcessor(exporter, **{argument: 0})  # type: ignore[arg-type]


def test_the_variables_count(monkeypatch: pytest.MonkeyPatch, deliver: Deliver, log: Callable[[], list[str]]) -> None:
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "3")
    monkeypatch.setenv("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "5")
    monkeypatch.setenv("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1")
    monkeypatch.setenv("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "bad")
    delivery = deliver()
    assert any("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE" in line and "A batch holds 3." in line for line in log())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        delivery.logger.emit(attributes={"first": 1, "second": 2})
    assert [warning.category for warning in warned] == [sdk.LogRecordDroppedAttributesWarning]
    (record,) = delivery.records()
    assert (attributes_of(record), record.dropped_attributes_count) == ({"second": 2}, 1)


# --- Nothing raises --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"body": Raises()},
        {"attributes": {"key": Raises()}},
        {"attributes": {Raises(): 1}},
        {"attributes": Raises()},
        {"attributes": 5},
        {"severity_text": Raises()},
        {"severity_number": "high"},
        {"timestamp": "now"},
        {"observed_timestamp": -1},
        {"event_name": Raises()},
        {"exception": "no exception"},
        {"context": 5},
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_a_bad_value_costs_itself(delivery: Delivery, arguments: dict[str, Any]) -> None:
    delivery.logger.emit(**{"attributes": {"good": 1}, "body": "body", **arguments})
    delivery.logger.emit(body="next")
    assert delivery.bodies() == ["" if "body" in arguments else "body", "next"]


def test_errors_of_the_programs_warning_filters_do_not_come_out(deliver: Deliver) -> None:
    delivery = deliver(log_record_limits=LogRecordLimits(max_log_record_attributes=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        delivery.logger.emit(body="text", attributes={"key": 1})
    assert delivery.bodies() == ["text"]


# --- Who emits -------------------------------------------------------------------------------------------------------


def test_loggers_are_switched_by_the_configurator(deliver: Deliver) -> None:
    def configurator(scope: Any) -> upstream._LoggerConfig:
        return upstream._LoggerConfig(is_enabled=scope.name != "off")

    delivery = deliver(_logger_configurator=configurator)
    off = delivery.provider.get_logger("off")
    off.emit(body="off")
    assert not off.enabled()
    assert delivery.logger.enabled()
    delivery.provider._set_logger_configurator(logger_configurator=upstream._default_logger_configurator)
    off.emit(body="on")
    assert delivery.bodies() == ["on"]


def test_a_disabled_sdk_hands_out_loggers_that_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert isinstance(LoggerProvider(shutdown_on_exit=False).get_logger("library"), NoOpLogger)


def test_a_replaced_processor_gets_the_records(delivery: Delivery) -> None:
    memory = InMemoryLogRecordExporter()
    provider = sdk.LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(StockSimple(memory))
    delivery.logger._multi_log_record_processor = provider._multi_log_record_processor
    delivery.logger.emit(body="elsewhere")
    assert [record.log_record.body for record in memory.get_finished_logs()] == ["elsewhere"]
    assert delivery.bodies() == []


def test_a_logger_is_upstreams_too(delivery: Delivery) -> None:
    assert isinstance(delivery.logger, sdk.Logger)
    assert isinstance(delivery.logger, Logger)
    assert isinstance(delivery.provider, sdk.LoggerProvider)
    assert isinstance(delivery.processor, sdk.export.BatchLogRecordProcessor)
    assert delivery.logger.instrumentation_scope.name == "library"
    assert delivery.logger.resource is delivery.provider.resource


def test_the_sdks_own_metrics_count_records(monkeypatch: pytest.MonkeyPatch, deliver: Deliver) -> None:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = InMemoryMetricReader()
    meter_provider = metrics.MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    delivery = deliver({"meter_provider": meter_provider}, meter_provider=meter_provider)
    for _ in range(3):
        delivery.logger.emit(body="text")
    delivery.records()
    data: Any = reader.get_metrics_data()
    values = {
        metric.name: metric.data.data_points[0].value
        for scope in data.resource_metrics[0].scope_metrics
        for metric in scope.metrics
    }
    assert values["otel.sdk.log.created"] == 3
    assert values["otel.sdk.processor.log.processed"] == 3
    assert values["otel.sdk.processor.log.queue.size"] == 0
    meter_provider.shutdown()


# --- No feedback -----------------------------------------------------------------------------------------------------


def test_what_the_export_of_logs_logs_is_not_exported(delivery: Delivery) -> None:
    handler = logging.getLogger("otel_rs.export.logs")
    delivery.provider.get_logger(handler.name).emit(body="failed")
    delivery.logger.emit(body="text")
    assert delivery.bodies() == ["text"]
    assert delivery.processor.counts()["created"] == 1
