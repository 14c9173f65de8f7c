"""The provider: tracers by scope, processors, resource, shutdown, private attributes that others use."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource, ResourceDetector, get_aggregated_resources
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

import otel_rs
from otel_rs import TracerProvider

from ..support.receiver import DEADLINE_SECONDS
from ..support.span_programs import LOCAL, REMOTE


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


def names(memory: InMemorySpanExporter) -> list[str]:
    return [span.name for span in memory.get_finished_spans()]


class Steps(SpanProcessor):
    """Records its calls, each with the processor's name as prefix."""

    def __init__(self, name: str = "", steps: list[str] | None = None) -> None:
        self.name = name
        self.steps: list[str] = [] if steps is None else steps

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.steps.append(f"{self.name}start {span.name}")

    def on_end(self, span: Any) -> None:
        self.steps.append(f"{self.name}end {span.name}")

    def shutdown(self) -> None:
        self.steps.append(f"{self.name}shutdown")


# --- Tracers by scope ------------------------------------------------------------------------------------------------

SCOPES: list[dict[str, Any]] = [
    {},
    {"instrumenting_library_version": "1"},
    {"instrumenting_library_version": ""},
    {"instrumenting_library_version": None},
    {"instrumenting_library_version": "1", "schema_url": "https://a"},
    {"schema_url": ""},
    {"schema_url": None},
    {"schema_url": "https://a"},
    {"attributes": {}},
    {"attributes": None},
    {"attributes": {"a": 1}},
    {"attributes": {"a": True}},
    {"attributes": {"a": 2}},
    {"attributes": {"b": 2, "a": 1}},
    {"attributes": {"a": 1, "b": 2}},
    {"attributes": {"a": [1, 2]}},
    {"attributes": {"a": (1, 2)}},
    {"schema_url": "https://a", "attributes": {"a": 1}},
]


def test_equal_scopes_share_a_tracer_as_in_the_stock_sdk() -> None:
    def groups(kind: type[Any]) -> list[int]:
        provider = kind(shutdown_on_exit=False)
        tracers: list[Any] = []
        for _ in range(2):
            tracers += [provider.get_tracer(name, **scope) for name in ("a", "b") for scope in SCOPES]
        return [next(at for at, other in enumerate(tracers) if other is tracer) for tracer in tracers]

    assert groups(TracerProvider) == groups(sdk.TracerProvider)


def test_a_missing_version_is_an_empty_string(make_provider_of: Any) -> None:
    provider = make_provider_of()
    tracer = provider.get_tracer("a")
    assert provider.get_tracer("a", "") is tracer
    assert provider.get_tracer("a", None, None, None) is tracer
    assert provider.get_tracer("a", "1") is not tracer


def test_the_scope_is_on_the_spans(make_provider_of: Any) -> None:
    provider = make_provider_of()
    for scope in SCOPES:
        scope_of_span = provider.get_tracer("library", **scope).start_span("span").instrumentation_scope
        assert scope_of_span.name == "library"
        assert scope_of_span.version == (scope.get("instrumenting_library_version") or "")
        assert scope_of_span.schema_url == (scope.get("schema_url") or "")
        assert len(scope_of_span.attributes) == len(scope.get("attributes") or {})


def test_tracers_of_two_providers_differ(make_provider_of: Any) -> None:
    assert make_provider_of().get_tracer("a") is not make_provider_of().get_tracer("a")


@pytest.mark.parametrize("name", ["", None])
def test_a_tracer_without_a_name_works_and_is_logged_every_time(make_provider_of: Any, log: Any, name: Any) -> None:
    provider = make_provider_of()
    first = provider.get_tracer(name)
    assert provider.get_tracer(name) is first
    assert log() == ["get_tracer called with missing module name."] * 2
    assert first.start_span("span").instrumentation_scope.name == ""


def test_threads_that_call_get_tracer_at_once_get_the_same_tracer(provider: Any) -> None:
    start = threading.Barrier(8)
    tracers: list[Any] = []

    def ask() -> None:
        start.wait(DEADLINE_SECONDS)
        tracers.extend([provider.get_tracer("a", "1"), provider.get_tracer("a", "1", attributes={"k": 1})])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert len(tracers) == 16
    assert len({id(tracer) for tracer in tracers}) == 2


@pytest.mark.parametrize("value", ["true", "TRUE", " true ", "false", "1", ""])
def test_the_disabled_sdk_returns_tracers_that_do_nothing(
    make_provider_of: Any, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", value)
    steps = Steps()
    tracer = make_provider_of(steps).get_tracer("a")
    disabled = value.strip().lower() == "true"
    with tracer.start_as_current_span("span") as span:
        assert span.is_recording() is not disabled
    assert isinstance(tracer, trace.NoOpTracer) is disabled
    assert bool(steps.steps) is not disabled


def test_the_sdk_is_disabled_when_the_provider_is_created(
    make_provider_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = make_provider_of()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert provider.get_tracer("a").start_span("span").is_recording()


# --- Processors ------------------------------------------------------------------------------------------------------


def test_a_processor_that_is_added_late_gets_the_spans_of_earlier_tracers(make_provider_of: Any) -> None:
    provider = make_provider_of()
    tracer = provider.get_tracer("a")
    steps = Steps()
    open_span = tracer.start_span("open")
    provider.add_span_processor(steps)
    tracer.start_span("new").end()
    open_span.end()
    assert steps.steps == ["start new", "end new", "end open"]


class Flushes(SpanProcessor):
    def __init__(self, result: bool | None = True, seconds: float = 0) -> None:
        self.result, self.seconds, self.timeouts = result, seconds, list[int]()

    def force_flush(self, timeout_millis: int = 30_000) -> Any:
        self.timeouts.append(timeout_millis)
        threading.Event().wait(self.seconds)
        return self.result


def test_a_flush_reaches_every_processor(make_provider_of: Any) -> None:
    first, second = Flushes(), Flushes()
    assert make_provider_of(first, second).force_flush(5_000) is True
    assert 0 < second.timeouts[0] <= first.timeouts[0] <= 5_000


def test_a_flush_that_one_processor_fails_reaches_the_others_and_is_false(make_provider_of: Any) -> None:
    processors = [Flushes(), Flushes(False), Flushes(None), Flushes()]
    assert make_provider_of(*processors).force_flush() is False
    assert [len(processor.timeouts) for processor in processors] == [1] * 4


def test_a_flush_shares_its_time_among_the_processors(make_provider_of: Any) -> None:
    slow, late = Flushes(seconds=0.1), Flushes()
    assert make_provider_of(slow, late).force_flush(50) is False
    assert late.timeouts == []


def test_a_flush_without_processors_is_done(make_provider_of: Any) -> None:
    assert make_provider_of().force_flush() is True


ACTIVE = {
    "none": lambda: None,
    "ours": otel_rs.trace.SynchronousMultiSpanProcessor,
    "stock": sdk.SynchronousMultiSpanProcessor,
    "concurrent": sdk.ConcurrentMultiSpanProcessor,
    "concurrent with many threads": lambda: sdk.ConcurrentMultiSpanProcessor(num_threads=4),
}


@pytest.mark.parametrize("make", ACTIVE.values(), ids=ACTIVE.keys())
def test_the_multi_processor_can_be_passed(
    make: Callable[[], Any], make_provider_of: Any, memory: InMemorySpanExporter
) -> None:
    active = make()
    steps = Steps()
    provider = make_provider_of(steps, SimpleSpanProcessor(memory), active_span_processor=active)
    if active is not None:
        assert provider._active_span_processor is active
    tracer = provider.get_tracer("a")
    with tracer.start_as_current_span("outer", attributes={"a": 1}), tracer.start_as_current_span("inner"):
        pass
    assert provider.force_flush()
    assert names(memory) == ["inner", "outer"]
    assert steps.steps == ["start outer", "start inner", "end inner", "end outer"]
    provider.shutdown()
    assert steps.steps[-1] == "shutdown"


def test_processors_added_to_the_multi_processor_before_the_provider_exists_are_called(make_provider_of: Any) -> None:
    steps = Steps()
    for kind in (sdk.SynchronousMultiSpanProcessor, otel_rs.trace.SynchronousMultiSpanProcessor):
        active = kind()
        active.add_span_processor(steps)
        make_provider_of(active_span_processor=active).get_tracer("a").start_span("span").end()
    assert steps.steps == ["start span", "end span"] * 2


def test_a_custom_multi_processor_is_called(make_provider_of: Any) -> None:
    class MultiProcessor(sdk.SynchronousMultiSpanProcessor):
        ended = 0

        def on_end(self, span: Any) -> None:
            MultiProcessor.ended += 1
            super().on_end(span)

    MultiProcessor.ended = 0
    steps = Steps()
    make_provider_of(steps, active_span_processor=MultiProcessor()).get_tracer("a").start_span("span").end()
    assert (MultiProcessor.ended, steps.steps) == (1, ["start span", "end span"])


def test_a_subclass_of_our_multi_processor_is_called() -> None:
    ended = []

    class MultiProcessor(otel_rs.trace.SynchronousMultiSpanProcessor):
        def on_end(self, span: Any) -> None:
            ended.append(span.name)
            super().on_end(span)

    provider = TracerProvider(shutdown_on_exit=False, active_span_processor=MultiProcessor())
    steps = Steps()
    provider.add_span_processor(steps)
    provider.get_tracer("a").start_span("span").end()
    assert steps.steps == ["start span", "end span"]
    assert ended == ["span"]


def test_two_providers_may_share_a_multi_processor(make_provider_of: Any) -> None:
    active, steps = otel_rs.trace.SynchronousMultiSpanProcessor(), Steps()
    first, second = (make_provider_of(active_span_processor=active) for _ in range(2))
    first.add_span_processor(steps)
    second.get_tracer("a").start_span("span").end()
    assert steps.steps == ["start span", "end span"]


# --- Private attributes of a provider that other packages use --------------------------------------------------------


def test_the_processors_can_be_listed(make_provider_of: Any) -> None:
    first, second = Steps(), Steps()
    provider = make_provider_of(first, second)
    assert provider._active_span_processor._span_processors == (first, second)


def test_the_processors_can_be_replaced(make_provider_of: Any) -> None:
    """Tests and other distributions do this to remove the exporters of a running program."""
    old, new = Steps(), Steps()
    provider = make_provider_of(old)
    tracer = provider.get_tracer("a")
    open_span = tracer.start_span("open")
    provider._active_span_processor._span_processors = (new,)
    tracer.start_span("span").end()
    open_span.end()
    provider._active_span_processor._span_processors = ()
    tracer.start_span("nowhere").end()
    assert (old.steps, new.steps) == (["start open"], ["start span", "end span", "end open"])


def test_a_native_processor_can_be_removed(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    (processor,) = provider._active_span_processor._span_processors
    tracer = provider.get_tracer("a")
    tracer.start_span("kept").end()
    provider._active_span_processor._span_processors = ()
    tracer.start_span("lost").end()
    assert processor.force_flush()
    assert [span.name for span in http_receiver.spans()] == ["kept"]
    provider._active_span_processor._span_processors = (processor,)


def test_the_multi_processor_can_be_replaced_for_later_tracers(make_provider_of: Any) -> None:
    old, new = Steps(), Steps()
    provider = make_provider_of(old)
    earlier = provider.get_tracer("earlier")
    provider._active_span_processor = sdk.SynchronousMultiSpanProcessor()
    provider.add_span_processor(new)
    earlier.start_span("earlier").end()
    provider.get_tracer("later").start_span("later").end()
    assert (old.steps, new.steps) == (["start earlier", "end earlier"], ["start later", "end later"])


@pytest.mark.parametrize("attribute", ["sampler", "id_generator", "resource"])
def test_a_provider_exposes_its_parts(make_provider_of: Any, attribute: str) -> None:
    provider = make_provider_of()
    assert getattr(provider.get_tracer("a"), attribute) is getattr(provider, attribute)


def test_it_is_an_instance_of_the_api_and_sdk_provider_classes(provider: Any) -> None:
    for kind in (trace.TracerProvider, sdk.TracerProvider, otel_rs.trace.TracerProvider):
        assert isinstance(provider, kind)
    for kind in (trace.Tracer, sdk.Tracer, otel_rs.trace.Tracer):
        assert isinstance(provider.get_tracer("a"), kind)


def test_a_subclass(kind: type[Any], memory: InMemorySpanExporter) -> None:
    class Provider(kind):  # type: ignore[misc]
        def __init__(self, service: str) -> None:
            super().__init__(resource=Resource({"service.name": service}), shutdown_on_exit=False)
            self.asked: list[str] = []

        def get_tracer(self, *arguments: Any, **keywords: Any) -> Any:
            self.asked.append(arguments[0])
            return super().get_tracer(*arguments, **keywords)

    provider = Provider("shop")
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("a", "1").start_span("span").end()
    (span,) = memory.get_finished_spans()
    assert span.resource.attributes["service.name"] == "shop"
    assert provider.asked == ["a"]
    provider.shutdown()


GLOBAL = """
import importlib, sys
from opentelemetry import trace
early = trace.get_tracer("early")
@early.start_as_current_span("decorated")
def function():
    return trace.get_current_span()
module, name = sys.argv[1].rsplit(".", 1)
provider = getattr(importlib.import_module(module), name)(shutdown_on_exit=False)
trace.set_tracer_provider(provider)
assert trace.get_tracer_provider() is provider
with early.start_as_current_span("outer") as outer:
    inner = function()
    with trace.get_tracer("late").start_as_current_span("late") as late:
        pass
for span in (outer, inner, late):
    print(type(span).__module__.split(".")[0], span.name, span.parent and span.parent.span_id == outer.context.span_id,
          span.end_time is not None)
"""


def test_as_the_global_provider_it_serves_tracers_created_before_it(kind: type[Any]) -> None:
    done = run(GLOBAL, f"{kind.__module__}.{kind.__name__}")
    module = {sdk.TracerProvider: "opentelemetry", TracerProvider: "otel_rs"}[kind]
    assert done.stdout.splitlines() == [
        f"{module} outer None True",
        f"{module} decorated True True",
        f"{module} late True True",
    ], done.stderr


# --- Disabling tracers by a configurator -----------------------------------------------------------------------------


def disabling(*disabled: str) -> Callable[[Any], sdk._TracerConfig]:
    return lambda scope: sdk._TracerConfig(is_enabled=scope.name not in disabled)


def test_a_configurator_disables_scopes(make_provider_of: Any) -> None:
    steps = Steps()
    provider = make_provider_of(steps, _tracer_configurator=disabling("off"))
    provider.get_tracer("on").start_span("on").end()
    provider.get_tracer("off").start_span("off").end()
    assert steps.steps == ["start on", "end on"]


def test_a_scope_can_be_disabled_and_enabled_while_running(make_provider_of: Any) -> None:
    steps = Steps()
    provider = make_provider_of(steps)
    tracer, other = provider.get_tracer("a"), provider.get_tracer("b")
    open_span = tracer.start_span("open")
    provider._set_tracer_configurator(tracer_configurator=disabling("a", "late"))
    assert not tracer._is_enabled()
    tracer.start_span("lost").end()
    provider.get_tracer("late").start_span("lost").end()
    other.start_span("b").end()
    open_span.end()
    provider._set_tracer_configurator(tracer_configurator=disabling())
    tracer.start_span("again").end()
    assert steps.steps == ["start open", "start b", "end b", "end open", "start again", "end again"]


@pytest.mark.parametrize("parent", [None, LOCAL, REMOTE], ids=["no parent", "local", "remote"])
def test_a_disabled_tracer_passes_the_parent_on(make_provider_of: Any, parent: Any) -> None:
    tracer = make_provider_of(_tracer_configurator=disabling("a")).get_tracer("a")
    context = trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent else None
    span = tracer.start_span("span", context)
    assert isinstance(span, trace.NonRecordingSpan)
    assert not span.is_recording()
    assert span.get_span_context() == (parent or trace.INVALID_SPAN_CONTEXT)
    with tracer.start_as_current_span("span", context) as span:
        assert trace.get_current_span() is span
        span.set_attribute("a", 1)


def test_changed_rules_apply_once_the_configurator_is_set_again(
    make_provider_of: Any, memory: InMemorySpanExporter
) -> None:
    off = sdk._TracerConfig(is_enabled=False)
    configurator = sdk._RuleBasedTracerConfigurator(
        rules=[(lambda scope: scope.name.startswith("noisy."), off)], default_config=sdk._TracerConfig.default()
    )
    provider = make_provider_of(SimpleSpanProcessor(memory), _tracer_configurator=configurator)
    tracers = [provider.get_tracer(name) for name in ("noisy.a", "quiet.b")]

    def enabled() -> list[bool]:
        memory.clear()
        for tracer in tracers:
            tracer.start_span(tracer._instrumentation_scope.name).end()
        return [tracer._instrumentation_scope.name in names(memory) for tracer in tracers]

    assert enabled() == [False, True]
    configurator.update_rules([(lambda scope: scope.name == "quiet.b", off)])
    assert enabled() == [False, True]
    provider._set_tracer_configurator(tracer_configurator=configurator)
    assert enabled() == [True, False]
    provider._set_tracer_configurator(tracer_configurator=sdk._disable_tracer_configurator)
    assert enabled() == [False, False]


def test_a_scope_that_is_disabled_within_a_block_keeps_its_open_spans(
    make_provider_of: Any, memory: InMemorySpanExporter
) -> None:
    provider = make_provider_of(SimpleSpanProcessor(memory))
    tracer, other = provider.get_tracer("a"), provider.get_tracer("b")
    with tracer.start_as_current_span("outer") as outer:
        provider._set_tracer_configurator(tracer_configurator=disabling("a"))
        outer.set_attribute("written", "while disabled")
        with tracer.start_as_current_span("lost") as lost:
            assert lost.get_span_context() == outer.get_span_context()
            other.start_span("inner").end()
    inner, ended = memory.get_finished_spans()
    assert (inner.name, ended.name) == ("inner", "outer")
    assert inner.parent == ended.context
    assert dict(ended.attributes) == {"written": "while disabled"}


def test_scopes_are_disabled_while_threads_make_spans(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    stop = threading.Event()
    recorded = [0] * 3
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        tracer = provider.get_tracer(f"scope {thread}")
        while not stop.is_set():
            try:
                with tracer.start_as_current_span("span") as span:
                    recorded[thread] += span.is_recording()
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        provider._set_tracer_configurator(tracer_configurator=sdk._disable_tracer_configurator)
        provider._set_tracer_configurator(tracer_configurator=disabling("scope 0"))
    stop.set()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    (processor,) = provider._active_span_processor._span_processors
    assert failures == []
    assert processor.counts()["created"] == sum(recorded)


def test_a_configurator_that_raises_disables_nothing(make_provider_of: Any, log: Any) -> None:
    def configurator(scope: Any) -> Any:
        raise RuntimeError("no")

    provider = make_provider_of(_tracer_configurator=configurator)
    assert provider.get_tracer("a").start_span("span").is_recording()
    assert any("Failed to create a Tracer Config" in line for line in log())


# --- Resource --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "shop"},
        {"OTEL_RESOURCE_ATTRIBUTES": "service.name=other,deployment.environment=test%20one"},
        {"OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,a=b"},
    ],
    ids=["nothing set", "service name", "attributes", "both"],
)
def test_the_default_resource_is_that_of_the_stock_sdk(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], memory: InMemorySpanExporter
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    expected = sdk.TracerProvider(shutdown_on_exit=False).resource
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("a").start_span("span").end()
    (span,) = memory.get_finished_spans()
    assert provider.resource == span.resource == expected
    assert provider.resource.attributes["telemetry.sdk.language"] == "python"


def test_a_resource_argument_is_used_unchanged(make_provider_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    resource = Resource({"a": 1})
    provider = make_provider_of(resource=resource)
    assert provider.resource is resource
    assert provider.get_tracer("a").start_span("span").resource is resource


class Detector(ResourceDetector):
    def __init__(self, answer: Callable[[], Resource], raise_on_error: bool = False) -> None:
        super().__init__(raise_on_error)
        self.answer = answer

    def detect(self) -> Resource:
        return self.answer()


def test_detected_resources_are_merged_and_exported(
    make_provider_of: Any, receiver: Any, exporter_to: Any, log: Any
) -> None:
    def fail() -> Resource:
        raise RuntimeError("no cloud here")

    found = [
        Detector(lambda: Resource({"cloud": "x", "shared": "first"}, "https://schema")),
        Detector(fail),
        Detector(lambda: Resource({"host": "y", "shared": "second", "list": ["a", "b"]})),
    ]
    resource = get_aggregated_resources(found, Resource({"service.name": "shop", "cloud": "initial"}))
    assert any("Detector" in line for line in log())
    provider = make_provider_of(otel_rs.BatchSpanProcessor(exporter_to(receiver)), resource=resource)
    provider.get_tracer("a").start_span("span").end()
    assert provider.force_flush()
    (resource_spans,) = receiver.requests[0].message.resource_spans
    got = {attribute.key: attribute.value for attribute in resource_spans.resource.attributes}
    assert {key: value.string_value for key, value in got.items() if key != "list"} == {
        "service.name": "shop",
        "cloud": "x",
        "shared": "second",
        "host": "y",
    }
    assert [item.string_value for item in got["list"].array_value.values] == ["a", "b"]
    assert resource_spans.schema_url == "https://schema"


def test_detectors_named_by_the_environment_are_asked(
    monkeypatch: pytest.MonkeyPatch, receiver: Any, exporter_to: Any
) -> None:
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "otel,process,os")
    expected = sdk.TracerProvider(shutdown_on_exit=False).resource
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(otel_rs.BatchSpanProcessor(exporter_to(receiver)))
    provider.get_tracer("a").start_span("span").end()
    assert provider.force_flush()
    provider.shutdown()
    (resource_spans,) = receiver.requests[0].message.resource_spans
    keys = {attribute.key for attribute in resource_spans.resource.attributes}
    assert keys == set(expected.attributes)
    assert {"process.pid", "os.type"} <= keys


def test_a_changed_resource_is_on_later_spans(make_provider_of: Any) -> None:
    """Upstream changes the resource in a forked child."""
    provider = make_provider_of(resource=Resource({"a": 1}))
    tracer = provider.get_tracer("a")
    tracer.start_span("before").end()
    provider._update_resource(Resource({"b": 2}))
    assert dict(tracer.start_span("after").resource.attributes) == {"a": 1, "b": 2}
    assert dict(provider.get_tracer("new").start_span("after").resource.attributes) == {"a": 1, "b": 2}


# --- Shutdown --------------------------------------------------------------------------------------------------------


def test_shutdown_reaches_every_processor_in_order(make_provider_of: Any) -> None:
    steps: list[str] = []
    make_provider_of(Steps("a ", steps), Steps("b ", steps)).shutdown()
    assert steps == ["a shutdown", "b shutdown"]


def test_a_tracer_can_be_used_after_shutdown(make_provider_of: Any, memory: InMemorySpanExporter) -> None:
    provider = make_provider_of(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("a")
    with tracer.start_as_current_span("open"):
        provider.shutdown()
    tracer.start_span("late").end()
    assert names(memory) == []


EXIT = """
import importlib, sys
from opentelemetry.sdk.trace import SpanProcessor
class PrintsShutdown(SpanProcessor):
    def shutdown(self):
        print("shut down")
module, name = sys.argv[1].rsplit(".", 1)
provider = getattr(importlib.import_module(module), name)({argument})
provider.add_span_processor(PrintsShutdown())
provider.get_tracer("a").start_span("span").end()
{statement}
print("end of the program")
"""


@pytest.mark.parametrize(
    ("argument", "statement", "lines"),
    [
        ("", "", ["end of the program", "shut down"]),
        ("", "del provider", ["end of the program", "shut down"]),
        ("shutdown_on_exit=False", "", ["end of the program"]),
        ("", "provider.shutdown()", ["shut down", "end of the program"]),
    ],
    ids=["by default", "provider forgotten", "not asked for", "already done"],
)
def test_shutdown_at_exit(kind: type[Any], argument: str, statement: str, lines: list[str]) -> None:
    done = run(EXIT.format(argument=argument, statement=statement), f"{kind.__module__}.{kind.__name__}")
    assert (done.stdout.splitlines(), done.stderr, done.returncode) == (lines, "", 0)


# --- The SDK's own metrics -------------------------------------------------------------------------------------------


class ByName(Sampler):
    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision[name])

    def get_description(self) -> str:
        return "ByName"


@pytest.fixture
def metrics_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[type[Any]], Any]]:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    made = []

    def measure(kind: type[Any]) -> Any:
        reader = InMemoryMetricReader()
        meters = MeterProvider([reader], shutdown_on_exit=False)
        made.append(meters)
        provider = kind(sampler=ByName(), meter_provider=meters, shutdown_on_exit=False)
        tracer = provider.get_tracer("a")
        remote = trace.set_span_in_context(trace.NonRecordingSpan(REMOTE))
        open_spans = []
        for decision in Decision:
            for number in range(decision.value + 2):
                with tracer.start_as_current_span(decision.name):
                    tracer.start_span(decision.name).end()
                open_spans.append(tracer.start_span(decision.name, remote if number else None))
        points = []
        for resource in reader.get_metrics_data().resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        points.append((metric.name, sorted(point.attributes.items()), point.value))
        return sorted(points)

    yield measure
    for meters in made:
        meters.shutdown()


def test_the_sdks_own_metrics_are_those_of_the_stock_sdk(metrics_of: Any) -> None:
    expected = metrics_of(sdk.TracerProvider)
    assert len(expected) > 5
    assert metrics_of(TracerProvider) == expected
