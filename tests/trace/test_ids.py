"""Trace and span ids: random and unique by default, or created by the user's generator."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanContext, TraceFlags

from otel_rs import TracerProvider

from ..support.receiver import DEADLINE_SECONDS

pytestmark = pytest.mark.sanitize


def contexts(tracer: Any, count: int) -> list[SpanContext]:
    return [tracer.start_span("span", context_api.Context()).get_span_context() for _ in range(count)]


# --- Random ids ------------------------------------------------------------------------------------------------------


def test_ids_are_valid_and_unique_over_eight_threads(provider: Any) -> None:
    tracer = provider.get_tracer("test")
    start = threading.Barrier(8)
    found: list[SpanContext] = []

    def work() -> None:
        start.wait(DEADLINE_SECONDS)
        found.extend(contexts(tracer, 5_000))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert len({context.trace_id for context in found}) == 40_000
    assert len({context.span_id for context in found}) == 40_000
    assert all(context.is_valid and 0 < context.trace_id < 2**128 and 0 < context.span_id < 2**64 for context in found)


def test_threads_that_run_one_after_another_have_different_ids(provider: Any) -> None:
    """The generator of a new thread must not start in the same state as that of an ended thread."""
    tracer = provider.get_tracer("test")
    found: list[SpanContext] = []
    for _ in range(50):
        thread = threading.Thread(target=lambda: found.extend(contexts(tracer, 2)))
        thread.start()
        thread.join(DEADLINE_SECONDS)
    assert len({context.trace_id for context in found}) == 100
    assert len({context.span_id for context in found}) == 100


def test_every_bit_is_random(provider: Any) -> None:
    found = contexts(provider.get_tracer("test"), 10_000)
    for bits, ids in ((128, [c.trace_id for c in found]), (64, [c.span_id for c in found])):
        for bit in range(bits):
            # Ten standard deviations.
            assert 4_500 < sum(id >> bit & 1 for id in ids) < 5_500


def test_seeding_random_does_not_repeat_ids(provider: Any) -> None:
    """Programs that seed `random` for repeatable runs must not send the same ids in each run."""
    found = []
    for _ in range(2):
        random.seed(1)
        found.append(contexts(provider.get_tracer("test"), 1)[0].trace_id)
    assert found[0] != found[1]


def test_starting_spans_does_not_change_the_state_of_random(provider: Any) -> None:
    random.seed(1)
    expected = [random.random() for _ in range(3)]
    random.seed(1)
    contexts(provider.get_tracer("test"), 10)
    assert [random.random() for _ in range(3)] == expected


# --- A generator of the user's own -----------------------------------------------------------------------------------


class Counting(IdGenerator):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def generate_span_id(self) -> int:
        self.calls.append("span")
        return len(self.calls)

    def generate_trace_id(self) -> int:
        self.calls.append("trace")
        return 1000 + len(self.calls)


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "not sampled"])
def test_a_generator_is_called_for_every_span_and_for_roots(make_provider_of: Any, sampler: Any) -> None:
    generator = Counting()
    provider = make_provider_of(id_generator=generator, sampler=sampler)
    assert provider.id_generator is generator
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("root") as root:
        child = tracer.start_span("child")
    assert generator.calls == ["trace", "span", "span"]
    assert [(c.trace_id, c.span_id) for c in (root.get_span_context(), child.get_span_context())] == [
        (1001, 2),
        (1001, 3),
    ]


def test_a_subclass_of_the_random_generator_is_called(make_provider_of: Any) -> None:
    class Fixed(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return 2**127 + 5

    (context,) = contexts(make_provider_of(id_generator=Fixed()).get_tracer("test"), 1)
    assert context.trace_id == 2**127 + 5
    assert context.trace_flags.random_trace_id


@pytest.mark.parametrize(("trace_id", "span_id"), [(2**128 - 1, 2**64 - 1), (1, 1), (2**64, 2**63)])
def test_the_whole_range_of_ids(make_provider_of: Any, trace_id: int, span_id: int) -> None:
    class Fixed(Counting):
        def generate_trace_id(self) -> int:
            return trace_id

        def generate_span_id(self) -> int:
            return span_id

    tracer = make_provider_of(id_generator=Fixed()).get_tracer("test")
    with tracer.start_as_current_span("span") as span:
        context = span.get_span_context()
        assert (context.trace_id, context.span_id) == (trace_id, span_id)
        assert tracer.start_span("child").parent == context


@pytest.mark.parametrize("bad_id", [2**128, -1], ids=["too large", "negative"])
@pytest.mark.parametrize("method", ["generate_trace_id", "generate_span_id"])
def test_an_id_out_of_range_is_replaced_by_a_random_one(caplog: Any, bad_id: int, method: str) -> None:
    generator = Counting()
    setattr(generator, method, lambda: bad_id)
    provider = TracerProvider(id_generator=generator, shutdown_on_exit=False)
    with provider.get_tracer("test").start_as_current_span("span") as span:
        span.set_attribute("a", 1)
    assert span.get_span_context().is_valid
    assert "The id generator failed" in caplog.text


def test_children_of_a_span_with_an_invalid_id_are_roots(make_provider_of: Any) -> None:
    generator = Counting()
    generator.generate_span_id = lambda: 0
    tracer = make_provider_of(id_generator=generator).get_tracer("test")
    with tracer.start_as_current_span("span") as span:
        assert not span.get_span_context().is_valid
        assert tracer.start_span("child").parent is None


def test_the_generator_of_a_tracer_can_be_replaced(make_provider_of: Any) -> None:
    tracer = make_provider_of().get_tracer("test")
    generator = Counting()
    tracer.id_generator = generator
    assert tracer.id_generator is generator
    assert contexts(tracer, 1)[0].trace_id == 1001


# --- The random flag of W3C trace context ----------------------------------------------------------------------------


@pytest.mark.parametrize("random_ids", [True, False])
def test_a_root_has_the_random_flag_by_its_generator(make_provider_of: Any, random_ids: bool) -> None:
    class WithRandomFlag(Counting):
        def is_trace_id_random(self) -> bool:
            return random_ids

    (context,) = contexts(make_provider_of(id_generator=WithRandomFlag()).get_tracer("test"), 1)
    assert context.trace_flags == (3 if random_ids else 1)


def test_a_generator_without_is_trace_id_random_is_not_random(make_provider_of: Any) -> None:
    (context,) = contexts(make_provider_of(id_generator=Counting()).get_tracer("test"), 1)
    assert context.trace_flags == TraceFlags.SAMPLED


def test_random_ids_have_the_random_flag(make_provider_of: Any) -> None:
    (context,) = contexts(make_provider_of().get_tracer("test"), 1)
    assert context.trace_flags == 3
    (context,) = contexts(make_provider_of(sampler=ALWAYS_OFF).get_tracer("test"), 1)
    assert context.trace_flags == 2


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "not sampled"])
@pytest.mark.parametrize("flags", [0, 1, 2, 3, 4, 0xFD, 0xFF])
@pytest.mark.parametrize("remote", [True, False])
def test_a_child_inherits_the_random_flag_but_no_unknown_flag(
    make_provider_of: Any, sampler: Any, flags: int, remote: bool
) -> None:
    parent = SpanContext(1, 2, remote, TraceFlags(flags))
    tracer = make_provider_of(sampler=sampler, id_generator=Counting()).get_tracer("test")
    span = tracer.start_span("span", trace.set_span_in_context(trace.NonRecordingSpan(parent)))
    assert span.get_span_context().trace_flags == (flags & 2) | (1 if sampler is ALWAYS_ON else 0)
    assert type(span.get_span_context().trace_flags) is TraceFlags


@pytest.mark.parametrize("where", ["class", "object"])
def test_generator_methods_replaced_before_the_tracer_exists_are_called(
    kind: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    provider = kind(shutdown_on_exit=False)
    target = RandomIdGenerator if where == "class" else provider.id_generator
    monkeypatch.setattr(target, "generate_span_id", lambda *self: 7)
    assert provider.get_tracer("test").start_span("span").get_span_context().span_id == 7
