"""Python span processors: their arguments, the order of calls, and what they may do in a call."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor as StockBatchSpanProcessor
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode, TraceState

import otel_rs
from otel_rs import BatchSpanProcessor

from ..support.receiver import DEADLINE_SECONDS, wait_until
from ..support.span_programs import REMOTE

CALLS = ["on_start", "_on_ending", "on_end"]


class Recording(SpanProcessor):
    """Records every call: the processor's name, the method and the arguments."""

    def __init__(self, calls: list[Any], name: str = "") -> None:
        self.calls, self.name = calls, name

    def on_start(self, *arguments: Any, **keywords: Any) -> None:
        self.calls.append((self.name, "on_start", arguments, keywords))

    def _on_ending(self, *arguments: Any, **keywords: Any) -> None:
        self.calls.append((self.name, "_on_ending", arguments, keywords))

    def on_end(self, *arguments: Any, **keywords: Any) -> None:
        self.calls.append((self.name, "on_end", arguments, keywords))


class Calling(SpanProcessor):
    """Calls a function at the given steps, or at every step."""

    def __init__(self, function: Callable[[Any], Any], *steps: str) -> None:
        self.function, self.steps = function, steps or CALLS

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self._step("on_start", span)

    def _on_ending(self, span: Any) -> None:
        self._step("_on_ending", span)

    def on_end(self, span: Any) -> None:
        self._step("on_end", span)

    def _step(self, step: str, span: Any) -> None:
        if step in self.steps:
            self.function(span)


@pytest.fixture
def calls() -> list[Any]:
    return []


# --- Arguments and order ---------------------------------------------------------------------------------------------


def test_processors_get_the_same_arguments_as_in_the_stock_sdk(make_provider_of: Any, calls: list[Any]) -> None:
    tracer = make_provider_of(Recording(calls)).get_tracer("test")
    span = tracer.start_span("span")
    span.end()
    assert [(method, keywords) for _, method, _, keywords in calls] == [
        ("on_start", {"parent_context": None}),
        ("_on_ending", {}),
        ("on_end", {}),
    ]
    (started,), (ending,), (ended,) = (arguments for _, _, arguments, _ in calls)
    assert started is span
    assert ending is span
    assert ended.get_span_context() == span.get_span_context()
    assert isinstance(ended, sdk.ReadableSpan)


def test_on_start_gets_the_parent_context_that_was_passed(make_provider_of: Any, calls: list[Any]) -> None:
    tracer = make_provider_of(Recording(calls)).get_tracer("test")
    explicit = context_api.set_value("key", "value", trace.set_span_in_context(trace.NonRecordingSpan(REMOTE)))
    with tracer.start_as_current_span("root"), tracer.start_as_current_span("block", explicit):
        tracer.start_span("span", explicit)
        tracer.start_span("child")
    contexts = [keywords["parent_context"] for _, method, _, keywords in calls if method == "on_start"]
    assert contexts == [None, explicit, explicit, None]
    assert contexts[1] is contexts[2] is explicit


def test_several_processors_are_called_in_the_order_they_were_added(make_provider_of: Any, calls: list[Any]) -> None:
    provider = make_provider_of(*(Recording(calls, name) for name in "abc"))
    provider.get_tracer("test").start_span("span").end()
    assert [(method, name) for name, method, *_ in calls] == [(method, name) for method in CALLS for name in "abc"]


def test_a_processor_that_is_added_twice_is_called_twice(make_provider_of: Any, calls: list[Any]) -> None:
    processor = Recording(calls)
    make_provider_of(processor, processor).get_tracer("test").start_span("span").end()
    assert [method for _, method, *_ in calls] == [method for method in CALLS for _ in range(2)]


def test_the_state_of_the_span_at_every_step(make_provider_of: Any) -> None:
    seen = []

    def look(span: Any) -> None:
        seen.append((span.name, dict(span.attributes), span.kind, span.parent is not None, span.end_time))

    tracer = make_provider_of(Calling(look)).get_tracer("test")
    context = trace.set_span_in_context(trace.NonRecordingSpan(REMOTE))
    span = tracer.start_span("first", context, SpanKind.CLIENT, {"a": 1}, start_time=5)
    span.set_attribute("b", 2)
    span.update_name("last")
    span.end(7)
    started, ending, ended = seen
    assert started == ("first", {"a": 1}, SpanKind.CLIENT, True, None)
    assert ending[:4] == ended[:4] == ("last", {"a": 1, "b": 2}, SpanKind.CLIENT, True)
    assert ended[4] == 7


def test_the_span_is_not_current_in_on_start_and_on_end(make_provider_of: Any) -> None:
    current: list[Any] = []
    tracer = make_provider_of(Calling(lambda span: current.append(trace.get_current_span()))).get_tracer("test")
    with tracer.start_as_current_span("outer") as outer, tracer.start_as_current_span("inner"):
        pass
    none = trace.INVALID_SPAN
    assert current == [none, outer, outer, outer, none, none]


def test_on_end_is_called_once(make_provider_of: Any, calls: list[Any]) -> None:
    span = make_provider_of(Recording(calls)).get_tracer("test").start_span("span")
    for _ in range(3):
        span.end()
    assert [method for _, method, *_ in calls] == CALLS


def test_on_end_is_called_once_when_threads_end_a_span_at_once(make_provider_of: Any, calls: list[Any]) -> None:
    tracer = make_provider_of(Recording(calls)).get_tracer("test")
    for _ in range(50):
        span, barrier = tracer.start_span("span"), threading.Barrier(4)

        def end(span: Any = span, barrier: Any = barrier) -> None:
            barrier.wait(DEADLINE_SECONDS)
            span.end()

        threads = [threading.Thread(target=end) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
    assert [method for _, method, *_ in calls if method == "on_end"] == ["on_end"] * 50


def test_a_processor_without_the_base_class_is_called(provider: Any) -> None:
    """It has the methods, but no base class."""
    ended = []

    class Plain:
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            pass

        def _on_ending(self, span: Any) -> None:
            pass

        def on_end(self, span: Any) -> None:
            ended.append(span.name)

        def shutdown(self) -> None:
            pass

    provider.add_span_processor(Plain())
    provider.get_tracer("test").start_span("span").end()
    assert ended == ["span"]


# --- Writing to the span ---------------------------------------------------------------------------------------------


def test_a_processor_may_write_when_the_span_starts(make_provider_of: Any, memory: InMemorySpanExporter) -> None:
    def write(span: Any) -> None:
        span.set_attribute("processor", [1])
        span.set_attribute("initial", "overwritten")
        span.add_event("started")
        span.update_name(f"{span.name}!")

    provider = make_provider_of(Calling(write, "on_start"), SimpleSpanProcessor(memory))
    provider.get_tracer("test").start_span("span", attributes={"initial": 1}).end()
    (span,) = memory.get_finished_spans()
    assert span.name == "span!"
    assert dict(span.attributes) == {"initial": "overwritten", "processor": (1,)}
    assert [event.name for event in span.events] == ["started"]


def test_attributes_that_a_processor_writes_are_exported_natively(
    http_receiver: Any, exporter_to: Any, provider: Any
) -> None:
    provider.add_span_processor(BatchSpanProcessor(exporter_to(http_receiver)))
    provider.add_span_processor(Calling(lambda span: span.set_attribute("processor", 1), "on_start"))
    provider.get_tracer("test").start_span("span").end()
    assert provider.force_flush()
    (span,) = http_receiver.spans()
    assert [attribute.key for attribute in span.attributes] == ["processor"]


def test_a_processor_may_write_when_the_span_is_ending(make_provider_of: Any, memory: InMemorySpanExporter) -> None:
    written = Calling(lambda span: span.set_attribute("ending", span.is_recording()), "_on_ending")
    provider = make_provider_of(written, SimpleSpanProcessor(memory))
    provider.get_tracer("test").start_span("span").end()
    (span,) = memory.get_finished_spans()
    stock = InMemorySpanExporter()
    expected = sdk.TracerProvider(shutdown_on_exit=False)
    expected.add_span_processor(written)
    expected.add_span_processor(SimpleSpanProcessor(stock))
    expected.get_tracer("test").start_span("span").end()
    assert dict(span.attributes) == dict(stock.get_finished_spans()[0].attributes)


def test_a_processor_cannot_write_when_the_span_has_ended(make_provider_of: Any, memory: InMemorySpanExporter) -> None:
    """Upstream passes a copy without the write methods; we pass the span itself."""

    def write(span: Any) -> None:
        if hasattr(span, "set_attribute"):
            assert not span.is_recording()
            span.set_attribute("late", 1)

    provider = make_provider_of(Calling(write, "on_end"), SimpleSpanProcessor(memory))
    provider.get_tracer("test").start_span("span").end()
    assert dict(memory.get_finished_spans()[0].attributes) == {}


def test_a_processor_may_end_the_span_that_starts(make_provider_of: Any, memory: InMemorySpanExporter) -> None:
    provider = make_provider_of(Calling(lambda span: span.end(5), "on_start"), SimpleSpanProcessor(memory))
    span = provider.get_tracer("test").start_span("span")
    assert not span.is_recording()
    span.end(9)
    assert [span.end_time for span in memory.get_finished_spans()] == [5]


def values(span: Any) -> dict[str, Any]:
    """The attributes of a received span."""
    return {
        attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value")) for attribute in span.attributes
    }


@pytest.mark.parametrize("baggage_first", [True, False])
def test_the_baggage_processor_adds_baggage_to_exported_spans(
    make_provider_of: Any, http_receiver: Any, exporter_to: Any, baggage_first: bool
) -> None:
    processors = [BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS), BatchSpanProcessor(exporter_to(http_receiver))]
    provider = make_provider_of(*(processors if baggage_first else reversed(processors)))
    tracer = provider.get_tracer("test")
    token = context_api.attach(baggage.set_baggage("tenant", "current"))
    with tracer.start_as_current_span("outer", attributes={"a": 1}):
        tracer.start_span("inner").end()
    context_api.detach(token)
    tracer.start_span("explicit", baggage.set_baggage("tenant", "given", context_api.Context())).end()
    tracer.start_span("without").end()
    assert provider.force_flush()
    assert {span.name: values(span) for span in http_receiver.spans()} == {
        "outer": {"a": 1, "tenant": "current"},
        "inner": {"tenant": "current"},
        "explicit": {"tenant": "given"},
        "without": {},
    }


def test_the_baggage_processor_copies_only_the_selected_keys(
    make_provider_of: Any, memory: InMemorySpanExporter
) -> None:
    processor = BaggageSpanProcessor(lambda key: key.startswith("public."))
    tracer = make_provider_of(processor, SimpleSpanProcessor(memory)).get_tracer("test")
    context = baggage.set_baggage("secret", "x", baggage.set_baggage("public.tenant", "y"))
    tracer.start_span("span", context).end()
    assert dict(memory.get_finished_spans()[0].attributes) == {"public.tenant": "y"}


def test_a_write_in_on_ending_is_logged_as_in_the_stock_sdk(make_provider_of: Any, log: Any) -> None:
    """Upstream sets the end time before it calls `_on_ending`."""

    def write(span: Any) -> None:
        span.set_attribute("a", 1)
        span.set_attributes({"b": 2})
        span.add_event("event")
        span.update_name("name")
        span.set_status(StatusCode.ERROR)
        span.end()

    make_provider_of(Calling(write, "_on_ending")).get_tracer("test").start_span("span").end()
    assert log() == [
        "Setting attribute on ended span.",
        "Setting attribute on ended span.",
        "Tried calling _add_event on an ended span.",
        "Tried calling update_name on an ended span.",
        "Tried calling set_status on an ended span.",
        "Calling end() on an ended span.",
    ]


# --- Reading and filtering -------------------------------------------------------------------------------------------


def test_a_processor_may_measure_spans_as_they_end(make_provider_of: Any) -> None:
    measured = []

    def measure(span: Any) -> None:
        events = [(event.name, dict(event.attributes)) for event in span.events]
        links = [(link.context, dict(link.attributes)) for link in span.links]
        status = (span.status.status_code, span.status.description)
        scope = (span.instrumentation_scope.name, span.resource.attributes["service.name"])
        duration = span.end_time - span.start_time
        measured.append((span.name, span.kind, duration, dict(span.attributes), events, links, status, scope))
        assert json.loads(span.to_json())["name"] == span.name

    resource = sdk.Resource({"service.name": "shop"})
    tracer = make_provider_of(Calling(measure, "on_end"), resource=resource).get_tracer("test")
    span = tracer.start_span("span", None, SpanKind.CLIENT, {"a": 1}, [trace.Link(REMOTE, {"b": 2})], start_time=5)
    span.add_event("event", {"c": 3})
    span.set_status(StatusCode.ERROR, "no")
    span.end(12)
    assert measured == [
        (
            "span",
            SpanKind.CLIENT,
            7,
            {"a": 1},
            [("event", {"c": 3})],
            [(REMOTE, {"b": 2})],
            (StatusCode.ERROR, "no"),
            ("test", "shop"),
        )
    ]


class Filtering(SpanProcessor):
    """Passes only some spans to another processor."""

    def __init__(self, inner: SpanProcessor) -> None:
        self.inner = inner

    def on_end(self, span: Any) -> None:
        if not span.name.startswith("/health"):
            self.inner.on_end(span)

    def shutdown(self) -> None:
        self.inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self.inner.force_flush(timeout_millis)


@pytest.mark.parametrize("make", [BatchSpanProcessor, StockBatchSpanProcessor, otel_rs.SimpleSpanProcessor])
def test_a_processor_may_filter_before_another(
    make_provider_of: Any, receiver: Any, exporter_to: Any, make: Callable[..., Any]
) -> None:
    provider = make_provider_of(Filtering(make(exporter_to(receiver))))
    for name in ("/health", "/orders", "/health/live", "/basket"):
        provider.get_tracer("test").start_span(name, attributes={"a": name}).end()
    assert provider.force_flush()
    assert [(span.name, values(span)) for span in receiver.spans()] == [
        ("/orders", {"a": "/orders"}),
        ("/basket", {"a": "/basket"}),
    ]


# --- Ending other spans ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", CALLS)
def test_a_processor_may_end_other_spans(
    make_provider_of: Any, http_receiver: Any, exporter_to: Any, step: str
) -> None:
    """Inside its own call, each ending span ends another span."""

    def end_another(span: Any) -> None:
        if others:
            others.pop().end(9)

    others: list[Any] = []
    provider = make_provider_of(Calling(end_another, step), BatchSpanProcessor(exporter_to(http_receiver)))
    tracer = provider.get_tracer("test")
    started = [tracer.start_span(f"other {number}", attributes={"number": number}) for number in range(5)]
    span = tracer.start_span("span")
    others.extend(started)
    if step == "on_start":
        for _ in started:
            tracer.start_span("more").end()
    span.end()
    assert others == []
    assert not any(other.is_recording() for other in started)
    assert provider.force_flush()
    arrived = {
        span.name: (span.end_time_unix_nano, values(span)) for span in http_receiver.spans() if span.name != "more"
    }
    assert arrived.pop("span")[1] == {}
    assert arrived == {f"other {number}": (9, {"number": number}) for number in range(5)}


@pytest.mark.parametrize("step", CALLS)
def test_spans_that_a_processor_starts_and_ends_are_exported_natively(
    make_provider_of: Any, http_receiver: Any, exporter_to: Any, step: str
) -> None:
    def start(span: Any) -> None:
        if span.name != "inner":
            with tracer.start_as_current_span("inner", attributes={"of": span.name}):
                pass

    provider = make_provider_of(BatchSpanProcessor(exporter_to(http_receiver)), Calling(start, step))
    tracer = provider.get_tracer("test")
    tracer.start_span("outer", attributes={"own": 1}).end()
    assert provider.force_flush()
    assert sorted((span.name, values(span)) for span in http_receiver.spans()) == [
        ("inner", {"of": "outer"}),
        ("outer", {"own": 1}),
    ]


# --- Processors that start spans, or raise ---------------------------------------------------------------------------


@pytest.mark.parametrize("step", CALLS)
def test_a_processor_may_start_spans(make_provider_of: Any, memory: InMemorySpanExporter, step: str) -> None:
    def start(span: Any) -> None:
        if span.name == "outer":
            with tracer.start_as_current_span("inner", attributes={"a": 1}) as inner:
                tracer.start_span("leaf").end()
                inner.set_attribute("b", 2)

    provider = make_provider_of(Calling(start, step), SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("outer"):
        pass
    spans = {span.name: span for span in memory.get_finished_spans()}
    assert len(memory.get_finished_spans()) == len(spans) == 3
    assert spans["leaf"].parent == spans["inner"].context
    assert spans["inner"].parent is None
    assert dict(spans["inner"].attributes) == {"a": 1, "b": 2}


@pytest.mark.parametrize("step", CALLS)
def test_the_other_processors_get_the_span_when_one_raises(
    provider: Any, memory: InMemorySpanExporter, calls: list[Any], log: Any, step: str
) -> None:
    def fail(span: Any) -> None:
        raise RuntimeError("no\nway")

    provider._active_span_processor._span_processors = (
        Calling(fail, step),
        *provider._active_span_processor._span_processors,
    )
    provider.add_span_processor(Recording(calls))
    with provider.get_tracer("test").start_as_current_span("span"):
        assert trace.get_current_span().is_recording()
    assert [span.name for span in memory.get_finished_spans()] == ["span"]
    assert [method for _, method, *_ in calls] == CALLS
    (line,) = log()
    assert f"{step} raised: RuntimeError: no" in line


@pytest.mark.parametrize("step", CALLS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_processor_reaches_the_application(make_provider_of: Any, step: str, error: Any) -> None:
    def interrupt(span: Any) -> None:
        raise error

    def use_span() -> None:
        with tracer.start_as_current_span("span"):
            pass

    tracer = make_provider_of(Calling(interrupt, step)).get_tracer("test")
    with pytest.raises(error):
        use_span()
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_an_interrupt_in_a_processor_leaves_the_span_ended_and_exported(
    make_provider_of: Any, memory: InMemorySpanExporter
) -> None:
    def interrupt(span: Any) -> None:
        raise KeyboardInterrupt

    provider = make_provider_of(SimpleSpanProcessor(memory), Calling(interrupt, "on_end"))
    span = provider.get_tracer("test").start_span("span")
    with pytest.raises(KeyboardInterrupt):
        span.end()
    assert not span.is_recording()
    assert len(memory.get_finished_spans()) == 1


def test_an_exception_in_a_processor_does_not_replace_the_applications(provider: Any) -> None:
    def fail(span: Any) -> None:
        raise RuntimeError("of the processor")

    provider.add_span_processor(Calling(fail))
    with (
        pytest.raises(ValueError, match="of the application"),
        provider.get_tracer("test").start_as_current_span("span"),
    ):
        raise ValueError("of the application")


# --- Several processors ----------------------------------------------------------------------------------------------


class CountingState(TraceState):
    """Counts how often it is encoded, which happens once each time the span is encoded."""

    encoded = 0

    def to_header(self) -> str:
        type(self).encoded += 1
        return super().to_header()


class WithState(Sampler):
    def should_sample(self, *arguments: Any, **keywords: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE, None, CountingState([("vendor", "1")]))

    def get_description(self) -> str:
        return "WithState"


@pytest.mark.parametrize("processors", [1, 2, 4])
def test_several_native_processors_encode_a_span_once(
    http_receiver: Any, grpc_receiver: Any, exporter_to: Any, processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CountingState, "encoded", 0)
    receivers = [http_receiver, grpc_receiver]
    provider = otel_rs.TracerProvider(sampler=WithState(), shutdown_on_exit=False)
    for number in range(processors):
        provider.add_span_processor(BatchSpanProcessor(exporter_to(receivers[number % 2])))
    for _ in range(10):
        with provider.get_tracer("test").start_as_current_span("span", context_api.Context()) as span:
            span.set_attribute("a", 1)
    assert provider.force_flush()
    provider.shutdown()
    spans = http_receiver.spans() + grpc_receiver.spans()
    assert [(span.trace_state, values(span)) for span in spans] == [("vendor=1", {"a": 1})] * 10 * processors
    assert CountingState.encoded == 10


def test_processors_that_are_called_at_once_may_write_the_same_span(
    make_provider_of: Any, http_receiver: Any, exporter_to: Any
) -> None:
    barrier = threading.Barrier(3)

    def write(number: int) -> Callable[[Any], None]:
        def step(span: Any) -> None:
            barrier.wait(DEADLINE_SECONDS)
            for key in range(20):
                span.set_attribute(f"{number}.{key}", number)

        return step

    provider = make_provider_of(
        *(Calling(write(number), "on_start") for number in range(3)),
        BatchSpanProcessor(exporter_to(http_receiver)),
        active_span_processor=sdk.ConcurrentMultiSpanProcessor(num_threads=4),
    )
    provider.get_tracer("test").start_span("span").end()
    assert provider.force_flush()
    (span,) = http_receiver.spans()
    assert values(span) == {f"{number}.{key}": number for number in range(3) for key in range(20)}


@pytest.mark.parametrize("step", CALLS)
def test_the_other_concurrent_processors_get_the_span_when_one_raises(
    memory: InMemorySpanExporter, log: Any, step: str
) -> None:
    def fail(span: Any) -> None:
        raise RuntimeError("no way")

    provider = otel_rs.TracerProvider(
        shutdown_on_exit=False, active_span_processor=sdk.ConcurrentMultiSpanProcessor(num_threads=2)
    )
    provider.add_span_processor(Calling(fail, step))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with provider.get_tracer("test").start_as_current_span("span"):
        pass
    # Upstream's processor does not wait for the others once one has raised.
    wait_until(memory.get_finished_spans, "the span of the other processor")
    provider.shutdown()
    assert [span.name for span in memory.get_finished_spans()] == ["span"]
    (line,) = (line for line in log() if "raised" in line)
    assert f"{step} raised: RuntimeError: no way" in line


# --- Changes while running -------------------------------------------------------------------------------------------


def test_processors_are_added_and_replaced_while_threads_make_spans(provider: Any, http_receiver: Any) -> None:
    from otel_rs.exporter.otlp.http import OTLPSpanExporter

    native = BatchSpanProcessor(OTLPSpanExporter(http_receiver.endpoint), max_queue_size=200_000)
    multi_processor = provider._active_span_processor
    counts = [0] * 4
    failures: list[BaseException] = []
    stop = threading.Event()
    ended: list[int] = []
    constant = Calling(lambda span: ended.append(1), "on_end")
    multi_processor._span_processors = (constant,)

    def work(thread: int) -> None:
        tracer = provider.get_tracer("test")
        while not stop.is_set():
            try:
                with tracer.start_as_current_span("span"):
                    pass
                counts[thread] += 1
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        provider.add_span_processor(Calling(lambda span: None))
        multi_processor._span_processors = (native, constant)
        multi_processor._span_processors = (constant,)
    stop.set()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    native.shutdown()
    assert failures == []
    assert len(ended) == sum(counts)


def test_a_processor_may_remove_itself(make_provider_of: Any, memory: InMemorySpanExporter) -> None:
    def remove(span: Any) -> None:
        provider._active_span_processor._span_processors = (simple,)

    simple = SimpleSpanProcessor(memory)
    provider = make_provider_of(Calling(remove, "on_start"), simple)
    tracer = provider.get_tracer("test")
    tracer.start_span("first").end()
    tracer.start_span("second").end()
    assert [span.name for span in memory.get_finished_spans()] == ["first", "second"]


# --- Batch and simple processors -------------------------------------------------------------------------------------


def test_a_subclass_of_the_batch_processor_sees_every_step(http_receiver: Any, exporter_to: Any, provider: Any) -> None:
    steps = []

    class Watching(BatchSpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            steps.append("on_start")
            super().on_start(span, parent_context)

        def on_end(self, span: Any) -> None:
            steps.append("on_end")
            super().on_end(span)

    processor = Watching(exporter_to(http_receiver))
    provider.add_span_processor(processor)
    provider.get_tracer("test").start_span("span").end()
    assert processor.force_flush()
    assert steps == ["on_start", "on_end"]
    assert len(http_receiver.spans()) == 1


def test_a_method_replaced_on_a_batch_processor_is_called(http_receiver: Any, exporter_to: Any, provider: Any) -> None:
    processor = BatchSpanProcessor(exporter_to(http_receiver))
    seen = []
    processor.on_end = lambda span: seen.append(span.name)
    provider.add_span_processor(processor)
    provider.get_tracer("test").start_span("span").end()
    assert processor.force_flush()
    assert (seen, http_receiver.spans()) == (["span"], [])


class Exporter(SpanExporter):
    def __init__(self, result: Callable[[], Any] = lambda: SpanExportResult.SUCCESS) -> None:
        self.result = result
        self.batches: list[list[Any]] = []
        self.notes: list[Any] = []

    def export(self, spans: Any) -> Any:
        self.batches.append(list(spans))
        self.notes.append((threading.get_ident(), context_api.get_value(_SUPPRESS_INSTRUMENTATION_KEY)))
        return self.result()

    def shutdown(self) -> None:
        self.notes.append("shutdown")


def test_the_simple_processor_derives_from_upstreams() -> None:
    assert issubclass(otel_rs.SimpleSpanProcessor, SimpleSpanProcessor)
    assert otel_rs.SimpleSpanProcessor is otel_rs.trace.export.SimpleSpanProcessor


def test_a_simple_processor_exports_each_span_at_its_end_on_the_same_thread(make_provider_of: Any) -> None:
    exporter = Exporter()
    provider = make_provider_of(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("outer"):
        with provider.get_tracer("test").start_as_current_span("inner"):
            assert exporter.batches == []
        assert len(exporter.batches) == 1
    provider.shutdown()
    assert [[span.name for span in batch] for batch in exporter.batches] == [["inner"], ["outer"]]
    assert exporter.notes == [(threading.get_ident(), True)] * 2 + ["shutdown"]


def test_a_simple_processor_with_an_exporter_that_raises(make_provider_of: Any, log: Any) -> None:
    def fail() -> Any:
        raise RuntimeError("no")

    provider = make_provider_of(SimpleSpanProcessor(Exporter(fail)))
    with provider.get_tracer("test").start_as_current_span("span"):
        pass
    assert log() == ["Exception while exporting Span."]


def test_a_simple_processor_with_a_native_exporter(receiver: Any, exporter_to: Any, make_provider_of: Any) -> None:
    provider = make_provider_of(SimpleSpanProcessor(exporter_to(receiver)))
    with provider.get_tracer("test").start_as_current_span("outer", attributes={"a": [1, {"b": None}]}):
        provider.get_tracer("other").start_span("inner").end()
    assert [span.name for span in receiver.spans()] == ["inner", "outer"]
    assert len(receiver.requests) == 2


def test_a_simple_processor_that_is_shut_down_exports_no_more(
    receiver: Any, exporter_to: Any, make_provider_of: Any, log: Any
) -> None:
    provider = make_provider_of(SimpleSpanProcessor(exporter_to(receiver)))
    provider.shutdown()
    provider.get_tracer("test").start_span("late").end()
    assert receiver.requests == []
    assert "Processor is already shutdown, ignoring call" in log()


def test_the_console_exporter_prints_the_span_as_json(make_provider_of: Any) -> None:
    out = io.StringIO()
    provider = make_provider_of(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
    provider.get_tracer("test").start_span("span", attributes={"a": 1}).end()
    content = json.loads(out.getvalue())
    assert (content["name"], content["attributes"]) == ("span", {"a": 1})
