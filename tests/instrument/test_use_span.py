"""`UseSpan` is `opentelemetry.trace.use_span` for native spans."""

from __future__ import annotations

import contextvars
import gc
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_rs import TracerProvider
from otel_rs._native import UseSpan

Use = Callable[..., Any]


class OwnError(Exception):
    pass


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> trace.Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test")


def recorded(span: ReadableSpan) -> list[Any]:
    events = [[event.name, {**(event.attributes or {}), "exception.stacktrace": None}] for event in span.events]
    attributes = dict(span.attributes or {})
    return [attributes, span.status.status_code, span.status.description, events, span.end_time is not None]


@pytest.mark.parametrize("error", [None, OwnError("text"), KeyError(), GeneratorExit(), KeyboardInterrupt()])
@pytest.mark.parametrize("end_on_exit", [False, True])
@pytest.mark.parametrize("record_exception", [False, True])
@pytest.mark.parametrize("set_status", [False, True])
def test_it_leaves_a_span_as_upstreams_does(
    error: BaseException | None, end_on_exit: bool, record_exception: bool, set_status: bool, tracer: trace.Tracer
) -> None:
    def use(use: Use) -> list[Any]:
        span: Any = tracer.start_span("span")
        before = context.get_current()
        with suppress(BaseException), use(span, end_on_exit, record_exception, set_status) as given:
            assert given is span
            assert trace.get_current_span() is span
            if error:
                raise error
            span.set_attribute("was", "left without an error")
        assert context.get_current() is before
        return recorded(span)

    assert use(UseSpan) == use(trace.use_span)


def test_the_span_may_have_ended(tracer: trace.Tracer, exporter: InMemorySpanExporter) -> None:
    span = tracer.start_span("span")
    use = UseSpan(span)
    use.__enter__()
    span.end()
    use.__exit__(OwnError, OwnError(), None)
    assert not exporter.get_finished_spans()[0].events


def test_an_unsampled_span_is_current(tracer: trace.Tracer) -> None:
    span = trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)
    with UseSpan(span, True):
        assert trace.get_current_span() is span


def test_leaving_in_another_context_is_logged_and_ends_the_span(
    tracer: trace.Tracer, exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    use = UseSpan(tracer.start_span("span"), True)
    contextvars.copy_context().run(use.__enter__)
    use.__exit__(None, None, None)
    assert "Failed to detach context" in caplog.text
    assert len(exporter.get_finished_spans()) == 1


@pytest.mark.parametrize("use", [UseSpan, trace.use_span])
def test_to_leave_it_twice_does_nothing(use: Use, tracer: trace.Tracer, exporter: InMemorySpanExporter) -> None:
    within = use(tracer.start_span("span"), True)
    with within:
        pass
    assert within.__exit__(None, None, None) is False
    assert len(exporter.get_finished_spans()) == 1


@pytest.mark.parametrize("end_on_exit", [False, True])
@pytest.mark.parametrize("use", [UseSpan, trace.use_span])
def test_one_that_nobody_leaves_is_left_where_it_is_dropped(
    use: Use, end_on_exit: bool, tracer: trace.Tracer, exporter: InMemorySpanExporter
) -> None:
    before = context.get_current()
    activation = use(tracer.start_span("span"), end_on_exit)
    activation.__enter__()
    try:
        raise OwnError
    except OwnError:
        del activation
    assert context.get_current() is before
    assert len(exporter.get_finished_spans()) == end_on_exit
    assert not any(span.events for span in exporter.get_finished_spans())


def test_a_cycle_through_it_is_collected(tracer: trace.Tracer) -> None:
    class Holder:
        pass

    holder: Any = Holder()
    holder.use = UseSpan(holder)
    gone = weakref.ref(holder)
    del holder
    gc.collect()
    assert gone() is None
