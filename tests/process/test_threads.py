"""32 threads write to one span and to many: everything that they write arrives."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags, get_current_span

from otel_rs import BatchSpanProcessor, TracerProvider

from ..support.receiver import DEADLINE_SECONDS, Receiver

pytestmark = pytest.mark.sanitize

THREADS = 32
UNLIMITED = SpanLimits(
    **dict.fromkeys(
        ["max_events", "max_links", "max_span_attributes", "max_event_attributes", "max_link_attributes"],
        SpanLimits.UNSET,
    )
)


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    """Makes the interpreter switch threads a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def run_in_threads(work: Callable[[int], None]) -> None:
    """Runs `work(number)` in all threads at the same moment; raises the exception of a thread that failed."""
    start = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(DEADLINE_SECONDS)
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def values_of(attributes: Any) -> dict[str, Any]:
    return {attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value")) for attribute in attributes}


def context_of(thread: int, number: int) -> SpanContext:
    return SpanContext(1 + thread, 1 + number, False, TraceFlags(1))


WRITES = 50


def test_everything_that_32_threads_write_to_one_span_arrives(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver, span_limits=UNLIMITED)
    span = provider.get_tracer("test").start_span("shared")

    def work(thread: int) -> None:
        for number in range(WRITES):
            span.set_attribute(f"plain {thread} {number}", number)
            span.set_attributes({f"list {thread} {number}": [thread, number], "shared": thread})
            span.add_event(f"{thread} {number}", {"thread": thread, "list": [number]}, number)
            span.add_link(context_of(thread, number), {"number": number})
            span.set_attribute("shared", f"{thread}")

    run_in_threads(work)
    span.end()
    assert provider.force_flush()
    (got,) = http_receiver.spans()
    each = [(thread, number) for thread in range(THREADS) for number in range(WRITES)]

    attributes = {attribute.key: attribute.value for attribute in got.attributes}
    assert len(attributes) == len(got.attributes) == 2 * len(each) + 1
    assert all(attributes[f"plain {thread} {number}"].int_value == number for thread, number in each)
    lists = {key: [v.int_value for v in value.array_value.values] for key, value in attributes.items() if key[0] == "l"}
    assert lists == {f"list {thread} {number}": [thread, number] for thread, number in each}
    assert attributes["shared"].string_value in {str(thread) for thread in range(THREADS)}

    events = [(event.name, event.time_unix_nano, event.attributes[0].value.int_value) for event in got.events]
    assert Counter(events) == Counter((f"{thread} {number}", number, thread) for thread, number in each)
    links = [(link.trace_id, link.span_id, values_of(link.attributes)["number"]) for link in got.links]
    assert Counter(links) == Counter(
        ((1 + thread).to_bytes(16, "big"), (1 + number).to_bytes(8, "big"), number) for thread, number in each
    )
    # The order inside a thread is the order of its writes.
    for thread in range(THREADS):
        assert [time for name, time, _ in events if name.split()[0] == str(thread)] == list(range(WRITES))
    assert got.dropped_attributes_count == got.dropped_events_count == got.dropped_links_count == 0


def test_parts_that_limits_drop_from_32_threads_are_counted(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver, span_limits=SpanLimits(max_attributes=10, max_events=7, max_links=5))
    span = provider.get_tracer("test").start_span("shared")

    def work(thread: int) -> None:
        for number in range(WRITES):
            span.set_attribute(f"{thread} {number}", [number])
            span.add_event("event", timestamp=number)
            span.add_link(context_of(thread, number))

    run_in_threads(work)
    span.end()
    assert provider.force_flush()
    (got,) = http_receiver.spans()
    assert (len(got.attributes), len(got.events), len(got.links)) == (10, 7, 5)
    written = THREADS * WRITES
    dropped = (got.dropped_attributes_count, got.dropped_events_count, got.dropped_links_count)
    assert dropped == (written - 10, written - 7, written - 5)


def test_spans_of_32_threads_arrive_with_their_own_attributes(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver, {"max_export_batch_size": 100})
    tracer = provider.get_tracer("test")

    def work(thread: int) -> None:
        for number in range(WRITES):
            own = {"thread": thread, "number": number}
            with (
                tracer.start_as_current_span("outer", attributes=own),
                tracer.start_as_current_span("inner") as inner,
            ):
                inner.set_attributes({**own, "list": ["a", number]})
                inner.add_event("event", {"thread": thread})
                inner.set_status(StatusCode.ERROR, f"{thread} {number}")

    run_in_threads(work)
    assert provider.force_flush()
    spans = http_receiver.spans()
    each = Counter((thread, number) for thread in range(THREADS) for number in range(WRITES))
    by_name = {name: [span for span in spans if span.name == name] for name in ("outer", "inner")}
    assert len(spans) == 2 * THREADS * WRITES
    assert len({span.span_id for span in spans}) == len(spans)
    outer_of = {span.span_id: values_of(span.attributes) for span in by_name["outer"]}
    for found in by_name.values():
        assert Counter((values_of(s.attributes)["thread"], values_of(s.attributes)["number"]) for s in found) == each
    for inner in by_name["inner"]:
        own = values_of(inner.attributes)
        outer = outer_of[inner.parent_span_id]
        assert (outer["thread"], outer["number"]) == (own["thread"], own["number"])
        assert inner.status.message == f"{own['thread']} {own['number']}"
        assert values_of(inner.events[0].attributes) == {"thread": own["thread"]}


def test_spans_that_other_threads_end_arrive_once(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    tracer = provider.get_tracer("test")
    spans = [tracer.start_span(str(number)) for number in range(200)]

    def work(thread: int) -> None:
        # All threads end the same spans at about the same time, half of them in reverse order.
        for span in spans if thread % 2 else reversed(spans):
            span.set_attribute("thread", thread)
            span.end()

    run_in_threads(work)
    assert provider.force_flush()
    assert Counter(span.name for span in http_receiver.spans()) == Counter(str(number) for number in range(200))


def test_a_span_that_ends_while_32_threads_write_is_consistent(http_receiver: Any, provider_to: Any) -> None:
    """For each thread, all writes up to some moment are there, and no later ones."""
    provider = provider_to(http_receiver, span_limits=UNLIMITED)
    span = provider.get_tracer("test").start_span("shared")
    half_way = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        for number in range(2 * WRITES):
            if number == WRITES:
                half_way.wait(DEADLINE_SECONDS)
            if thread == 0 and number == WRITES + 5:
                span.end()
            span.add_event(str(thread), {"number": number}, number)

    run_in_threads(work)
    assert provider.force_flush()
    (got,) = http_receiver.spans()
    times: dict[str, list[int]] = {str(thread): [] for thread in range(THREADS)}
    for event in got.events:
        assert values_of(event.attributes) == {"number": event.time_unix_nano}
        times[event.name].append(event.time_unix_nano)
    assert times["0"] == list(range(WRITES + 5))
    for of_thread in times.values():
        assert of_thread == list(range(len(of_thread)))
        assert len(of_thread) >= WRITES


def test_flushes_from_32_threads_lose_and_repeat_nothing(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    tracer = provider.get_tracer("test")

    def work(thread: int) -> None:
        for number in range(10):
            tracer.start_span(f"{thread} {number}").end()
            assert provider.force_flush()

    run_in_threads(work)
    names = Counter(span.name for span in http_receiver.spans())
    assert names == Counter(f"{thread} {number}" for thread in range(THREADS) for number in range(10))


def test_threads_that_outlive_the_provider_continue(receiver: Receiver, provider_to: Any) -> None:
    """Spans created before the shutdown arrive; later spans are dropped and counted, without an error."""
    provider = provider_to(receiver, {"max_export_batch_size": 50})
    tracer = provider.get_tracer("test")
    (processor,) = provider._active_span_processor._span_processors
    held = [tracer.start_span("held") for _ in range(THREADS)]
    ready, gone = threading.Barrier(THREADS + 1), threading.Event()
    made: Counter[int] = Counter()

    def work(thread: int) -> None:
        own = tracer.start_as_current_span("outer")
        with own as outer:
            for number in range(WRITES):
                tracer.start_span("before").end()
                made[thread] += 1
                if number == WRITES // 2:
                    ready.wait(DEADLINE_SECONDS)
            assert gone.wait(DEADLINE_SECONDS)
            held[thread].set_attribute("late", [1])
            held[thread].end()
            with tracer.start_as_current_span("after", attributes={"a": 1}) as after:
                assert after.is_recording()
                assert get_current_span() is after
                after.add_event("event")
            assert get_current_span() is outer
        made[thread] += 3

    def end() -> None:
        nonlocal provider
        ready.wait(DEADLINE_SECONDS)
        provider.shutdown()
        provider = None
        gc.collect()
        gone.set()

    ending = threading.Thread(target=end, daemon=True)
    ending.start()
    run_in_threads(work)
    ending.join(DEADLINE_SECONDS)
    counts = processor.counts()
    assert counts["created"] == sum(made.values()) == THREADS * (WRITES + 3)
    assert counts["exported"] + counts["dropped"] == counts["created"]
    # The spans of each thread before the shutdown, and after it.
    assert counts["exported"] >= THREADS * (WRITES // 2)
    assert counts["dropped"] >= THREADS * 3
    assert Counter(span.name for span in receiver.spans()) == {"before": counts["exported"]}


def test_spans_and_tracers_outlive_a_provider_that_was_dropped(receiver: Receiver, exporter_to: Any) -> None:
    """Without a shutdown no span is lost: a tracer keeps the batch processor alive."""
    provider = TracerProvider(shutdown_on_exit=False, resource=Resource({}))
    provider.add_span_processor(BatchSpanProcessor(exporter_to(receiver), schedule_delay_millis=3_600_000))
    tracer, gone = provider.get_tracer("test"), weakref.ref(provider)
    held = [tracer.start_span(f"held {number}") for number in range(THREADS)]
    tracers = [tracer] * THREADS
    del provider, tracer
    gc.collect()
    assert gone() is None

    def work(thread: int) -> None:
        for number in range(WRITES):
            tracers[thread].start_span(f"{thread} {number}").end()
        held[thread].end()

    run_in_threads(work)
    names = {f"{thread} {number}" for thread in range(THREADS) for number in range(WRITES)}
    names |= {f"held {number}" for number in range(THREADS)}
    # The last reference that could end a span goes away; the batch processor then exports its queue and ends.
    tracers.clear()
    held.clear()
    assert Counter(span.name for span in receiver.wait_for_spans(len(names))) == Counter(names)
