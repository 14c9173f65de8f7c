"""Sampling: native stock samplers decide as they do in Python; all other samplers are called as in the stock SDK."""

from __future__ import annotations

import inspect
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace._sampling_experimental import (
    ComposableSampler,
    SamplingIntent,
    composable_always_off,
    composable_always_on,
    composable_parent_threshold,
    composable_rule_based,
    composable_traceid_ratio_based,
    composite_sampler,
)
from opentelemetry.sdk.trace._sampling_experimental._rule_based import (
    AllPredicate,
    AttributePatternsPredicate,
    AttributeValuesPredicate,
    ParentPredicate,
    SpanKindPredicate,
)
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    AlwaysRecordSampler,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otel_rs.trace
from otel_rs import BatchSpanProcessor, TracerProvider

from ..support.receiver import DEADLINE_SECONDS
from ..support.span_programs import LOCAL, REMOTE, WITH_STATE

STATE = TraceState([("vendor", "1"), ("other", "2")])
TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C


def parent(*, remote: bool, flags: int, trace_id: int = TRACE_ID, state: TraceState | None = None) -> Any:
    context = SpanContext(trace_id, 7, remote, TraceFlags(flags), state)
    return trace.set_span_in_context(trace.NonRecordingSpan(context), context_api.Context())


PARENTS: dict[str, Any] = {
    "no parent": context_api.Context(),
    "remote, sampled": parent(remote=True, flags=1, state=STATE),
    "remote, not sampled": parent(remote=True, flags=0, state=STATE),
    "local, sampled": parent(remote=False, flags=1, state=STATE),
    "local, not sampled": parent(remote=False, flags=0),
    "remote, sampled and random": parent(remote=True, flags=3),
    "remote, random": parent(remote=True, flags=2),
    "remote, flags of the future": parent(remote=True, flags=0xFE),
}


def outcome(span: Any) -> Any:
    own = span.get_span_context()
    return (
        span.is_recording(),
        own.trace_flags,
        own.trace_state,
        own.is_remote,
        dict(span.attributes) if span.is_recording() else None,
    )


class Ids(RandomIdGenerator):
    """Returns the trace ids of a list, one after another."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = iter(ids)

    def generate_trace_id(self) -> int:
        return next(self.ids)


# --- The stock samplers ----------------------------------------------------------------------------------------------

RECORD_ONLY = StaticSampler(Decision.RECORD_ONLY)

STOCK: dict[str, Sampler] = {
    "always on": ALWAYS_ON,
    "always off": ALWAYS_OFF,
    "record only": RECORD_ONLY,
    "default on": DEFAULT_ON,
    "default off": DEFAULT_OFF,
    "ratio 0": TraceIdRatioBased(0),
    "ratio 0.5": TraceIdRatioBased(0.5),
    "ratio 1": TraceIdRatioBased(1),
    "parent-based ratio 0.5": ParentBasedTraceIdRatio(0.5),
    "parent-based record only": ParentBased(RECORD_ONLY),
    "parent-based on five": ParentBased(TraceIdRatioBased(1), ALWAYS_OFF, ALWAYS_ON, RECORD_ONLY, ALWAYS_OFF),
    "parent-based in parent-based": ParentBased(DEFAULT_OFF, ParentBased(ALWAYS_ON, ALWAYS_OFF), DEFAULT_ON),
    "always record": AlwaysRecordSampler(ALWAYS_OFF),
    "always record of a ratio": AlwaysRecordSampler(ParentBasedTraceIdRatio(0.5)),
}


@pytest.mark.parametrize("context", PARENTS.values(), ids=PARENTS.keys())
@pytest.mark.parametrize("sampler", STOCK.values(), ids=STOCK.keys())
def test_a_stock_sampler_decides_as_in_the_stock_sdk(sampler: Sampler, context: Any) -> None:
    ids = [random.getrandbits(128) for _ in range(20)]

    def outcomes(kind: type[Any]) -> list[Any]:
        tracer = kind(sampler=sampler, shutdown_on_exit=False, id_generator=Ids(ids)).get_tracer("test")
        return [outcome(tracer.start_span("span", context, attributes={"a": 1})) for _ in ids]

    assert outcomes(TracerProvider) == outcomes(sdk.TracerProvider)


EDGES = [
    bits | high
    for high in (1 << 64, (1 << 128) - (1 << 64))
    for bits in (0, 1, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 2, (1 << 64) - 1)
]


@pytest.mark.parametrize("rate", [0.0, 5e-324, 2**-64, 2**-63, 1e-9, 0.1, 1 / 3, 0.5, 0.999, 1 - 2**-53, 1.0])
def test_the_ratio_decides_as_the_stock_sampler_for_every_trace_id(rate: float) -> None:
    sampler = TraceIdRatioBased(rate)
    bound = [limit | 1 << 100 for limit in (sampler.bound - 1, sampler.bound, sampler.bound + 1) if 0 <= limit < 2**64]
    ids = EDGES + bound + [random.getrandbits(128) or 1 for _ in range(2_000)]
    tracer = TracerProvider(sampler=sampler, shutdown_on_exit=False, id_generator=Ids(ids)).get_tracer("test")
    for trace_id in ids:
        expected = sampler.should_sample(context_api.Context(), trace_id, "span").decision
        span = tracer.start_span("span", context_api.Context())
        assert span.get_span_context().trace_id == trace_id
        assert span.is_recording() is expected.is_recording(), hex(trace_id)


@pytest.mark.parametrize(
    "sampler", [s for name, s in STOCK.items() if not name.startswith("always record")], ids=lambda s: type(s).__name__
)
def test_a_stock_sampler_is_not_called(sampler: Sampler, monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*arguments: Any, **keywords: Any) -> Any:
        raise BaseException("called as Python")

    tracer = TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("test")
    for kind in (StaticSampler, TraceIdRatioBased, ParentBased):
        monkeypatch.setattr(kind, "should_sample", called)
    for context in PARENTS.values():
        tracer.start_span("span", context)


@pytest.mark.parametrize("decision", Decision)
@pytest.mark.parametrize("position", range(5))
def test_each_position_of_a_parent_based_sampler(make_provider_of: Any, position: int, decision: Decision) -> None:
    other = ALWAYS_OFF if decision is not Decision.DROP else ALWAYS_ON
    parts = [StaticSampler(decision) if at == position else other for at in range(5)]
    tracer = make_provider_of(sampler=ParentBased(*parts)).get_tracer("test")
    contexts = list(PARENTS.values())[:5]
    spans = [tracer.start_span("span", context) for context in contexts]
    for at, span in enumerate(spans):
        expected = decision if at == position else other._decision  # type: ignore[attr-defined]
        assert span.is_recording() is expected.is_recording()
        assert bool(span.get_span_context().trace_flags.sampled) is expected.is_sampled()


# --- The experimental composite samplers -----------------------------------------------------------------------------

THRESHOLD = "8" + "0" * 13


class Tagging(ComposableSampler):
    """A custom sampler whose intent sets every field."""

    def sampling_intent(self, *arguments: Any, **keywords: Any) -> SamplingIntent:
        return SamplingIntent(0, True, {"tagged": True}, lambda state: state.add("tag", "1"))

    def get_description(self) -> str:
        return "Tagging"


RULES = composable_rule_based(
    [
        (AttributeValuesPredicate("route", ["/health"]), composable_always_off()),
        (AttributePatternsPredicate("route", ["/orders*"]), Tagging()),
        (AllPredicate([SpanKindPredicate([SpanKind.CLIENT]), ParentPredicate(["none"])]), composable_always_on()),
        (ParentPredicate(["local", "remote"]), composable_parent_threshold(composable_always_off())),
    ]
)

COMPOSITE: dict[str, ComposableSampler] = {
    "always on": composable_always_on(),
    "always off": composable_always_off(),
    "ratio 0": composable_traceid_ratio_based(0.0),
    "ratio 0.5": composable_traceid_ratio_based(0.5),
    "parent threshold": composable_parent_threshold(composable_traceid_ratio_based(0.5)),
    "user's own": Tagging(),
    "rules": RULES,
}

COMPOSITE_PARENTS = {
    **PARENTS,
    "with a threshold": parent(remote=True, flags=1, state=TraceState([("ot", "th:8")])),
    "with randomness": parent(remote=True, flags=3, state=TraceState([("ot", f"rv:{THRESHOLD}"), ("a", "1")])),
}


@pytest.mark.parametrize("wrap", [lambda s: s, ParentBased, AlwaysRecordSampler], ids=lambda a: a.__name__)
@pytest.mark.parametrize("context", COMPOSITE_PARENTS.values(), ids=COMPOSITE_PARENTS.keys())
@pytest.mark.parametrize("composable", COMPOSITE.values(), ids=COMPOSITE.keys())
def test_a_composite_sampler_decides_as_in_the_stock_sdk(
    composable: ComposableSampler, context: Any, wrap: Callable[[Sampler], Sampler]
) -> None:
    ids = [random.getrandbits(128) for _ in range(8)]
    sampler = wrap(composite_sampler(composable))

    def outcomes(kind: type[Any]) -> list[Any]:
        provider = kind(sampler=sampler, shutdown_on_exit=False, id_generator=Ids([*ids, *ids, *ids]))
        tracer = provider.get_tracer("test")
        spans = [
            tracer.start_span("span", context, span_kind, attributes=attributes)
            for _ in ids
            for span_kind, attributes in (
                (SpanKind.SERVER, {"route": "/health"}),
                (SpanKind.CLIENT, {"route": "/orders/42"}),
                (SpanKind.CLIENT, None),
            )
        ]
        return [outcome(span) for span in spans]

    assert outcomes(TracerProvider) == outcomes(sdk.TracerProvider)


def test_a_composite_sampler_writes_its_threshold_on_the_wire(http_receiver: Any, provider_to: Any) -> None:
    sampler = composite_sampler(composable_parent_threshold(composable_traceid_ratio_based(0.5)))
    ids = [1 << 127 | 0xFF << 56, 1 << 127 | 1 << 55, 1 << 127]
    provider = provider_to(http_receiver, sampler=sampler, id_generator=Ids(ids))
    for number in range(len(ids)):
        provider.get_tracer("test").start_span(str(number), context_api.Context()).end()
    assert provider.force_flush()
    assert [(span.name, span.trace_state) for span in http_receiver.spans()] == [("1", "ot=th:8")]


# --- From the environment --------------------------------------------------------------------------------------------

ENVIRONMENTS = [
    (name, argument)
    for name in ("always_on", "always_off", "parentbased_always_on", "parentbased_always_off", "ALWAYS_OFF")
    for argument in (None, "0.5")
] + [
    (name, argument)
    for name in ("traceidratio", "parentbased_traceidratio")
    for argument in (None, "0", "0.25", "1", "1.0", "1e-3", "", "x", "-1", "2", "nan", "inf", " 0.5 ")
]
ENVIRONMENTS += [("unknown", None), ("", None), ("jaeger_remote", "endpoint=x")]


@pytest.mark.parametrize(("name", "argument"), ENVIRONMENTS)
def test_the_environments_sampler_is_that_of_the_stock_sdk(
    monkeypatch: pytest.MonkeyPatch, log: Any, name: str, argument: str | None
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    if argument is not None:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    ids = [random.getrandbits(128) for _ in range(200)]

    def result(kind: type[Any]) -> Any:
        provider = kind(shutdown_on_exit=False, id_generator=Ids(ids))
        tracer = provider.get_tracer("test")
        lines = log()
        spans = [tracer.start_span("span", context_api.Context()) for _ in ids]
        return provider.sampler.get_description(), lines, [span.is_recording() for span in spans]

    (ours, our_lines, our_spans), (stock, stock_lines, stock_spans) = result(TracerProvider), result(sdk.TracerProvider)
    assert (ours, our_spans) == (stock, stock_spans)
    # Ours says what is accepted. An empty variable is one that is not set, and so is a share that is not given.
    complains = bool(stock_lines) and name != ""
    assert [("; accepted: " in line) for line in our_lines] == [bool(argument) or "ratio" not in name] * complains


def test_spaces_around_a_samplers_name_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", " always_off ")
    assert not TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span").is_recording()


def test_the_default_follows_the_parent(make_provider_of: Any) -> None:
    tracer = make_provider_of().get_tracer("test")
    recorded = [tracer.start_span("span", context).is_recording() for context in PARENTS.values()]
    assert recorded == [True, True, False, True, False, True, False, False]


def test_an_argument_overrides_the_environment(make_provider_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    provider = make_provider_of(sampler=ALWAYS_ON)
    assert provider.sampler is ALWAYS_ON
    assert provider.get_tracer("test").start_span("span").is_recording()


# --- Custom samplers -------------------------------------------------------------------------------------------------


class CustomSampler(Sampler):
    """Records its calls by the names of upstream's parameters, and returns the answer that it was created with."""

    def __init__(self, answer: Callable[[], Any] = lambda: SamplingResult(Decision.RECORD_AND_SAMPLE)) -> None:
        self.answer = answer
        self.questions: list[dict[str, Any]] = []

    def should_sample(self, *arguments: Any, **keywords: Any) -> Any:
        bound = inspect.signature(Sampler.should_sample).bind(self, *arguments, **keywords)
        bound.apply_defaults()
        del bound.arguments["self"]
        self.questions.append(bound.arguments)
        return self.answer()

    def get_description(self) -> str:
        return "Asked"


LINKS = [Link(LOCAL)]


def start_spans_in_many_ways(tracer: Any) -> None:
    tracer.start_span("plain")
    tracer.start_span("all", PARENTS["remote, sampled"], SpanKind.SERVER, {"a": [1]}, LINKS)
    tracer.start_span("named", kind=SpanKind.CLIENT, attributes={}, links=())
    tracer.start_span("nothing", None, attributes=None, links=None)
    with trace.use_span(trace.NonRecordingSpan(REMOTE)):
        tracer.start_span("current")
    with tracer.start_as_current_span("block", kind=SpanKind.PRODUCER, attributes={"b": 2}):
        pass


@pytest.mark.parametrize(
    "wrap",
    [lambda s: s, ParentBased, lambda s: ParentBased(ALWAYS_OFF, s, s, s, s), lambda s: ParentBased(ParentBased(s))],
    ids=["alone", "root of a parent-based", "below a parent", "nested twice"],
)
def test_a_custom_sampler_gets_the_same_arguments_as_in_the_stock_sdk(wrap: Callable[[Sampler], Sampler]) -> None:
    def questions(kind: type[Any]) -> list[dict[str, Any]]:
        sampler = CustomSampler()
        ids = Ids(list(range(1, 10)))
        start_spans_in_many_ways(
            kind(sampler=wrap(sampler), shutdown_on_exit=False, id_generator=ids).get_tracer("test")  # type: ignore
        )
        return sampler.questions

    expected = questions(sdk.TracerProvider)
    assert expected
    assert questions(TracerProvider) == expected


def test_the_samplers_attributes_become_the_spans(make_provider_of: Any) -> None:
    """They replace the initial attributes: a sampler that wants to keep those returns them, too."""
    answers = iter(
        [
            SamplingResult(Decision.RECORD_AND_SAMPLE, {"sampler": "x", "list": [1]}),
            SamplingResult(Decision.RECORD_ONLY, {"sampler": "y"}),
            SamplingResult(Decision.RECORD_AND_SAMPLE),
            SamplingResult(Decision.DROP, {"sampler": "z"}),
        ]
    )
    tracer = make_provider_of(sampler=CustomSampler(lambda: next(answers))).get_tracer("test")
    spans = [tracer.start_span("span", attributes={"given": 1}) for _ in range(4)]
    assert [dict(span.attributes) for span in spans[:3]] == [{"sampler": "x", "list": (1,)}, {"sampler": "y"}, {}]
    assert not spans[3].is_recording()


@pytest.mark.parametrize("decision", Decision)
def test_the_samplers_trace_state_goes_to_the_span_and_its_children(make_provider_of: Any, decision: Decision) -> None:
    sampler = CustomSampler(lambda: SamplingResult(decision, None, STATE))
    tracer = make_provider_of(sampler=ParentBased(sampler)).get_tracer("test")
    with tracer.start_as_current_span("root") as root:
        child = tracer.start_span("child")
    assert root.get_span_context().trace_state == STATE
    assert child.get_span_context().trace_state == STATE
    assert child.is_recording() is decision.is_sampled()


def test_the_samplers_attributes_and_trace_state_are_exported(receiver: Any, provider_to: Any) -> None:
    sampler = ParentBased(
        CustomSampler(
            lambda: SamplingResult(Decision.RECORD_AND_SAMPLE, {"sampler.rule": "all", "sampler.rate": 0.5}, STATE)
        )
    )
    provider = provider_to(receiver, sampler=sampler)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("root"):
        tracer.start_span("child", attributes={"own": "x"}).end()
    assert provider.force_flush()
    child, root = receiver.spans()
    assert [(attribute.key, attribute.value.WhichOneof("value")) for attribute in root.attributes] == [
        ("sampler.rule", "string_value"),
        ("sampler.rate", "double_value"),
    ]
    assert [attribute.key for attribute in child.attributes] == ["own"]
    assert root.trace_state == child.trace_state == "vendor=1,other=2"


def test_a_sampling_result_without_trace_state_removes_the_parents(make_provider_of: Any) -> None:
    tracer = make_provider_of(sampler=CustomSampler()).get_tracer("test")
    span = tracer.start_span("span", trace.set_span_in_context(trace.NonRecordingSpan(WITH_STATE)))
    assert span.get_span_context().trace_state == TraceState()


def test_a_subclass_of_a_stock_sampler_is_called(make_provider_of: Any) -> None:
    class Never(ParentBased):
        def should_sample(self, *arguments: Any, **keywords: Any) -> SamplingResult:
            return SamplingResult(Decision.DROP)

    class Rarely(TraceIdRatioBased):
        def should_sample(self, *arguments: Any, **keywords: Any) -> SamplingResult:
            return SamplingResult(Decision.DROP)

    for sampler in (Never(ALWAYS_ON), Rarely(1.0), ParentBased(Rarely(1.0))):
        assert not make_provider_of(sampler=sampler).get_tracer("test").start_span("span").is_recording()


def test_spans_that_a_sampler_starts(make_provider_of: Any) -> None:
    class Starts(CustomSampler):
        def should_sample(self, *arguments: Any, **keywords: Any) -> SamplingResult:
            if arguments[2] == "outer":
                tracer.start_span("inner").end()
            return super().should_sample(*arguments, **keywords)

    sampler = Starts()
    tracer = make_provider_of(sampler=sampler).get_tracer("test")
    tracer.start_span("outer").end()
    assert [question["name"] for question in sampler.questions] == ["inner", "outer"]


def raises(error: BaseException) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


@pytest.mark.parametrize(
    "answer",
    [raises(RuntimeError("no idea")), lambda: None, lambda: "yes", lambda: SamplingResult("yes")],  # type: ignore
    ids=["raises", "None", "text", "no decision"],
)
@pytest.mark.parametrize("wrap", [lambda s: s, ParentBased], ids=["alone", "within a parent-based"])
def test_a_sampler_without_a_valid_answer_drops_the_span_and_is_logged(
    provider: Any, memory: InMemorySpanExporter, log: Any, answer: Callable[[], Any], wrap: Callable[[Any], Any]
) -> None:
    tracer = provider.get_tracer("test")
    tracer.sampler = wrap(CustomSampler(answer))
    with tracer.start_as_current_span("span", context_api.Context()) as span:
        assert not span.is_recording()
        assert span.get_span_context().is_valid
    (line,) = log()
    assert "sampler" in line
    assert "\n" not in line
    assert memory.get_finished_spans() == ()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_sampler_reaches_the_application(make_provider_of: Any, error: Any) -> None:
    tracer = make_provider_of(sampler=CustomSampler(raises(error()))).get_tracer("test")
    with pytest.raises(error):
        tracer.start_span("span")
    with pytest.raises(error), tracer.start_as_current_span("span"):
        pass
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_tracers_sampler_can_be_replaced_while_running(make_provider_of: Any) -> None:
    tracer = make_provider_of(sampler=ALWAYS_ON).get_tracer("test")
    sampler = CustomSampler(lambda: SamplingResult(Decision.RECORD_ONLY))
    outcomes = []
    for replacement in (ALWAYS_OFF, sampler, TraceIdRatioBased(0), ALWAYS_ON):
        tracer.sampler = replacement
        assert tracer.sampler is replacement
        span = tracer.start_span("span")
        outcomes.append((span.is_recording(), bool(span.get_span_context().trace_flags.sampled)))
    assert outcomes == [(False, False), (True, False), (False, False), (True, True)]


def test_a_sampler_is_replaced_while_threads_start_spans(provider: Any) -> None:
    tracer = provider.get_tracer("test")
    stop = threading.Event()
    failures = []

    def work() -> None:
        while not stop.is_set():
            try:
                tracer.start_span("span", context_api.Context()).end()
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(500):
        for sampler in (ALWAYS_OFF, ParentBased(CustomSampler()), TraceIdRatioBased(0.5)):
            tracer.sampler = sampler
    stop.set()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert failures == []


# --- Spans that are not sampled --------------------------------------------------------------------------------------


class Counts(SpanProcessor):
    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.started.append(span.name)

    def on_end(self, span: Any) -> None:
        self.ended.append(span.name)


def test_a_dropped_span_is_seen_by_no_processor(make_provider_of: Any, memory: InMemorySpanExporter) -> None:
    counts = Counts()
    tracer = make_provider_of(counts, SimpleSpanProcessor(memory), sampler=ALWAYS_OFF).get_tracer("test")
    with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
        pass
    assert (counts.started, counts.ended, memory.get_finished_spans()) == ([], [], ())


def test_a_span_that_is_only_recorded_is_seen_by_processors_and_not_exported(
    make_provider_of: Any, memory: InMemorySpanExporter
) -> None:
    counts = Counts()
    tracer = make_provider_of(counts, SimpleSpanProcessor(memory), sampler=RECORD_ONLY).get_tracer("test")
    with tracer.start_as_current_span("span", attributes={"a": 1}) as span:
        span.set_attribute("b", 2)
        assert span.is_recording()
    assert dict(span.attributes) == {"a": 1, "b": 2}
    assert not span.get_span_context().trace_flags.sampled
    assert (counts.started, counts.ended, memory.get_finished_spans()) == (["span"], ["span"], ())


def test_always_record_shows_processors_every_span_and_exports_the_sampled_ones(
    make_provider_of: Any, receiver: Any, exporter_to: Any
) -> None:
    counts = Counts()
    sampler = AlwaysRecordSampler(ParentBased(ALWAYS_ON, remote_parent_not_sampled=ALWAYS_OFF))
    provider = make_provider_of(counts, BatchSpanProcessor(exporter_to(receiver)), sampler=sampler)
    tracer = provider.get_tracer("test")
    for name, context in (("sampled", PARENTS["no parent"]), ("not sampled", PARENTS["remote, not sampled"])):
        with tracer.start_as_current_span(name, context) as span:
            assert span.is_recording()
            tracer.start_span(f"child of {name}").end()
    assert provider.force_flush()
    assert counts.started == ["sampled", "child of sampled", "not sampled", "child of not sampled"]
    assert counts.ended == ["child of sampled", "sampled", "child of not sampled", "not sampled"]
    assert [span.name for span in receiver.spans()] == ["child of sampled", "sampled"]


def test_children_of_a_dropped_span_get_its_context(make_provider_of: Any) -> None:
    tracer = make_provider_of(sampler=ALWAYS_OFF).get_tracer("test")
    with tracer.start_as_current_span("outer") as outer:
        assert trace.get_current_span() is outer
        with tracer.start_as_current_span("inner") as inner:
            carrier: dict[str, str] = {}
            TraceContextTextMapPropagator().inject(carrier)
    own, parents = inner.get_span_context(), outer.get_span_context()
    assert own.is_valid
    assert own.trace_id == parents.trace_id
    assert own.span_id != parents.span_id
    assert carrier["traceparent"] == f"00-{own.trace_id:032x}-{own.span_id:016x}-02"


def test_a_dropped_span_of_a_remote_parent_stays_in_its_trace(make_provider_of: Any) -> None:
    tracer = make_provider_of(sampler=ALWAYS_OFF).get_tracer("test")
    own = tracer.start_span("span", PARENTS["remote, sampled"]).get_span_context()
    assert (own.trace_id, own.trace_state, own.trace_flags, own.is_remote) == (TRACE_ID, STATE, 0, False)


def test_every_call_on_a_dropped_span_does_nothing(make_provider_of: Any) -> None:
    span = make_provider_of(sampler=ALWAYS_OFF).get_tracer("test").start_span("span", attributes={"a": 1})
    assert isinstance(span, trace.Span)
    assert isinstance(span, trace.NonRecordingSpan)
    assert not isinstance(span, sdk.ReadableSpan)
    assert not span.is_recording()
    assert span.set_attribute(key="a", value=object()) is None
    assert span.set_attributes(attributes={"a": 1}) is None
    assert span.add_event("event", {"a": 1}, 5) is None
    assert span.add_event(name="event", attributes={"a": 1}, timestamp=5) is None
    assert span.add_link(context=LOCAL, attributes={"a": 1}) is None
    assert span.update_name(name="other") is None
    assert span.set_status(status=StatusCode.ERROR, description="text") is None
    assert span.record_exception(exception=ValueError(), attributes={}, timestamp=1, escaped=True) is None
    assert span.end(end_time=5) is None
    assert span.end() is None
    assert span.get_span_context() == span.get_span_context()
    assert repr(span) == repr(trace.NonRecordingSpan(span.get_span_context()))


def test_a_dropped_span_has_our_class(provider: Any) -> None:
    tracer = provider.get_tracer("test")
    tracer.sampler = ALWAYS_OFF
    assert type(tracer.start_span("span")) is otel_rs.trace.NonRecordingSpan


def test_exceptions_pass_through_a_dropped_span(make_provider_of: Any) -> None:
    tracer = make_provider_of(sampler=ALWAYS_OFF).get_tracer("test")
    for block in (tracer.start_as_current_span("span"), tracer.start_span("span")):
        with pytest.raises(ValueError, match="wrong"), block:
            raise ValueError("wrong")
    for block in (tracer.start_as_current_span("span"), tracer.start_span("span")):
        with block as span:
            assert not span.is_recording()
    assert trace.get_current_span() is trace.INVALID_SPAN
