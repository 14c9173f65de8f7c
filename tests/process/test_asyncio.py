"""Cancelled tasks, generators closed early, contexts copied to executors: spans and log lines equal the stock SDK's."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_rs import TracerProvider

from ..support.receiver import Receiver

Scenario = Callable[[Any], Any]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Registers a scenario: a function of a tracer. The test also compares what it returns."""
    SCENARIOS[function.__name__.replace("_", " ")] = function
    return function


def current_name() -> str | None:
    return getattr(trace.get_current_span(), "name", None)


def in_another_context(call: Callable[[], Any]) -> Any:
    return contextvars.copy_context().run(call)


# --- Generators ------------------------------------------------------------------------------------------------------


def generator(tracer: Any, name: str = "generator") -> Any:
    with tracer.start_as_current_span(name):
        yield current_name()
        yield current_name()


async def async_generator(tracer: Any, name: str = "generator") -> Any:
    with tracer.start_as_current_span(name):
        yield current_name()
        await asyncio.sleep(0)
        yield current_name()


@scenario
def a_generator_closed_early(tracer: Any) -> Any:
    numbers = generator(tracer)
    got = next(numbers), current_name()
    numbers.close()
    return got, current_name()


@scenario
def a_generator_closed_early_in_a_span(tracer: Any) -> Any:
    numbers = generator(tracer)
    with tracer.start_as_current_span("outer"):
        got = next(numbers), current_name()
        numbers.close()
        return got, current_name()


@scenario
def a_generator_closed_after_the_span_it_was_begun_in(tracer: Any) -> Any:
    numbers = generator(tracer)
    with tracer.start_as_current_span("outer"):
        next(numbers)
    after = current_name()
    numbers.close()
    return after, current_name()


@scenario
def a_generator_closed_from_another_context(tracer: Any) -> Any:
    numbers = generator(tracer)
    in_another_context(lambda: next(numbers))
    with tracer.start_as_current_span("outer"):
        numbers.close()
        return current_name()


@scenario
def a_generator_that_is_forgotten_in_another_context(tracer: Any) -> Any:
    numbers = [generator(tracer)]
    in_another_context(lambda: next(numbers[0]))
    numbers.clear()
    gc.collect()
    return current_name()


@scenario
def a_generator_gone_on_with_in_another_context(tracer: Any) -> Any:
    numbers = generator(tracer)
    got = [in_another_context(lambda: next(numbers)), in_another_context(lambda: next(numbers))]
    return got, list(numbers), current_name()


@scenario
def a_generator_that_is_thrown_into(tracer: Any) -> Any:
    numbers = generator(tracer)
    next(numbers)
    with pytest.raises(ValueError, match="thrown"):
        numbers.throw(ValueError("thrown"))
    return current_name()


@scenario
def two_generators_closed_in_the_wrong_order(tracer: Any) -> Any:
    first, second = generator(tracer, "first"), generator(tracer, "second")
    got = next(first), next(second)
    first.close()
    between = current_name()
    second.close()
    return got, between, current_name()


@scenario
def an_async_generator_closed_early(tracer: Any) -> Any:
    async def main() -> Any:
        numbers = async_generator(tracer)
        got = await numbers.__anext__(), current_name()
        await numbers.aclose()
        return got, current_name()

    return asyncio.run(main())


@scenario
def an_async_generator_left_by_break(tracer: Any) -> Any:
    """Only the end of the loop closes it, in another context."""

    async def main() -> Any:
        numbers = []
        async for number in async_generator(tracer):
            numbers.append(number)
            break
        return numbers, current_name()

    return asyncio.run(main())


@scenario
def an_async_generator_closed_by_another_task(tracer: Any) -> Any:
    async def main() -> Any:
        numbers = async_generator(tracer)
        await asyncio.create_task(numbers.__anext__())
        with tracer.start_as_current_span("outer"):
            await numbers.aclose()
            return current_name()

    return asyncio.run(main())


@scenario
def an_async_generator_begun_in_a_task_that_is_cancelled(tracer: Any) -> Any:
    async def main() -> Any:
        begun = asyncio.Event()

        async def work() -> None:
            async for _ in async_generator(tracer):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        (got,) = await asyncio.gather(task, return_exceptions=True)
        return type(got)

    return asyncio.run(main())


# --- Cancellation ----------------------------------------------------------------------------------------------------


def cancelled(work: Callable[[asyncio.Event], Any]) -> Any:
    """Cancels a task of `work` once it has set the event."""

    async def main() -> Any:
        begun = asyncio.Event()
        task = asyncio.create_task(work(begun))
        await begun.wait()
        task.cancel()
        (got,) = await asyncio.gather(task, return_exceptions=True)
        return type(got), current_name()

    return asyncio.run(main())


@scenario
def a_cancelled_task_within_three_spans(tracer: Any) -> Any:
    async def work(begun: asyncio.Event) -> None:
        with tracer.start_as_current_span("a"), tracer.start_as_current_span("b"), tracer.start_as_current_span("c"):
            begun.set()
            await asyncio.Event().wait()

    return cancelled(work)


@scenario
def a_cancelled_decorated_coroutine(tracer: Any) -> Any:
    @tracer.start_as_current_span("decorated")
    async def work(begun: asyncio.Event) -> None:
        begun.set()
        await asyncio.Event().wait()

    return cancelled(work)


@scenario
def a_task_cancelled_before_it_has_begun(tracer: Any) -> Any:
    @tracer.start_as_current_span("decorated")
    async def work() -> None:
        raise AssertionError

    async def main() -> Any:
        task = asyncio.create_task(work())
        task.cancel()
        (got,) = await asyncio.gather(task, return_exceptions=True)
        return type(got)

    return asyncio.run(main())


@scenario
def a_cancellation_that_is_caught_and_answered_by_a_span(tracer: Any) -> Any:
    async def work(begun: asyncio.Event) -> Any:
        with tracer.start_as_current_span("outer") as outer:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                with tracer.start_as_current_span("clean-up"):
                    await asyncio.sleep(0)
                outer.record_exception(error, timestamp=1)
                raise

    return cancelled(work)


@scenario
def a_timeout(tracer: Any) -> Any:
    async def main() -> Any:
        with tracer.start_as_current_span("outer"):
            try:
                with tracer.start_as_current_span("inner"):
                    await asyncio.wait_for(asyncio.Event().wait(), 0.001)
            except asyncio.TimeoutError as error:
                return type(error), current_name()

    return asyncio.run(main())


@scenario
def one_of_many_tasks_fails_and_the_others_are_cancelled(tracer: Any) -> Any:
    async def work(number: int) -> None:
        with tracer.start_as_current_span(f"task {number}"):
            if number == 2:
                raise ValueError("one fails")
            await asyncio.Event().wait()

    async def main() -> Any:
        with tracer.start_as_current_span("outer"):
            tasks = [asyncio.create_task(work(number)) for number in range(4)]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            return len(done), len(pending), [type(result) for result in results], current_name()

    return asyncio.run(main())


@scenario
def a_block_entered_in_one_task_and_left_in_another(tracer: Any) -> Any:
    async def main() -> Any:
        block = tracer.start_as_current_span("block")

        async def enter() -> None:
            block.__enter__()

        async def leave() -> None:
            with tracer.start_as_current_span("of the leaver"):
                block.__exit__(None, None, None)
                assert current_name() == "of the leaver"

        await asyncio.create_task(enter())
        await asyncio.create_task(leave())
        return current_name()

    return asyncio.run(main())


# --- Executors -------------------------------------------------------------------------------------------------------


def child(tracer: Any, name: str) -> Any:
    with tracer.start_as_current_span(name):
        return current_name()


@scenario
def a_context_copied_to_an_executor(tracer: Any) -> Any:
    with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("outer"):
        context = contextvars.copy_context()
        carried = pool.submit(context.run, child, tracer, "carried").result()
        bare = pool.submit(child, tracer, "bare").result()
        return carried, bare, pool.submit(current_name).result(), current_name()


@scenario
def one_context_used_by_an_executor_again_and_again(tracer: Any) -> Any:
    with tracer.start_as_current_span("outer"):
        context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        return [pool.submit(context.run, child, tracer, f"carried {number}").result() for number in range(3)]


@scenario
def to_thread_and_run_in_executor(tracer: Any) -> Any:
    async def main() -> Any:
        with tracer.start_as_current_span("outer"):
            carried = await asyncio.to_thread(child, tracer, "to thread")
            with ThreadPoolExecutor(1) as pool:
                plain = await asyncio.get_running_loop().run_in_executor(pool, child, tracer, "plain")
            return carried, plain, current_name()

    return asyncio.run(main())


@scenario
def a_span_attached_by_hand_in_an_executor(tracer: Any) -> Any:
    def work(context: Any) -> Any:
        token = context_api.attach(context)
        try:
            return child(tracer, "child")
        finally:
            context_api.detach(token)

    with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("outer"):
        return pool.submit(work, context_api.get_current()).result(), pool.submit(current_name).result()


@scenario
def a_block_left_in_an_executor(tracer: Any) -> Any:
    block = tracer.start_as_current_span("block")

    def enter_and_leave() -> Any:
        block.__enter__()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(block.__exit__, None, None, None).result()
        return current_name()

    return in_another_context(enter_and_leave)


@scenario
def a_decorated_function_in_a_copied_context(tracer: Any) -> Any:
    @tracer.start_as_current_span("decorated")
    def function() -> Any:
        return current_name()

    with tracer.start_as_current_span("outer"):
        return in_another_context(function), in_another_context(functools.partial(child, tracer, "child"))


# --- Both sides ------------------------------------------------------------------------------------------------------


def summary_of(span: Any, names: dict[int, str]) -> Any:
    parent = names.get(span.parent.span_id, "unknown") if span.parent else None
    events = [(event.name, event.attributes.get("exception.type")) for event in span.events]
    return span.name, parent, span.status.status_code, span.status.description, events


def run(kind: type[Any], scenario: Scenario, caplog: pytest.LogCaptureFixture) -> Any:
    memory = InMemorySpanExporter()
    provider = kind(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    caplog.clear()
    result = contextvars.Context().run(scenario, provider.get_tracer("test"))
    # Unreferenced generators end here, not in the run of the other SDK.
    gc.collect()
    spans = memory.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    lines = [
        (record.name, record.getMessage(), record.exc_info and record.exc_info[0])
        for record in caplog.records
        # In development mode a loop says how long a step took, if the machine was busy.
        if not (record.name == "asyncio" and record.getMessage().startswith("Executing "))
    ]
    provider.shutdown()
    return {"result": result, "spans": [summary_of(span, names) for span in spans], "lines": lines}


def run_on_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    if not hasattr(asyncio, "Runner"):  # before Python 3.11
        return uvloop.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test once on each event loop."""
    if request.param == "uvloop":
        monkeypatch.setattr(asyncio, "run", run_on_uvloop)
    return request.param


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_the_outcome_and_the_log_lines_are_those_of_the_stock_sdk(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert run(TracerProvider, scenario, caplog) == run(sdk.TracerProvider, scenario, caplog)


FAILS_TO_DETACH = {
    "a block entered in one task and left in another",
    "a block left in an executor",
    "a generator closed from another context",
    "a generator gone on with in another context",
    "a generator that is forgotten in another context",
    "an async generator begun in a task that is cancelled",
    "an async generator closed by another task",
    "an async generator left by break",
}


@pytest.mark.parametrize("kind", [sdk.TracerProvider, TracerProvider], ids=["stock", "native"])
def test_the_log_lines_to_compare_exist(kind: type[Any], caplog: pytest.LogCaptureFixture) -> None:
    """Each SDK logs once when a context cannot be detached, and never otherwise."""
    caplog.set_level(logging.WARNING)
    counts = {
        name: sum(line[1] == "Failed to detach context" for line in run(kind, scenario, caplog)["lines"])
        for name, scenario in SCENARIOS.items()
    }
    assert {name: count for name, count in counts.items() if count} == dict.fromkeys(FAILS_TO_DETACH, 1)


# --- Many tasks ------------------------------------------------------------------------------------------------------


def test_spans_of_many_tasks_keep_their_own_parents_and_arrive(
    loop: str, http_receiver: Receiver, provider_to: Callable[..., TracerProvider]
) -> None:
    """uvloop switches tasks in native code. The flush runs in another thread, so the loop continues."""
    provider = provider_to(http_receiver, {"max_export_batch_size": 50})
    tracer = provider.get_tracer("test")

    async def request(number: int) -> None:
        with tracer.start_as_current_span(f"request {number}") as outer:
            await asyncio.sleep(0)
            await asyncio.gather(*[step(number, step_number) for step_number in range(3)])
            assert trace.get_current_span() is outer
            if number % 20 == 0:
                assert await asyncio.to_thread(provider.force_flush, 10_000)
            # A loop callback and another thread have the task's context.
            done = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(lambda: done.set_result(trace.get_current_span()))
            assert await done is outer
            assert await asyncio.to_thread(trace.get_current_span) is outer

    async def step(number: int, step_number: int) -> None:
        with tracer.start_as_current_span(f"step {number}") as inner:
            await asyncio.sleep(0.001 * (step_number % 2))
            assert trace.get_current_span() is inner

    async def main() -> str:
        await asyncio.gather(*[request(number) for number in range(100)])
        assert trace.get_current_span() is trace.INVALID_SPAN
        return type(asyncio.get_running_loop()).__module__

    assert asyncio.run(main()).split(".")[0] == loop
    assert provider.force_flush()
    spans = http_receiver.spans()
    name_of = {span.span_id: span.name for span in spans}
    parents = Counter((span.name, name_of.get(span.parent_span_id)) for span in spans)
    expected = Counter({(f"request {number}", None): 1 for number in range(100)})
    expected.update({(f"step {number}", f"request {number}"): 3 for number in range(100)})
    assert parents == expected
