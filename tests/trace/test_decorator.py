"""start_as_current_span as a decorator: every call of the function creates a span."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import threading
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode

from ..support.receiver import DEADLINE_SECONDS
from ..support.span_programs import LOCAL, REMOTE


@pytest.fixture
def tracer(make_provider_of: Any, memory: InMemorySpanExporter) -> Any:
    """A tracer of the stock SDK, then one of ours; the spans are in `memory`."""
    return make_provider_of(SimpleSpanProcessor(memory)).get_tracer("test")


def test_every_call_has_its_own_span(tracer: Any, memory: InMemorySpanExporter) -> None:
    @tracer.start_as_current_span("span")
    def add(a: int, b: int = 10, *more: int, **named: int) -> tuple[Any, ...]:
        return trace.get_current_span(), a, b, more, named

    assert memory.get_finished_spans() == ()
    first, *arguments = add(1, 2, 3, c=4)
    second, *_ = add(5)
    assert arguments == [1, 2, (3,), {"c": 4}]
    spans = memory.get_finished_spans()
    assert [span.context.span_id for span in spans] == [s.get_span_context().span_id for s in (first, second)]
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_the_decorator_passes_every_parameter_to_the_span(tracer: Any, memory: InMemorySpanExporter) -> None:
    attributes = {"a": 1}

    @tracer.start_as_current_span(
        name="span",
        context=trace.set_span_in_context(trace.NonRecordingSpan(REMOTE)),
        kind=SpanKind.CONSUMER,
        attributes=attributes,
        links=[Link(LOCAL)],
        start_time=5,
        end_on_exit=False,
    )
    def function() -> Any:
        return trace.get_current_span()

    for _ in range(2):
        span = function()
        assert span.is_recording()
        span.end()
        assert (span.name, span.kind, span.start_time, span.parent) == ("span", SpanKind.CONSUMER, 5, REMOTE)
        assert dict(span.attributes) == {"a": 1}
        assert [link.context for link in span.links] == [LOCAL]
    assert len(memory.get_finished_spans()) == 2


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("set_status", [True, False])
def test_an_exception_is_recorded_and_passed_on(
    tracer: Any, memory: InMemorySpanExporter, record: bool, set_status: bool
) -> None:
    flags = {"record_exception": record, "set_status_on_exception": set_status}

    @tracer.start_as_current_span("sync", **flags)
    def fail() -> None:
        raise ValueError("wrong")

    @tracer.start_as_current_span("async", **flags)
    async def fail_later() -> None:
        await asyncio.sleep(0)
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong") as caught:
        fail()
    assert caught.traceback[-1].name == "fail"
    with pytest.raises(ValueError, match="wrong"):
        asyncio.run(fail_later())
    for span in memory.get_finished_spans():
        assert [event.name for event in span.events] == ["exception"] * record
        assert span.status.status_code is (StatusCode.ERROR if set_status else StatusCode.UNSET)


def test_a_recursive_function(tracer: Any, memory: InMemorySpanExporter) -> None:
    @tracer.start_as_current_span("span")
    def countdown(number: int) -> None:
        trace.get_current_span().set_attribute("number", number)
        if number:
            countdown(number - 1)

    countdown(3)
    spans = memory.get_finished_spans()
    assert [span.attributes["number"] for span in spans] == [0, 1, 2, 3]
    for inner, outer in itertools.pairwise(spans):
        assert inner.parent.span_id == outer.context.span_id


def test_threads_may_call_it_at_once(tracer: Any, memory: InMemorySpanExporter) -> None:
    barrier = threading.Barrier(4)

    @tracer.start_as_current_span("span")
    def function() -> None:
        barrier.wait(DEADLINE_SECONDS)
        trace.get_current_span().set_attribute("thread", threading.get_ident())

    threads = [threading.Thread(target=function) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    spans = memory.get_finished_spans()
    assert {span.attributes["thread"] for span in spans} == {thread.ident for thread in threads}


def test_a_method_and_a_static_and_a_class_method(tracer: Any, memory: InMemorySpanExporter) -> None:
    class Class:
        @tracer.start_as_current_span("method")
        def method(self) -> Any:
            return self

        @staticmethod
        @tracer.start_as_current_span("static")
        def static() -> str:
            return "static"

        @classmethod
        @tracer.start_as_current_span("class")
        def of_class(cls) -> Any:
            return cls

    instance = Class()
    assert instance.method() is instance
    assert Class.static() == "static"
    assert Class.of_class() is Class
    assert [span.name for span in memory.get_finished_spans()] == ["method", "static", "class"]


def test_decorators_stack(tracer: Any, memory: InMemorySpanExporter) -> None:
    @tracer.start_as_current_span("outer")
    @tracer.start_as_current_span("inner")
    def function() -> None:
        pass

    function()
    inner, outer = memory.get_finished_spans()
    assert (inner.name, outer.name) == ("inner", "outer")
    assert inner.parent.span_id == outer.context.span_id


def test_one_decorator_for_several_functions(tracer: Any, memory: InMemorySpanExporter) -> None:
    decorator = tracer.start_as_current_span("span")
    first, second = decorator(lambda: 1), decorator(lambda: 2)
    assert (first(), second(), first()) == (1, 2, 1)
    assert len(memory.get_finished_spans()) == 3


# --- Coroutine functions ---------------------------------------------------------------------------------------------


def test_the_span_of_a_coroutine_function_ends_with_the_coroutine(tracer: Any, memory: InMemorySpanExporter) -> None:
    @tracer.start_as_current_span("span")
    async def function(value: int) -> int:
        span = trace.get_current_span()
        await asyncio.sleep(0)
        assert trace.get_current_span() is span
        assert span.is_recording()
        return value

    assert inspect.iscoroutinefunction(function)
    coroutine = function(7)
    assert memory.get_finished_spans() == ()
    assert asyncio.run(coroutine) == 7
    (span,) = memory.get_finished_spans()
    assert span.name == "span"


def test_concurrent_coroutines_have_their_own_spans(tracer: Any, memory: InMemorySpanExporter) -> None:
    @tracer.start_as_current_span("inner")
    async def inner() -> Any:
        await asyncio.sleep(0)
        return trace.get_current_span().parent.span_id

    @tracer.start_as_current_span("outer")
    async def outer() -> None:
        own = trace.get_current_span().get_span_context().span_id
        assert await asyncio.gather(*(inner() for _ in range(5))) == [own] * 5

    async def main() -> None:
        await asyncio.gather(*(outer() for _ in range(5)))

    asyncio.run(main())
    assert len(memory.get_finished_spans()) == 30


def test_a_cancelled_coroutine_ends_its_span(tracer: Any, memory: InMemorySpanExporter) -> None:
    @tracer.start_as_current_span("span")
    async def function() -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        task = asyncio.create_task(function())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (span,) = memory.get_finished_spans()
    assert tuple(span.events) == ()


# --- Generator functions: upstream's span covers the call alone -------------------------------------------------------


def test_a_decorated_generator_function_yields_its_values(tracer: Any, memory: InMemorySpanExporter) -> None:
    @tracer.start_as_current_span("span")
    def numbers() -> Any:
        yield trace.get_current_span()
        yield 2

    first, second = numbers()
    assert (first, second) == (trace.INVALID_SPAN, 2)
    assert len(memory.get_finished_spans()) == 1


def test_a_decorated_async_generator_function_yields_its_values(tracer: Any, memory: InMemorySpanExporter) -> None:
    @tracer.start_as_current_span("span")
    async def numbers() -> Any:
        yield trace.get_current_span()
        await asyncio.sleep(0)
        yield 2

    async def main() -> list[Any]:
        return [number async for number in numbers()]

    assert asyncio.run(main()) == [trace.INVALID_SPAN, 2]
    assert len(memory.get_finished_spans()) == 1


# --- Metadata --------------------------------------------------------------------------------------------------------


def test_the_functions_metadata_stays(tracer: Any) -> None:
    decorator = tracer.start_as_current_span("span")

    def function(a: int, *, b: str = "x") -> bool:
        """What it does."""
        return True

    async def later(a: int) -> bool:
        """What it does."""
        return True

    function.own = later.own = "kept"  # type: ignore[attr-defined]
    for original in (function, later):
        wrapped = decorator(original)
        for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__", "own"):
            assert getattr(wrapped, name) == getattr(original, name)
        assert wrapped.__wrapped__ is original
        assert inspect.signature(wrapped) == inspect.signature(original)


def test_callable_objects_can_be_decorated(tracer: Any, memory: InMemorySpanExporter) -> None:
    class Callable:
        def __call__(self, value: int) -> int:
            return value + 1

    decorator = tracer.start_as_current_span("span")
    assert decorator(Callable())(1) == 2
    assert decorator(functools.partial(int, base=2))("101") == 5
    assert decorator(len)([1, 2]) == 2
    assert len(memory.get_finished_spans()) == 3


def test_a_function_runs_when_the_sampler_drops_its_span(kind: type[Any]) -> None:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    tracer = kind(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("test")

    @tracer.start_as_current_span("span")
    def function() -> Any:
        return trace.get_current_span()

    span = function()
    assert span.get_span_context().is_valid
    assert not span.is_recording()
