"""Public methods and properties of the classes that `install` replaces, borrowed by classes of the program: with an
object of such a class they do what upstream's do."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
import wrapt
from opentelemetry import trace as api
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import otel_rs
from otel_rs import metrics as native_metrics
from otel_rs import trace

# Upstream's names as they are without `install`.
sdk = SimpleNamespace(**vars(import_module("opentelemetry.sdk.trace")))
sdk_export = SimpleNamespace(**vars(import_module("opentelemetry.sdk.trace.export")))

sdk_metrics = SimpleNamespace(**vars(import_module("opentelemetry.sdk.metrics")))
OBSERVABLE = ("observable_counter", "observable_up_down_counter", "observable_gauge")

CONTEXT = api.SpanContext(1, 2, is_remote=False, trace_flags=api.TraceFlags(1))

Use = Callable[[Any], Any]


class Recording(sdk.SpanProcessor):
    """Keeps the calls that it gets as a processor, or in the place of a batch processor's worker."""

    _exporter = "exporter"

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.calls.append(("on_start", span.name, parent_context))

    def on_end(self, span: Any) -> None:
        self.calls.append(("on_end", span.name))

    def shutdown(self, *arguments: Any) -> None:
        self.calls.append(("shutdown", *arguments))

    def force_flush(self, *arguments: Any) -> bool:
        self.calls.append(("force_flush", *arguments))
        return True

    def emit(self, span: Any) -> None:
        self.calls.append(("emit", span.name))


# --- Upstream's objects, whose state the borrowing objects have ------------------------------------------------------


def span() -> Any:
    made = sdk._Span("span", CONTEXT, resource=Resource({"service.name": "shop"}), attributes={"a": 1})
    made.start(10)
    made.add_event("event", timestamp=15)
    return made


def tracer() -> Any:
    scope = InstrumentationScope("library")
    return sdk.Tracer(
        sampling.ALWAYS_ON, Resource({}), Recording(), sdk.RandomIdGenerator(), None, sdk.SpanLimits(), scope
    )


def provider() -> Any:
    made = sdk.TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    made.add_span_processor(Recording())
    return made


def processors() -> Any:
    made = sdk.SynchronousMultiSpanProcessor()
    made.add_span_processor(Recording())
    return made


def simple() -> Any:
    return sdk_export.SimpleSpanProcessor(InMemorySpanExporter())


def batch() -> Any:
    return SimpleNamespace(_batch_processor=Recording())


def meter_provider() -> Any:
    return sdk_metrics.MeterProvider(shutdown_on_exit=False, resource=Resource({}))


def meter() -> Any:
    return meter_provider().get_meter("library")


# --- What is done with them ------------------------------------------------------------------------------------------


def call(name: str, *arguments: Any, **keywords: Any) -> Use:
    return lambda thing: getattr(thing, name)(*arguments, **keywords)


def read(*names: str) -> dict[str, Use]:
    return {name: (lambda thing, name=name: getattr(thing, name)) for name in names}


def as_current_span(thing: Any) -> Any:
    @thing.start_as_current_span("function", attributes={"b": 2})
    def work() -> Any:
        return api.get_current_span().name

    with thing.start_as_current_span("block", kind=api.SpanKind.CLIENT) as current:
        return [work(), current is api.get_current_span(), current.kind, current.is_recording()]


def started_span(thing: Any) -> Any:
    made = thing.start_span("started", None, api.SpanKind.SERVER, {"b": 2}, start_time=5, record_exception=False)
    made.end()
    return [made.name, made.kind, made.start_time, dict(made.attributes)]


def same_tracer(thing: Any) -> Any:
    made = thing.get_tracer("library", "1", attributes={"c": 3})
    return [made._instrumentation_scope, made is thing.get_tracer("library", "1", attributes={"c": 3})]


def same_meter(thing: Any) -> Any:
    made = thing.get_meter("library", "1", attributes={"c": 3})
    return [made._instrumentation_scope, made is thing.get_meter("library", "1", attributes={"c": 3})]


def made(kind: str, **arguments: Any) -> Use:
    def make(thing: Any) -> Any:
        instrument = getattr(thing, f"create_{kind}")("name", "s", description="described", **arguments)
        return [instrument.name, instrument.unit, instrument.description, getattr(instrument, "_advisory", None)]

    return make


PROCESSOR: dict[str, Use] = {
    "on_start": lambda thing: thing.on_start(span(), parent_context=None),
    "on_end": lambda thing: thing.on_end(span()),
    "shutdown": call("shutdown"),
    "force_flush": call("force_flush", 100),
}

# By class: upstream's, ours, an object, and a use of each public method and property.
CLASSES: dict[str, tuple[type, type, Callable[[], Any], dict[str, Use]]] = {
    "Span": (
        sdk.Span,
        trace.Span,
        span,
        {
            **read("attributes", "context", "dropped_attributes", "dropped_events", "dropped_links", "end_time"),
            **read("events", "instrumentation_info", "instrumentation_scope", "kind", "links", "name", "parent"),
            **read("resource", "start_time", "status"),
            "__enter__": lambda thing: thing.__enter__() is thing,
            "__exit__": call("__exit__", ValueError, ValueError("left"), None),
            "add_event": call("add_event", "other", {"x": 1}, timestamp=16),
            "add_link": call("add_link", CONTEXT, attributes={"x": 1}),
            "end": call("end", end_time=30),
            "get_span_context": call("get_span_context"),
            "is_recording": call("is_recording"),
            "record_exception": call("record_exception", ValueError("x"), {"y": 2}, 17, escaped=True),
            "set_attribute": call("set_attribute", "b", value=2),
            "set_attributes": call("set_attributes", {"b": 2, "c": 3}),
            "set_status": call("set_status", api.StatusCode.ERROR, "broken"),
            "start": call("start", 11),
            "to_json": call("to_json", indent=None),
            "update_name": call("update_name", "renamed"),
        },
    ),
    "Tracer": (
        sdk.Tracer,
        trace.Tracer,
        tracer,
        {"start_as_current_span": as_current_span, "start_span": started_span},
    ),
    "TracerProvider": (
        sdk.TracerProvider,
        trace.TracerProvider,
        provider,
        {
            **read("resource"),
            "add_span_processor": lambda thing: thing.add_span_processor(Recording()),
            "force_flush": call("force_flush"),
            "get_tracer": same_tracer,
            "shutdown": call("shutdown"),
        },
    ),
    "SynchronousMultiSpanProcessor": (
        sdk.SynchronousMultiSpanProcessor,
        trace.SynchronousMultiSpanProcessor,
        processors,
        {**PROCESSOR, "add_span_processor": lambda thing: thing.add_span_processor(Recording())},
    ),
    "SimpleSpanProcessor": (sdk_export.SimpleSpanProcessor, otel_rs.SimpleSpanProcessor, simple, PROCESSOR),
    "Meter": (
        sdk_metrics.Meter,
        native_metrics.Meter,
        meter,
        {
            **{f"create_{kind}": made(kind) for kind in ("counter", "up_down_counter", "gauge")},
            **{f"create_{kind}": made(kind, callbacks=[]) for kind in OBSERVABLE},
            "create_histogram": made("histogram", explicit_bucket_boundaries_advisory=[1, 2]),
            **read("name", "schema_url", "version"),
        },
    ),
    "MeterProvider": (
        sdk_metrics.MeterProvider,
        native_metrics.MeterProvider,
        meter_provider,
        {
            "add_metric_reader": lambda thing: thing.add_metric_reader(InMemoryMetricReader()),
            "force_flush": call("force_flush"),
            "get_meter": same_meter,
            "remove_metric_reader": lambda thing: thing.remove_metric_reader(InMemoryMetricReader()),
            "shutdown": call("shutdown"),
        },
    ),
    "BatchSpanProcessor": (
        sdk_export.BatchSpanProcessor,
        otel_rs.BatchSpanProcessor,
        batch,
        {**PROCESSOR, **read("span_exporter")},
    ),
}


def is_public(name: str) -> bool:
    return not name.startswith("_") or name in ("__enter__", "__exit__")


def borrower(lender: type, upstream: type, state: Any) -> Any:
    """An object of another class, with a stock object's state. Its private methods are upstream's."""
    members: dict[str, Any] = {}
    for base in upstream.__mro__[-2::-1]:
        members |= {name: member for name, member in vars(base).items() if not name.startswith("__")}
    members |= {name: getattr(lender, name) for name in dir(upstream) if is_public(name)}
    borrowing = type("Borrower", (), members)()
    vars(borrowing).update(vars(state))
    return borrowing


def outcome(lender: type, upstream: type, state: Any, use: Use) -> list[Any]:
    """What using a borrowed method returns and changes."""
    borrowing = borrower(lender, upstream, state)
    try:
        result = use(borrowing)
    except Exception as error:
        result = repr(error)
    processor = getattr(state, "_batch_processor", None) or getattr(state, "_active_span_processor", state)
    return [
        re.sub(" at 0x[0-9a-f]+", "", str(result)),
        sdk.ReadableSpan.to_json(borrowing) if upstream is sdk.Span else None,
        [part.calls for part in getattr(borrowing, "_span_processors", [])],
        [part.calls for part in getattr(processor, "_span_processors", [])],
        getattr(processor, "calls", None),
        [exported.name for exported in getattr(state, "span_exporter", InMemorySpanExporter()).get_finished_spans()],
    ]


@pytest.mark.filterwarnings("ignore:You should use:DeprecationWarning")
@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, (upstream, *_) in CLASSES.items() for name in dir(upstream) if is_public(name)],
)
def test_a_borrowed_method_does_what_upstreams_does(
    kind: str, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Times that a method reads itself.
    monkeypatch.setattr("opentelemetry.sdk.trace.time_ns", lambda: 40)
    upstream, native, state, uses = CLASSES[kind]
    of_upstream = outcome(upstream, upstream, state(), uses[name])
    lines = logged(caplog)
    caplog.clear()
    otel_rs.install()
    try:
        assert outcome(native, upstream, state(), uses[name]) == of_upstream
    finally:
        otel_rs.uninstall()
    assert logged(caplog) == lines


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [re.sub(" at 0x[0-9a-f]+", "", record.getMessage()) for record in caplog.records]


def test_a_wrapper_that_borrows_from_the_sdks_tracer_starts_spans_by_its_own_method() -> None:
    class Wrapper(api.Tracer):
        def __init__(self, inner: api.Tracer) -> None:
            self.inner, self.started = inner, []

        def start_span(self, *arguments: Any, **keywords: Any) -> Any:
            self.started.append(keywords["name"])
            return self.inner.start_span(*arguments, **keywords)

        start_as_current_span = trace.Tracer.start_as_current_span

    wrapper = Wrapper(otel_rs.TracerProvider(shutdown_on_exit=False).get_tracer("library"))
    with wrapper.start_as_current_span("block") as current:
        assert isinstance(current, trace.Span)
    wrapper.start_as_current_span("function")(lambda: None)()
    assert wrapper.started == ["block", "function"]


def test_a_proxy_gets_what_it_wraps_through_its_class() -> None:
    """As openinference's tracer, which the package of arize-phoenix makes."""
    memory = InMemorySpanExporter()
    provider = otel_rs.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(otel_rs.SimpleSpanProcessor(memory))
    proxy = wrapt.ObjectProxy(provider.get_tracer("library"))
    with proxy.__class__.start_span(proxy, "span", attributes={"a": 1}) as started:
        of_span = wrapt.ObjectProxy(started)
        assert of_span.__class__.name.__get__(of_span) == "span"
        of_span.__class__.set_attribute(of_span, "b", 2)
    (exported,) = memory.get_finished_spans()
    assert dict(exported.attributes) == {"a": 1, "b": 2}


@pytest.mark.parametrize("thing", [object(), None, 1, api.INVALID_SPAN])
@pytest.mark.parametrize("name", ["attributes", "end", "get_span_context", "is_recording", "set_attributes"])
def test_an_object_that_has_nothing_of_a_span_gets_what_upstream_gives_it(name: str, thing: Any) -> None:
    def outcome(lender: Any) -> str:
        attribute = getattr(lender, name)
        try:
            if name == "attributes":
                return str(attribute.__get__(thing))
            return str(attribute(thing, *([{"a": 1}] if name == "set_attributes" else ())))
        except Exception as error:
            return repr(error)

    assert outcome(trace.Span) == outcome(sdk.Span)


# --- Exporters -------------------------------------------------------------------------------------------------------


def spans() -> Any:
    return [span()]


def metrics() -> Any:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    meters.get_meter("meter").create_counter("counter").add(1)
    return reader.get_metrics_data()


def logs() -> Any:
    memory = InMemoryLogRecordExporter()
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(memory))
    loggers.get_logger("logger").emit(body="logged")
    return memory.get_finished_logs()


@pytest.mark.parametrize(
    ("module", "name", "signal", "data"),
    [
        ("trace_exporter", "OTLPSpanExporter", "traces", spans),
        ("metric_exporter", "OTLPMetricExporter", "metrics", metrics),
        ("_log_exporter", "OTLPLogExporter", "logs", logs),
    ],
)
def test_the_methods_of_an_exporter_are_borrowed(module: str, name: str, signal: str, data: Any, receiver: Any) -> None:
    upstream = getattr(import_module(f"opentelemetry.exporter.otlp.proto.{receiver.protocol}.{module}"), name)
    native = getattr(import_module(f"otel_rs.exporter.otlp.{receiver.protocol}"), name)
    seen = []
    for lender in (upstream, native):
        exporter = borrower(lender, upstream, upstream(receiver.endpoint_of(signal)))
        before = len(receiver.requests)
        results = [exporter.export(data()).name, exporter.force_flush()]
        if signal == "metrics":
            exporter.set_meter_provider(None)
        exporter.shutdown()
        results.append(exporter.export(data()).name)
        seen.append([results, len(receiver.requests) - before])
    assert seen[0] == seen[1] == [["SUCCESS", True, "FAILURE"], 1]
