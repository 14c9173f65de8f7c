"""Starting spans: every parameter of start_span and start_as_current_span, and the end of `with` blocks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
import time
from collections import ChainMap
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode

import otel_rs.trace

from ..support.span_programs import INVALID, LOCAL, REMOTE, WITH_STATE
from .test_readable_span import Comparer


@pytest.fixture
def tracer(make_provider_of: Any, memory: InMemorySpanExporter) -> Any:
    """A tracer of the stock SDK, then one of ours; the spans are in `memory`."""
    return make_provider_of(SimpleSpanProcessor(memory)).get_tracer("test")


def only(memory: InMemorySpanExporter) -> Any:
    (span,) = memory.get_finished_spans()
    return span


# The two ways to start a span, as functions that take start_span's arguments and return the ended span.
def by_start_span(tracer: Any, *arguments: Any, **keywords: Any) -> Any:
    span = tracer.start_span(*arguments, **keywords)
    span.end()
    return span


def by_block(tracer: Any, *arguments: Any, **keywords: Any) -> Any:
    with tracer.start_as_current_span(*arguments, **keywords) as span:
        return span


@pytest.fixture(params=[by_start_span, by_block], ids=["start_span", "start_as_current_span"])
def started(request: pytest.FixtureRequest, tracer: Any) -> Callable[..., Any]:
    return lambda *arguments, **keywords: request.param(tracer, *arguments, **keywords)


# --- Signatures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["start_span", "start_as_current_span"])
def test_parameters_are_those_of_the_stock_sdk(method: str) -> None:
    def parameters(kind: type[Any]) -> list[Any]:
        return [
            (parameter.name, parameter.kind, parameter.default is inspect.Parameter.empty)
            for parameter in list(inspect.signature(getattr(kind, method)).parameters.values())[1:]
        ]

    assert parameters(otel_rs.trace.Tracer) == parameters(sdk.Tracer)


ARGUMENTS: dict[str, Any] = {
    "name": "span",
    "context": trace.set_span_in_context(trace.NonRecordingSpan(REMOTE)),
    "kind": SpanKind.PRODUCER,
    "attributes": {"a": 1, "b": ["x"]},
    "links": [Link(LOCAL, {"c": 2}), Link(WITH_STATE)],
    "start_time": 1_700_000_000_000_000_000,
    "record_exception": False,
    "set_status_on_exception": False,
}


@pytest.mark.parametrize("by_position", range(len(ARGUMENTS) + 1))
def test_arguments_by_position_and_by_name(started: Any, by_position: int) -> None:
    items = list(ARGUMENTS.items())
    span = started(*(value for _, value in items[:by_position]), **dict(items[by_position:]))
    assert (span.name, span.kind, span.start_time) == ("span", SpanKind.PRODUCER, ARGUMENTS["start_time"])
    assert span.parent == REMOTE
    assert dict(span.attributes) == {"a": 1, "b": ("x",)}
    assert [(link.context, dict(link.attributes)) for link in span.links] == [(LOCAL, {"c": 2}), (WITH_STATE, {})]


def test_end_on_exit_is_the_ninth_argument(tracer: Any) -> None:
    with tracer.start_as_current_span("span", None, SpanKind.CLIENT, None, (), None, True, True, False) as span:
        pass
    assert span.is_recording()


@pytest.mark.parametrize("method", ["start_span", "start_as_current_span"])
@pytest.mark.parametrize("keywords", [{}, {"name": "span", "unknown": 1}], ids=["no name", "unknown"])
def test_wrong_arguments_are_type_errors(tracer: Any, method: str, keywords: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        getattr(tracer, method)(**keywords)


# --- What each parameter does ----------------------------------------------------------------------------------------


def test_a_span_with_only_a_name(started: Any) -> None:
    before = time.time_ns()
    span = started("span")
    assert before <= span.start_time <= span.end_time <= time.time_ns()
    assert (span.kind, span.parent) == (SpanKind.INTERNAL, None)
    assert (dict(span.attributes), tuple(span.events), tuple(span.links)) == ({}, (), ())
    assert span.status.is_unset
    assert span.get_span_context().is_valid


@pytest.mark.parametrize("span_kind", SpanKind)
def test_every_kind(started: Any, span_kind: SpanKind) -> None:
    assert started("span", kind=span_kind).kind is span_kind


@pytest.mark.parametrize("attributes", [None, {}, {"a": None}, {"": 1, "b": 2}], ids=str)
def test_initial_attributes(started: Any, attributes: Any) -> None:
    expected = by_start_span(sdk.TracerProvider(shutdown_on_exit=False).get_tracer("test"), "x", attributes=attributes)
    assert dict(started("span", attributes=attributes).attributes) == dict(expected.attributes)


def test_attributes_arguments_are_copied(started: Any) -> None:
    attributes = {"a": 1}
    span = started("span", attributes=attributes)
    attributes["b"] = 2
    assert dict(span.attributes) == {"a": 1}


@pytest.mark.parametrize("links", [None, (), []], ids=str)
def test_no_links(started: Any, links: Any) -> None:
    assert tuple(started("span", links=links).links) == ()


def test_empty_links_to_an_invalid_context_are_left_out(started: Any) -> None:
    span = started("span", links=[Link(INVALID), Link(LOCAL), Link(INVALID, {"a": 1})])
    assert [(link.context, dict(link.attributes)) for link in span.links] == [(LOCAL, {}), (INVALID, {"a": 1})]


@pytest.mark.parametrize("start_time", [0, 1, 1_700_000_000_123_456_789])
def test_a_start_time(started: Any, start_time: int) -> None:
    assert started("span", start_time=start_time).start_time == start_time


def test_a_start_time_of_none_is_now(started: Any) -> None:
    before = time.time_ns()
    assert before <= started("span", start_time=None).start_time <= time.time_ns()


# --- Parents ---------------------------------------------------------------------------------------------------------


def test_the_parent_is_the_current_span(tracer: Any, started: Any) -> None:
    with tracer.start_as_current_span("outer") as outer:
        span = started("span")
    assert span.parent == outer.get_span_context()
    assert span.get_span_context().trace_id == outer.get_span_context().trace_id
    assert span.get_span_context().span_id != outer.get_span_context().span_id


@pytest.mark.parametrize("parent", [REMOTE, LOCAL, WITH_STATE], ids=["remote", "local", "with state"])
def test_the_parent_comes_from_an_explicit_context(tracer: Any, started: Any, parent: Any) -> None:
    context = trace.set_span_in_context(trace.NonRecordingSpan(parent), context_api.Context())
    with tracer.start_as_current_span("other"):
        span = started("span", context=context)
    assert span.parent == parent
    own = span.get_span_context()
    assert (own.trace_id, own.trace_state, own.is_remote) == (parent.trace_id, parent.trace_state, False)


@pytest.mark.parametrize(
    "context",
    [context_api.Context(), trace.set_span_in_context(trace.NonRecordingSpan(INVALID), context_api.Context())],
    ids=["empty", "invalid span"],
)
def test_an_explicit_context_without_a_valid_parent_makes_a_root(tracer: Any, started: Any, context: Any) -> None:
    with tracer.start_as_current_span("other") as other:
        span = started("span", context=context)
    assert span.parent is None
    assert span.get_span_context().trace_id != other.get_span_context().trace_id


def test_an_ended_span_can_be_a_parent(tracer: Any) -> None:
    parent = by_start_span(tracer, "parent")
    span = tracer.start_span("span", trace.set_span_in_context(parent))
    assert span.parent == parent.get_span_context()


def test_a_block_with_an_explicit_context_keeps_the_other_current_values(tracer: Any) -> None:
    """The explicit context gives the parent, but the span is added to the current context."""
    token = context_api.attach(context_api.set_value("here", 1))
    explicit = context_api.set_value("there", 2, trace.set_span_in_context(trace.NonRecordingSpan(REMOTE)))
    with tracer.start_as_current_span("span", explicit):
        assert (context_api.get_value("here"), context_api.get_value("there")) == (1, None)
    context_api.detach(token)


def test_the_current_context_may_be_any_mapping(tracer: Any) -> None:
    token = context_api.attach(ChainMap({"tenant": "blue"}))  # type: ignore[arg-type]
    try:
        with tracer.start_as_current_span("span") as span:
            assert context_api.get_value("tenant") == "blue"
            assert trace.get_current_span() is span
    finally:
        context_api.detach(token)


def test_a_parent_with_a_wrong_span_context_type_raises_a_type_error(started: Any) -> None:
    class Odd(trace.NonRecordingSpan):
        def get_span_context(self) -> Any:
            return "no context"

    with pytest.raises(TypeError, match="parent_span_context must be a SpanContext or None"):
        started("span", context=trace.set_span_in_context(Odd(LOCAL)))


def test_a_parent_without_a_context_makes_a_root(started: Any) -> None:
    class Without(trace.NonRecordingSpan):
        def get_span_context(self) -> Any:
            return None

    assert started("span", context=trace.set_span_in_context(Without(LOCAL))).parent is None


# --- How a block ends ------------------------------------------------------------------------------------------------


def test_a_block_ends_the_span_and_not_before(tracer: Any, memory: InMemorySpanExporter) -> None:
    with tracer.start_as_current_span("span") as span:
        assert span.is_recording()
        assert memory.get_finished_spans() == ()
    assert only(memory).context == span.get_span_context()


def test_a_block_that_does_not_end_the_span(tracer: Any, memory: InMemorySpanExporter) -> None:
    with tracer.start_as_current_span("span", end_on_exit=False) as span:
        pass
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert span.is_recording()
    span.set_attribute("late", 1)
    span.end()
    assert dict(only(memory).attributes) == {"late": 1}


def test_a_block_that_does_not_end_the_span_records_exceptions(tracer: Any) -> None:
    with (
        pytest.raises(ValueError, match="wrong"),
        tracer.start_as_current_span("span", end_on_exit=False) as span,
    ):
        raise ValueError("wrong")
    assert span.is_recording()
    assert [event.name for event in span.events] == ["exception"]
    assert span.status.status_code is StatusCode.ERROR


def test_a_span_that_ends_within_its_block(tracer: Any, memory: InMemorySpanExporter, log: Any) -> None:
    with tracer.start_as_current_span("span") as span:
        span.end(5)
    assert only(memory).end_time == 5
    assert log() == ["Calling end() on an ended span."]


def test_an_exception_after_the_end_is_not_recorded(tracer: Any, memory: InMemorySpanExporter) -> None:
    with contextlib.suppress(ValueError), tracer.start_as_current_span("span") as span:
        span.end()
        raise ValueError("late")
    assert tuple(only(memory).events) == ()
    assert only(memory).status.is_unset


class Own(Exception):
    class Nested(ValueError):
        pass


EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("wrong"),
    "without a message": lambda: ValueError(),
    "KeyError, which quotes": lambda: KeyError("key"),
    "own": lambda: Own("a", 1),
    "nested": lambda: Own.Nested("é"),
    "StopIteration": lambda: StopIteration(1),
    "KeyboardInterrupt": lambda: KeyboardInterrupt(),
    "SystemExit": lambda: SystemExit(3),
    "GeneratorExit": lambda: GeneratorExit(),
    "CancelledError": lambda: asyncio.CancelledError("away"),
    "BaseException": lambda: BaseException("base"),
}

FLAGS = [(record, status) for record in (True, False) for status in (True, False)]


@pytest.mark.parametrize("make", EXCEPTIONS.values(), ids=EXCEPTIONS.keys())
@pytest.mark.parametrize(("record", "set_status"), FLAGS)
@pytest.mark.parametrize("way", ["start_as_current_span", "start_span", "use_span"])
def test_an_exception_is_recorded_as_in_the_stock_sdk(
    make: Callable[[], BaseException], record: bool, set_status: bool, way: str
) -> None:
    error = make()

    def run(kind: type[Any]) -> Any:
        provider, memory = kind(shutdown_on_exit=False), InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        tracer = provider.get_tracer("test")
        flags = {"record_exception": record, "set_status_on_exception": set_status}
        blocks: dict[str, Callable[[], Any]] = {
            "start_as_current_span": lambda: tracer.start_as_current_span("span", **flags),
            "start_span": lambda: tracer.start_span("span", **flags),
            "use_span": lambda: trace.use_span(tracer.start_span("span"), end_on_exit=True, **flags),
        }
        with pytest.raises(type(error)) as caught, blocks[way]():
            raise error
        assert caught.value is error
        assert trace.get_current_span() is trace.INVALID_SPAN
        span = Comparer().span(only(memory))
        return span["events"], span["status"]

    assert run(otel_rs.TracerProvider) == run(sdk.TracerProvider)


def test_an_exception_is_recorded_on_every_span_it_passes(tracer: Any, memory: InMemorySpanExporter) -> None:
    with (
        pytest.raises(ValueError, match="wrong"),
        tracer.start_as_current_span("outer"),
        tracer.start_as_current_span("inner", record_exception=False, set_status_on_exception=False),
    ):
        raise ValueError("wrong")
    inner, outer = memory.get_finished_spans()
    assert (len(inner.events), inner.status.is_unset) == (0, True)
    assert (len(outer.events), outer.status.description) == (1, "ValueError: wrong")


def test_the_recorded_stack_trace_shows_where_it_was_raised(tracer: Any, memory: InMemorySpanExporter) -> None:
    def culprit() -> None:
        raise ValueError("wrong")

    with contextlib.suppress(ValueError), tracer.start_as_current_span("span"):
        culprit()
    text = only(memory).events[0].attributes["exception.stacktrace"]
    assert "in culprit" in text
    assert text.endswith("ValueError: wrong\n")


def test_a_status_of_ok_stays_with_an_exception(tracer: Any, memory: InMemorySpanExporter) -> None:
    with contextlib.suppress(ValueError), tracer.start_as_current_span("span") as span:
        span.set_status(StatusCode.OK)
        raise ValueError
    assert only(memory).status.status_code is StatusCode.OK


# --- Blocks as objects -----------------------------------------------------------------------------------------------


def test_nothing_starts_before_the_block_is_entered(tracer: Any) -> None:
    block = tracer.start_as_current_span("span")
    assert trace.get_current_span() is trace.INVALID_SPAN
    before = time.time_ns()
    with block as span:
        assert span.start_time >= before


def test_the_parent_is_the_current_span_at_entry(tracer: Any) -> None:
    block = tracer.start_as_current_span("span")
    with tracer.start_as_current_span("outer") as outer, block as span:
        pass
    assert span.parent == outer.get_span_context()


def test_a_block_in_an_exit_stack(tracer: Any, memory: InMemorySpanExporter) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(3):
            stack.enter_context(tracer.start_as_current_span(str(number)))
    spans = memory.get_finished_spans()
    assert [span.name for span in spans] == ["2", "1", "0"]
    assert [span.parent and span.parent.span_id for span in spans] == [
        spans[1].context.span_id,
        spans[2].context.span_id,
        None,
    ]


def test_a_block_that_is_never_entered_starts_no_span(tracer: Any, memory: InMemorySpanExporter) -> None:
    tracer.start_as_current_span("span")
    assert memory.get_finished_spans() == ()


def test_a_block_cannot_be_entered_within_itself(tracer: Any, memory: InMemorySpanExporter) -> None:
    block = tracer.start_as_current_span("span")

    def enter_twice() -> None:
        with block as span:
            with pytest.raises((RuntimeError, AttributeError)):
                block.__enter__()
            assert trace.get_current_span() is span
        assert trace.get_current_span() is trace.INVALID_SPAN
        assert only(memory).context == span.get_span_context()

    contextvars.copy_context().run(enter_twice)


def test_a_block_cannot_be_left_before_it_is_entered(provider: Any) -> None:
    block = provider.get_tracer("test").start_as_current_span("span")
    with pytest.raises(RuntimeError, match="was not entered"):
        block.__exit__(None, None, None)


def test_a_block_is_left_once(tracer: Any, memory: InMemorySpanExporter) -> None:
    block = tracer.start_as_current_span("span")
    with block:
        pass
    with contextlib.suppress(RuntimeError):
        block.__exit__(None, None, None)
    assert len(memory.get_finished_spans()) == 1


def test_a_span_is_a_block_itself(tracer: Any, memory: InMemorySpanExporter) -> None:
    with tracer.start_span("span") as span:
        assert trace.get_current_span() is trace.INVALID_SPAN
        span.set_attribute("a", 1)
    assert dict(only(memory).attributes) == {"a": 1}


def test_a_tracer_serves_eight_threads(tracer: Any, memory: InMemorySpanExporter) -> None:
    start = threading.Barrier(8)

    def work() -> None:
        start.wait(30)
        for number in range(100):
            with tracer.start_as_current_span("span", attributes={"n": number}, links=[Link(LOCAL)]):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    spans = memory.get_finished_spans()
    assert len({span.context.span_id for span in spans}) == 800
    assert all(span.parent is None and len(span.links) == 1 for span in spans)


# --- Private attributes of a tracer that other packages use ----------------------------------------------------------


def test_a_tracer_exposes_its_scope_and_parts(make_provider_of: Any) -> None:
    tracer = make_provider_of().get_tracer("library", "1.0", "https://schema")
    info, scope = tracer.instrumentation_info, tracer._instrumentation_scope
    assert (info.name, info.version, info.schema_url) == ("library", "1.0", "https://schema")
    assert (scope.name, scope.version, scope.schema_url) == ("library", "1.0", "https://schema")
    for name in ("sampler", "resource", "span_processor", "id_generator", "_span_limits", "_tracer_config"):
        assert getattr(tracer, name) is not None


def test_the_processor_of_a_tracer_can_be_replaced(make_provider_of: Any, memory: InMemorySpanExporter) -> None:
    tracer = make_provider_of().get_tracer("test")
    tracer.span_processor = SimpleSpanProcessor(memory)
    tracer.start_span("span").end()
    assert len(memory.get_finished_spans()) == 1


def test_the_methods_of_a_tracer_can_be_wrapped(tracer: Any, memory: InMemorySpanExporter) -> None:
    original = tracer.start_span
    tracer.start_span = lambda name, *a, **k: original(f"wrapped {name}", *a, **k)
    tracer.start_span("span").end()
    assert only(memory).name == "wrapped span"
