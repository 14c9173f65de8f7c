"""The current span: parents are correct in threads, tasks and generators, and with another context runtime."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk

from ..support.receiver import DEADLINE_SECONDS
from ..support.span_programs import INVALID, LOCAL, REMOTE

pytestmark = pytest.mark.sanitize


def id_of(span: Any) -> int:
    return span.get_span_context().span_id


def parent_id(span: Any) -> int | None:
    return span.parent.span_id if span.parent else None


def test_the_span_is_current_within_the_block_and_not_after(either: Any) -> None:
    before = context_api.get_current()
    assert trace.get_current_span() is trace.INVALID_SPAN
    with either.start_as_current_span("outer") as outer:
        assert trace.get_current_span() is outer
        with either.start_as_current_span("inner") as inner:
            assert trace.get_current_span() is inner
            assert parent_id(inner) == id_of(outer)
        assert trace.get_current_span() is outer
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert context_api.get_current() == before


def test_the_context_is_an_api_context_and_keeps_other_values(either: Any) -> None:
    token = context_api.attach(context_api.set_value("key", "value"))
    try:
        with either.start_as_current_span("span"):
            current = context_api.get_current()
            assert type(current) is context_api.Context
            assert context_api.get_value("key") == "value"
            with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
                current["key"] = "other"
            inner = context_api.attach(context_api.set_value("inner", 1))
            assert context_api.get_value("key") == "value"
            context_api.detach(inner)
        assert context_api.get_value("key") == "value"
    finally:
        context_api.detach(token)


def test_a_context_that_is_kept_stays_as_it_was(either: Any) -> None:
    kept = []
    for name in ("first", "second"):
        with either.start_as_current_span(name) as span:
            kept.append((span, context_api.get_current(), contextvars.copy_context()))
            with either.start_as_current_span("inner"):
                pass
    for span, context, copied in kept:
        assert trace.get_current_span(context) is span
        assert copied.run(trace.get_current_span) is span
    assert kept[0][1] is not kept[1][1]


def test_nothing_that_was_done_to_a_context_comes_back(either: Any) -> None:
    with either.start_as_current_span("first"):
        noted: Any = context_api.get_current()
        noted.note = 1
        del noted
    with either.start_as_current_span("second"):
        assert not hasattr(context_api.get_current(), "note")
        current = context_api.get_current()
        dict.__setitem__(current, "key", "value")
        del current
    with either.start_as_current_span("third") as span:
        assert list(context_api.get_current().values()) == [span]


def test_a_context_that_nobody_has_is_gone(either: Any) -> None:
    ends = []
    with either.start_as_current_span("span"):
        reference = weakref.ref(context_api.get_current(), ends.append)
    assert reference() is None
    assert ends == [reference]


def test_start_span_does_not_make_it_current(either: Any) -> None:
    span = either.start_span("span")
    assert trace.get_current_span() is trace.INVALID_SPAN
    with trace.use_span(span, end_on_exit=True):
        child = either.start_span("child")
    assert parent_id(child) == id_of(span)
    assert not span.is_recording()


@pytest.mark.parametrize("parent", [REMOTE, LOCAL], ids=["remote", "local"])
def test_a_parent_in_an_explicit_context(either: Any, parent: Any) -> None:
    context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
    with either.start_as_current_span("other"):
        span = either.start_span("span", context=context)
    assert span.parent == parent
    assert span.parent.is_remote is parent.is_remote
    assert span.get_span_context().trace_id == parent.trace_id
    assert span.get_span_context().is_remote is False


@pytest.mark.parametrize(
    "context",
    [
        context_api.Context(),
        {},
        trace.set_span_in_context(trace.INVALID_SPAN, context_api.Context()),
        trace.set_span_in_context(trace.NonRecordingSpan(INVALID), context_api.Context()),
        trace.set_span_in_context("no span", context_api.Context()),
        trace.set_span_in_context(None, context_api.Context()),
    ],
    ids=["empty", "empty dict", "invalid span", "invalid context", "no span", "none"],
)
def test_a_context_without_a_valid_span_gives_a_root(either: Any, context: Any) -> None:
    with either.start_as_current_span("current"):
        span = either.start_span("span", context=context)
    assert span.parent is None


def test_a_parent_of_the_other_implementation(provider: Any) -> None:
    native = provider.get_tracer("test")
    stock = sdk.TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with stock.start_as_current_span("stock") as a, native.start_as_current_span("native") as b:
        c = stock.start_span("stock again")
    assert (parent_id(b), parent_id(c)) == (id_of(a), id_of(b))


def test_parents_are_right_in_eight_threads(provider: Any) -> None:
    tracer = provider.get_tracer("test")
    start = threading.Barrier(8)
    wrong = []

    def work(thread: int) -> None:
        start.wait(DEADLINE_SECONDS)
        for _ in range(300):
            with tracer.start_as_current_span("root") as root:
                for _ in range(3):
                    with tracer.start_as_current_span("child") as child, tracer.start_as_current_span("leaf") as leaf:
                        if (root.parent, parent_id(child), parent_id(leaf)) != (None, id_of(root), id_of(child)):
                            wrong.append(thread)
            if trace.get_current_span() is not trace.INVALID_SPAN:
                wrong.append(thread)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()
    assert wrong == []


def test_parents_are_right_in_interleaved_tasks(either: Any) -> None:
    async def request(number: int) -> None:
        with either.start_as_current_span(f"root {number}") as root:
            for _ in range(5):
                await asyncio.sleep(0)
                assert trace.get_current_span() is root
                with either.start_as_current_span("child") as child:
                    await asyncio.sleep(0)
                    assert trace.get_current_span() is child
                    assert parent_id(child) == id_of(root)
            children = [asyncio.create_task(subtask(root)) for _ in range(3)]
            await asyncio.gather(*children)
        assert trace.get_current_span() is trace.INVALID_SPAN

    async def subtask(root: Any) -> None:
        await asyncio.sleep(0)
        with either.start_as_current_span("in a task") as span:
            await asyncio.sleep(0)
            assert parent_id(span) == id_of(root)

    async def main() -> None:
        await asyncio.gather(*(request(number) for number in range(50)))

    asyncio.run(main())


def test_a_cancelled_task_leaves_no_current_span(either: Any) -> None:
    spans = []

    async def work() -> None:
        with either.start_as_current_span("cancelled") as span:
            spans.append(span)
            await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (span,) = spans
    assert not span.is_recording()
    assert not span.events
    assert span.status.is_unset


def test_a_context_carried_into_a_thread_pool(either: Any) -> None:
    with ThreadPoolExecutor(2) as pool, either.start_as_current_span("outer") as outer:
        carried = pool.submit(contextvars.copy_context().run, lambda: either.start_span("carried")).result()
        plain = pool.submit(lambda: either.start_span("plain")).result()
    assert parent_id(carried) == id_of(outer)
    assert plain.parent is None


def test_a_generator_that_is_closed_late_in_another_context(either: Any, caplog: Any) -> None:
    spans = []

    def generate() -> Any:
        with either.start_as_current_span("generator") as span:
            spans.append(span)
            yield 1

    generator = contextvars.copy_context().run(lambda: (it := generate(), next(it))[0])
    with either.start_as_current_span("outer") as outer:
        generator.close()
        assert trace.get_current_span() is outer
    (span,) = spans
    assert not span.is_recording()
    assert "Failed to detach context" in caplog.text


def test_blocks_that_are_left_in_the_wrong_order(either: Any) -> None:
    def leave_in_the_wrong_order() -> None:
        first, second = either.start_as_current_span("first"), either.start_as_current_span("second")
        one, two = first.__enter__(), second.__enter__()
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)
        assert not one.is_recording()
        assert not two.is_recording()

    # The first span stays current there.
    contextvars.copy_context().run(leave_in_the_wrong_order)


# --- Blocks that nobody leaves: as upstream, whose generator is closed then ------------------------------------------


def entered(block: Any) -> Any:
    block.__enter__()
    return block


def raise_value_error() -> None:
    raise ValueError("on its way")


def test_a_block_that_is_dropped_ends_its_span(either: Any) -> None:
    before = trace.get_current_span()
    span = either.start_as_current_span("dropped").__enter__()
    assert trace.get_current_span() is before
    assert not span.is_recording()
    assert not span.events
    assert span.status.is_unset
    kept = either.start_as_current_span("kept", end_on_exit=False).__enter__()
    assert trace.get_current_span() is before
    assert kept.is_recording()


def test_a_block_that_an_exception_drops_ends_its_span_and_keeps_the_exception(either: Any) -> None:
    with either.start_as_current_span("outer") as outer:
        with pytest.raises(ValueError, match="on its way"):
            # The block is on Python's stack alone, as between `__enter__` and the block of a `with`.
            [entered(either.start_as_current_span("dropped")), raise_value_error()]
        assert trace.get_current_span() is outer


def test_a_block_in_a_cycle_ends_its_span_when_it_is_collected(either: Any) -> None:
    gc.collect()
    before = trace.get_current_span()
    block = entered(either.start_as_current_span("in a cycle"))
    span = trace.get_current_span()
    cycle = [block]
    cycle.append(cycle)
    del block, cycle
    gc.collect()
    assert trace.get_current_span() is before
    assert not span.is_recording()


def test_what_the_end_of_a_dropped_block_raises_is_shown(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(sdk.SpanProcessor):
        def on_end(self, span: Any) -> None:
            raise KeyboardInterrupt

    provider.add_span_processor(Interrupting())
    tracer, before = provider.get_tracer("test"), trace.get_current_span()
    shown: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    with pytest.raises(ValueError, match="on its way"):
        [entered(tracer.start_as_current_span("dropped")), raise_value_error()]
    assert [unraisable.exc_type for unraisable in shown] == [KeyboardInterrupt]
    assert trace.get_current_span() is before


def test_an_async_generator_keeps_its_span(either: Any) -> None:
    async def numbers() -> Any:
        with either.start_as_current_span("generator") as span:
            for number in range(3):
                await asyncio.sleep(0)
                yield number, span

    async def main() -> None:
        async for _, span in numbers():
            assert trace.get_current_span() is span
        assert not span.is_recording()

    asyncio.run(main())


class ThreadLocalContext:
    """Another context runtime, as OTEL_PYTHON_CONTEXT can select."""

    def __init__(self) -> None:
        self._local = threading.local()

    def attach(self, context: Any) -> Any:
        before = self.get_current()
        self._local.context = context
        return before

    def get_current(self) -> Any:
        return getattr(self._local, "context", context_api.Context())

    def detach(self, token: Any) -> None:
        self._local.context = token


# The API package selects a runtime at import. The program sets it directly, because OTEL_PYTHON_CONTEXT needs an
# entry point.
ANOTHER_RUNTIME = """
from opentelemetry import context as context_api
{runtime}
context_api._RUNTIME_CONTEXT = Runtime()
from opentelemetry import trace
from otel_rs import TracerProvider

tracer = TracerProvider().get_tracer("test")
with tracer.start_as_current_span("outer") as outer:
    assert trace.get_current_span() is outer
    with tracer.start_as_current_span("child") as child:
        assert child.parent.span_id == outer.get_span_context().span_id
    assert trace.get_current_span() is outer
assert trace.get_current_span() is trace.INVALID_SPAN
print("right")
"""


@pytest.mark.parametrize(
    "runtime",
    [
        "from tests.trace.test_context import ThreadLocalContext as Runtime",
        "from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext as Runtime",
    ],
    ids=["not on contextvars", "on contextvars"],
)
def test_another_context_runtime(runtime: str) -> None:
    program = ANOTHER_RUNTIME.format(runtime=runtime)
    root = Path(__file__).parents[2]
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=root, timeout=60, check=True, stdout=subprocess.PIPE, text=True
    )
    assert finished.stdout == "right\n"


def test_the_runtime_changes_within_a_block(either: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    block = either.start_as_current_span("span")
    span = block.__enter__()
    monkeypatch.setattr(context_api, "_RUNTIME_CONTEXT", ThreadLocalContext())
    block.__exit__(None, None, None)
    assert not span.is_recording()
    monkeypatch.undo()
    # The first runtime keeps its span, because nothing can detach it any more.
    context_api.attach(context_api.Context())
