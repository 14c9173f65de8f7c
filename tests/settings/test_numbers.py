"""Numbers in variables, each value through the classes that read it, with the stock class run on the same value.

No value raises, logs a traceback or leaves a thread that died; one line says what is wrong and what is done instead.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttp
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk._logs import LogRecordLimits
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor as StockBatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_rs import BatchSpanProcessor, TracerProvider, exit
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as Grpc
from otel_rs.exporter.otlp.http import OTLPMetricExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as Http
from otel_rs.settings import corrected_environment
from otel_rs.settings.kinds import YEAR_SECONDS, Number
from otel_rs.settings.table import ALL

from ..support.receiver import DEADLINE_SECONDS

HUGE = "1" + "0" * 30
TEXTS = ["1e30", HUGE, "-1", "nan", "inf", "", " ", "5s", "2048.0", " 7 ", "abc", "0", "'7'", "0.5", "²"]
YEAR_MILLIS = YEAR_SECONDS * 1000

Observe = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """How a variable's value is seen: through our classes, and through the stock ones."""

    ours: Observe
    stock: Observe | None
    default: Any
    good: dict[str, Any]
    """What the texts that are accepted stand for; the others are reported."""


def whole(ours: Observe, stock: Observe | None, default: int, largest: int = sys.maxsize, zero: bool = False) -> Case:
    good = {HUGE: largest, " 7 ": 7, "'7'": 7, **({"0": 0} if zero else {})}
    return Case(ours, stock, default, good)


def fraction(ours: Observe, stock: Observe, default: float, largest: float, infinite: bool) -> Case:
    good = {"1e30": largest, HUGE: largest, "2048.0": 2048.0, " 7 ": 7.0, "'7'": 7.0, "0.5": 0.5}
    return Case(ours, stock, default, {**good, "inf": math.inf} if infinite else good)


def of_batch(kind: Any, exporter: Any, name: str) -> Observe:
    def observe() -> Any:
        with corrected_environment() if kind is BatchLogRecordProcessor else no_context():
            processor = kind(exporter())
        value = getattr(processor._batch_processor, name)
        processor.shutdown()
        return value

    return observe


class no_context:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def of_stock_batch(kind: Any, exporter: Any, name: str) -> Observe:
    return lambda: getattr(kind(exporter())._batch_processor, name)


def batch(variables: str, kind: Any, stock: Any, exporter: Any, delay: int) -> dict[str, Case]:
    def case(variable: str, name: str, **arguments: Any) -> dict[str, Case]:
        ours, theirs = of_batch(kind, exporter, name), of_stock_batch(stock, exporter, name)
        return {f"{variables}_{variable}": whole(ours, theirs, **arguments)}

    return {
        # The queue has room for a batch, and a batch is no larger than the queue.
        **case("MAX_QUEUE_SIZE", "_max_queue_size", default=2048),
        **case("MAX_EXPORT_BATCH_SIZE", "_max_export_batch_size", default=512, largest=2048),
        **case("SCHEDULE_DELAY", "_schedule_delay_millis", default=delay, largest=YEAR_MILLIS),
        **case("EXPORT_TIMEOUT", "_export_timeout_millis", default=30000, largest=YEAR_MILLIS, zero=True),
    }


def limit(variable: str, name: str, kind: type[Any], default: int | None) -> dict[str, Case]:
    def ours() -> Any:
        if kind is sdk.SpanLimits:
            return getattr(TracerProvider(shutdown_on_exit=False, resource=Resource({}))._span_limits, name)
        with corrected_environment():
            return getattr(kind(), name)

    good = {HUGE: sys.maxsize, " 7 ": 7, "'7'": 7, "0": 0}
    return {f"{variable}/{name}": Case(ours, lambda: getattr(kind(), name), default, good)}


def reader(name: str, correct: bool) -> Observe:
    def observe() -> Any:
        with corrected_environment() if correct else no_context():
            made = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint="http://127.0.0.1:1"))
        value = getattr(made, name)
        made._set_collect_callback(lambda *_, **__: None)
        made.shutdown()
        return value

    return observe


def share(provider: type[Any]) -> Observe:
    return lambda: provider(shutdown_on_exit=False, resource=Resource({})).sampler.rate


def timeouts(variable: str) -> dict[str, Case]:
    def case(protocol: str, ours: Observe, stock: Observe) -> dict[str, Case]:
        one = fraction(ours, stock, 10.0, YEAR_SECONDS, infinite=False)
        return {f"{variable}/{protocol}": one}

    return {
        **case("http", lambda: Http()._client._timeout, lambda: StockHttp()._client._timeout),
        **case("grpc", lambda: Grpc()._timeout, lambda: StockGrpc()._timeout),
    }


CASES: dict[str, Case] = {
    **batch("OTEL_BSP", BatchSpanProcessor, StockBatchSpanProcessor, InMemorySpanExporter, 5000),
    **batch("OTEL_BLRP", BatchLogRecordProcessor, BatchLogRecordProcessor, InMemoryLogRecordExporter, 1000),
    **limit("OTEL_ATTRIBUTE_COUNT_LIMIT", "max_attributes", sdk.SpanLimits, 128),
    **limit("OTEL_ATTRIBUTE_COUNT_LIMIT", "max_span_attributes", sdk.SpanLimits, 128),
    **limit("OTEL_ATTRIBUTE_COUNT_LIMIT", "max_log_record_attributes", LogRecordLimits, 128),
    **limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "max_attribute_length", sdk.SpanLimits, None),
    **limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "max_span_attributes", sdk.SpanLimits, 128),
    **limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "max_span_attribute_length", sdk.SpanLimits, None),
    **limit("OTEL_SPAN_EVENT_COUNT_LIMIT", "max_events", sdk.SpanLimits, 128),
    **limit("OTEL_SPAN_LINK_COUNT_LIMIT", "max_links", sdk.SpanLimits, 128),
    **limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "max_event_attributes", sdk.SpanLimits, 128),
    **limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "max_link_attributes", sdk.SpanLimits, 128),
    **limit("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "max_log_record_attributes", LogRecordLimits, 128),
    **limit("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "max_log_record_attribute_length", LogRecordLimits, None),
    **timeouts("OTEL_EXPORTER_OTLP_TIMEOUT"),
    **timeouts("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"),
    "OTEL_METRIC_EXPORT_INTERVAL": fraction(
        reader("_export_interval_millis", True), reader("_export_interval_millis", False), 60000, YEAR_MILLIS, True
    ),
    "OTEL_METRIC_EXPORT_TIMEOUT": fraction(
        reader("_export_timeout_millis", True), reader("_export_timeout_millis", False), 30000, YEAR_MILLIS, True
    ),
    "OTEL_TRACES_SAMPLER_ARG": Case(share(TracerProvider), share(sdk.TracerProvider), 1.0, {"0": 0.0, "0.5": 0.5}),
    "OTEL_RS_EXIT_TIMEOUT": whole(exit.exit_timeout_millis, None, 10000, YEAR_MILLIS),
}

# Stock takes these for what no wait, queue or share can be, takes a text with its quotes for none at all, or takes an
# unbounded number; see docs/differences.md.
NOT_AS_STOCK = {HUGE, "1e30", "nan", "inf", "-1", "0", "'7'"}


@dataclass
class Seen:
    value: Any
    records: list[logging.LogRecord]


@pytest.fixture
def see(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> Callable[[Observe], Seen]:
    def observed(observe: Observe) -> Seen:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            return Seen(observe(), list(caplog.records))

    return observed


def stock_value(case: Case, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What stock uses, or the error that it raises. Its threads, which some values end, do not run."""
    assert case.stock is not None
    with monkeypatch.context() as patch:
        patch.setattr(BatchProcessor, "worker", lambda self: None)
        patch.setattr(PeriodicExportingMetricReader, "_ticker", lambda self: None)
        try:
            return case.stock()
        except Exception as error:
            return error


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", CASES)
def test_a_number(name: str, text: str, see: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case, variable = CASES[name], name.partition("/")[0]
    if variable == "OTEL_TRACES_SAMPLER_ARG":
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv(variable, text)
    seen = see(case.ours)
    assert not [record for record in seen.records if record.exc_info]
    lines = [record.getMessage() for record in seen.records if record.name == "otel_rs.settings"]
    if text in case.good:
        assert seen.value == case.good[text]
        # A batch that is larger than the queue is cut, which is said.
        assert len(lines) == (1 if text == "'7'" or (text == HUGE and "BATCH_SIZE" in name) else 0)
    elif not text.strip():
        # Upstream's limits are off where their variable is empty.
        no_limit = "_LIMIT/" in name and variable != "OTEL_ATTRIBUTE_COUNT_LIMIT"
        assert (seen.value, lines) == (None if no_limit else case.default, [])
    else:
        assert seen.value == case.default
        *quotes, line = lines
        plain = text.strip().strip("'")
        assert len(quotes) == (text == "'7'")
        assert line.startswith(f"{variable} is {plain!r}; accepted: a ")
        assert line.endswith((", the default.", "It counts as not set."))
    if case.stock is not None:
        stock = stock_value(case, monkeypatch)
        if not isinstance(stock, Exception) and text not in NOT_AS_STOCK:
            assert seen.value == stock


def test_every_number_of_the_table_is_tried() -> None:
    tried = {name.partition("/")[0] for name in CASES}
    numbers = {setting.variable for setting in ALL if isinstance(setting.kind, Number)}
    # Those are in test_batch_span_processor.py, through the native batch processor.
    natively = {name for name in numbers if name.startswith("OTEL_RS_") and name != "OTEL_RS_EXIT_TIMEOUT"}
    signals = {name for name in numbers if name.endswith(("_METRICS_TIMEOUT", "_LOGS_TIMEOUT"))}
    assert numbers - natively - signals == tried


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("variable", ["MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE", "SCHEDULE_DELAY", "EXPORT_TIMEOUT"])
def test_a_native_batch_processor_delivers_whatever_the_number(
    variable: str, text: str, receiver: Any, exporter_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable == "EXPORT_TIMEOUT":
        # A full machine takes longer than 7 ms to connect.
        text = text.replace("7", "7000")
    monkeypatch.setenv(f"OTEL_BSP_{variable}", text)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter_to(receiver)))
    provider.get_tracer("test").start_span("span").end()
    assert provider.force_flush()
    assert [span.name for span in receiver.spans()] == ["span"]
    provider.shutdown()


@pytest.mark.parametrize(
    ("queue", "batch", "said"),
    [
        ("100", None, 0),
        ("100", "512", 1),
        ("100", "50", 0),
        (None, "5000", 1),
    ],
)
@pytest.mark.parametrize("variables", ["OTEL_BSP", "OTEL_BLRP"])
def test_a_batch_that_is_larger_than_the_queue_is_as_large_as_the_queue(
    variables: str, queue: str | None, batch: str | None, said: int, see: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in (("MAX_QUEUE_SIZE", queue), ("MAX_EXPORT_BATCH_SIZE", batch)):
        if value is not None:
            monkeypatch.setenv(f"{variables}_{variable}", value)
    case = CASES[f"{variables}_MAX_EXPORT_BATCH_SIZE"]
    seen = see(case.ours)
    assert seen.value == min(int(queue or 2048), int(batch or 512))
    assert len(seen.records) == said
    stock = stock_value(case, monkeypatch)
    assert isinstance(stock, ValueError) or stock == seen.value


@pytest.mark.parametrize(("general", "expected"), [(None, 10.0), ("7", 7.0), ("bad", 10.0)])
def test_a_bad_variable_of_a_signal_leaves_the_general_one_in_force(
    general: str | None, expected: float, see: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "5s")
    if general is not None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", general)
    seen = see(lambda: Http()._client._timeout)
    assert seen.value == expected
    line = seen.records[0].getMessage()
    assert line.startswith("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is '5s'; accepted: ")
    used = "from OTEL_EXPORTER_OTLP_TIMEOUT" if general == "7" else "the default"
    assert line.endswith(f"Using {expected:.0f} seconds, {used}.")


def test_a_bad_value_is_reported_once(see: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5s")
    seen = see(lambda: [Http(), Grpc(), Http(), OTLPMetricExporter()])
    (record,) = seen.records
    assert record.levelno == logging.ERROR
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "6s")
    assert len(see(Http).records) == 1


def test_the_environment_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "5s")
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "100")
    before = dict(os.environ)
    with corrected_environment():
        assert os.environ["OTEL_BLRP_SCHEDULE_DELAY"] == "1000"
        with corrected_environment():
            assert os.environ["OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"] == "100"
        assert os.environ["OTEL_BLRP_SCHEDULE_DELAY"] == "1000"
    assert dict(os.environ) == before


def test_threads_that_overlap_see_good_values_until_the_last_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    variable = "OTEL_BLRP_SCHEDULE_DELAY"
    monkeypatch.setenv(variable, "5s")
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with corrected_environment():
            entered.set()
            leave.wait(DEADLINE_SECONDS)

    thread = threading.Thread(target=hold)
    with corrected_environment():
        thread.start()
        assert entered.wait(DEADLINE_SECONDS)
    assert os.environ[variable] == "1000"
    leave.set()
    thread.join(DEADLINE_SECONDS)
    assert os.environ[variable] == "5s"


def test_what_the_program_sets_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "5s")
    with corrected_environment():
        os.environ["OTEL_BLRP_SCHEDULE_DELAY"] = "3000"
    assert os.environ["OTEL_BLRP_SCHEDULE_DELAY"] == "3000"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_meanwhile_has_what_the_user_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "5s")
    with corrected_environment():
        if not (child := os.fork()):
            os._exit(0 if os.environ["OTEL_BLRP_SCHEDULE_DELAY"] == "5s" else 1)
    assert os.waitpid(child, 0)[1] == 0
