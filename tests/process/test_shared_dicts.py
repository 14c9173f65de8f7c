"""Threads record a dict of attributes while others change it: each record has pairs that were there."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from otel_rs._native import selected_attributes
from otel_rs.exporter.otlp.http import OTLPLogExporter
from otel_rs.logs import LoggerProvider
from otel_rs.logs.export import BatchLogRecordProcessor
from otel_rs.logs.instrumentation import LoggingHandler
from otel_rs.metrics import MeterProvider

from ..support.receiver import DEADLINE_SECONDS

pytestmark = pytest.mark.sanitize

RECORDERS, CHANGERS, ROUNDS = 6, 2, 300


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def fresh(number: int) -> dict[str, Any]:
    """Texts that nobody has encoded yet: not ASCII, and made anew."""
    return {f"schlüssel {at}": f"größe {at} {number} " * (1 + number % 5) for at in range(12)}


def record_while_it_changes(record: Callable[[dict[str, Any]], object]) -> None:
    shared = fresh(0)
    start = threading.Barrier(RECORDERS + CHANGERS)
    recorded = threading.Event()
    errors: list[BaseException] = []

    def recording() -> None:
        for _ in range(ROUNDS):
            record(shared)

    def changing() -> None:
        number = 0
        while not recorded.is_set():
            number += 1
            shared.update(fresh(number))
            if number % 7 == 0:
                shared.clear()
            if number % 3 == 0:
                shared.update({f"more {number} {at}": "ü" * at for at in range(40)})

    def run(work: Callable[[], None]) -> None:
        try:
            start.wait(DEADLINE_SECONDS)
            work()
        except BaseException as error:
            errors.append(error)

    works = [recording] * RECORDERS + [changing] * CHANGERS
    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads[:RECORDERS]:
        thread.join(DEADLINE_SECONDS)
    recorded.set()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def assert_was_there(attributes: Any) -> None:
    for key, value in attributes.items():
        of_fresh = key.startswith("schlüssel ") and value.startswith(f"größe {key.split()[1]} ")
        assert of_fresh or (key.startswith("more ") and set(value) <= {"ü"}), (key, value)


def test_attributes_of_spans(tracer: Any, memory: Any) -> None:
    def record(shared: dict[str, Any]) -> None:
        with tracer.start_as_current_span("at the start", attributes=shared) as span:
            span.set_attributes(shared)
            span.add_event("event", shared)

    record_while_it_changes(record)
    spans = memory.get_finished_spans()
    assert len(spans) == RECORDERS * ROUNDS
    for span in spans:
        assert_was_there(span.attributes)
        assert_was_there(span.events[0].attributes)


def test_attributes_of_measurements() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter = provider.get_meter("test").create_counter("counter")
    record_while_it_changes(lambda shared: counter.add(1, shared))
    (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    assert sum(point.value for point in metric.data.data_points) == RECORDERS * ROUNDS
    for point in metric.data.data_points:
        if not point.attributes.get("otel.metric.overflow"):
            assert_was_there(point.attributes)
    provider.shutdown()


def test_attributes_of_log_records(http_receiver: Any) -> None:
    provider = LoggerProvider(resource=Resource({}), shutdown_on_exit=False)
    exporter = OTLPLogExporter(endpoint=http_receiver.endpoint_of("logs"))
    processor = BatchLogRecordProcessor(exporter, schedule_delay_millis=3_600_000, max_queue_size=100_000)
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("test")
    handler = LoggingHandler(logger_provider=provider)

    def record(shared: dict[str, Any]) -> None:
        logger.emit(attributes=shared, body="body")
        line = logging.LogRecord("name", logging.INFO, "path", 1, "message", None, None)
        line.__dict__.update(extra=shared)
        handler.emit(line)

    record_while_it_changes(record)
    assert provider.force_flush()
    assert len(http_receiver.log_records()) == 2 * RECORDERS * ROUNDS
    provider.shutdown()


def test_attributes_that_instrumentations_select() -> None:
    keys = frozenset(f"schlüssel {at}" for at in range(6))
    record_while_it_changes(lambda shared: selected_attributes(shared, keys))
