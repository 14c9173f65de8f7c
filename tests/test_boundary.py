"""A panic in our code affects one API call and writes one log line; the program continues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import export as sdk
from opentelemetry.trace import Status, StatusCode

from otel_rs import BatchSpanProcessor, TracerProvider, _native
from otel_rs.exporter.otlp.http import OTLPSpanExporter

panic_in: Callable[[str], None] | None = getattr(_native, "panic_in", None)

pytestmark = pytest.mark.skipif(panic_in is None, reason="release builds cannot be told to panic: `make test-debug`")

CALLS: dict[str, Callable[[Any], Any]] = {
    "set_attribute": lambda span: span.set_attribute("key", 1),
    "set_attributes": lambda span: span.set_attributes({"key": 1}),
    "add_event": lambda span: span.add_event("event"),
    "add_link": lambda span: span.add_link(span.get_span_context()),
    "record_exception": lambda span: span.record_exception(ValueError("recorded")),
    "set_status": lambda span: span.set_status(Status(StatusCode.OK)),
    "update_name": lambda span: span.update_name("new"),
    "end": lambda span: span.end(),
    "__exit__": lambda span: span.__exit__(None, None, None),
}


def panic_line(call: str) -> list[str]:
    return [f"{call} failed inside, please report it: on purpose"]


@pytest.mark.parametrize("call", CALLS)
def test_a_panic_in_a_span_call_is_only_logged(call: str, tracer: Any, log: Callable[[], list[str]]) -> None:
    span = tracer.start_span("span")
    panic_in(call)
    assert CALLS[call](span) is None
    assert log() == panic_line(call)
    CALLS[call](span)
    span.end()
    assert span.end_time is not None


def test_a_span_that_cannot_start_becomes_a_non_recording_span(tracer: Any, log: Callable[[], list[str]]) -> None:
    panic_in("start_span")
    with tracer.start_as_current_span("lost") as span:
        assert not span.is_recording()
    assert log() == panic_line("start_span")
    assert tracer.start_span("next").is_recording()


@pytest.mark.parametrize(
    ("call", "ask", "answer"),
    [
        ("force_flush", lambda provider: provider.force_flush(1000), False),
        ("shutdown", lambda provider: provider.shutdown(), None),
    ],
)
def test_a_panic_in_a_batch_processor_call(
    call: str, ask: Callable[[Any], Any], answer: Any, log: Callable[[], list[str]]
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter("http://127.0.0.1:9/v1/traces")))
    panic_in(call)
    assert ask(provider) is answer
    assert log() == panic_line(call)
    provider.shutdown()


def test_a_panic_in_an_export(tracer: Any, http_receiver: Any, log: Callable[[], list[str]]) -> None:
    exporter = OTLPSpanExporter(http_receiver.endpoint)
    span = tracer.start_span("span")
    panic_in("export")
    assert exporter.export([span]) is sdk.SpanExportResult.FAILURE
    assert log() == panic_line("export")
    assert exporter.export([span]) is sdk.SpanExportResult.SUCCESS
