"""Subclasses of the provider, the processors and the exporters, and methods replaced on an object: overridden methods
are called, as with the stock SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttpSpanExporter
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import export as sdk_export
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_rs
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter

STOCK = SimpleNamespace(
    provider=sdk.TracerProvider,
    multi_processor=sdk.SynchronousMultiSpanProcessor,
    batch=sdk_export.BatchSpanProcessor,
    simple=sdk_export.SimpleSpanProcessor,
    exporters={"grpc": StockGrpcSpanExporter, "http": StockHttpSpanExporter},
)
NATIVE = SimpleNamespace(
    provider=otel_rs.TracerProvider,
    multi_processor=otel_rs.trace.SynchronousMultiSpanProcessor,
    batch=otel_rs.BatchSpanProcessor,
    simple=otel_rs.SimpleSpanProcessor,
    exporters={"grpc": GrpcSpanExporter, "http": HttpSpanExporter},
)


@pytest.fixture(params=[STOCK, NATIVE], ids=["stock", "native"])
def names(request: pytest.FixtureRequest) -> Any:
    """The classes of the stock SDK, then ours."""
    return request.param


@pytest.fixture
def exporter_class(names: Any, receiver: Any) -> type[Any]:
    return names.exporters[receiver.protocol]


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """`serve(provider, processor, ...)` adds the processors and returns the provider, shut down after the test."""
    served = []

    def add(provider: Any, *processors: Any) -> Any:
        for processor in processors:
            provider.add_span_processor(processor)
        served.append(provider)
        return provider

    yield add
    for provider in served:
        provider.shutdown()


def end_spans(provider: Any, *names: str) -> None:
    for name in names:
        provider.get_tracer("test").start_span(name).end()


def received(receiver: Any) -> list[str]:
    return [span.name for span in receiver.spans()]


# --- The provider ----------------------------------------------------------------------------------------------------


def test_a_provider_with_everything_overridden(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    calls = []

    class Provider(names.provider):  # type: ignore[misc]
        def get_tracer(self, *arguments: Any, **keywords: Any) -> Any:
            calls.append("get_tracer")
            return super().get_tracer(*arguments, **keywords)

        def add_span_processor(self, span_processor: Any) -> None:
            calls.append("add_span_processor")
            super().add_span_processor(span_processor)

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            calls.append("force_flush")
            return super().force_flush(timeout_millis)

        def shutdown(self) -> None:
            calls.append("shutdown")
            super().shutdown()

        @property
        def resource(self) -> Resource:
            return super().resource.merge(Resource({"added": "by the subclass"}))

    provider = serve(
        Provider(shutdown_on_exit=False, resource=Resource({"given": "x"})),
        names.batch(exporter_class(endpoint=receiver.endpoint)),
    )
    end_spans(provider, "span")
    assert provider.force_flush()
    provider.shutdown()
    assert calls == ["add_span_processor", "get_tracer", "force_flush", "shutdown"]
    (request,) = receiver.requests
    (resource_spans,) = request.message.resource_spans
    assert {attribute.key: attribute.value.string_value for attribute in resource_spans.resource.attributes} == {
        "given": "x",
        "added": "by the subclass",
    }


def test_a_provider_that_wraps_its_tracers(names: Any, memory: InMemorySpanExporter, serve: Any) -> None:
    class Tracer(trace.Tracer):
        def __init__(self, inner: trace.Tracer) -> None:
            self.inner = inner

        def start_span(self, name: str, *arguments: Any, **keywords: Any) -> trace.Span:
            return self.inner.start_span(f"wrapped {name}", *arguments, **keywords)

        def start_as_current_span(self, name: str, *arguments: Any, **keywords: Any) -> Any:
            return self.inner.start_as_current_span(f"wrapped {name}", *arguments, **keywords)

    class Provider(names.provider):  # type: ignore[misc]
        def get_tracer(self, *arguments: Any, **keywords: Any) -> Any:
            return Tracer(super().get_tracer(*arguments, **keywords))

    provider = serve(Provider(shutdown_on_exit=False), names.simple(memory))
    end_spans(provider, "a")
    with provider.get_tracer("test").start_as_current_span("b"):
        pass
    assert [span.name for span in memory.get_finished_spans()] == ["wrapped a", "wrapped b"]


def test_a_provider_that_decides_which_scopes_are_enabled(names: Any) -> None:
    class Provider(names.provider):  # type: ignore[misc]
        def _apply_tracer_configurator(self, scope: Any) -> Any:
            return sdk._TracerConfig(is_enabled=scope.name != "off")

    provider = Provider(shutdown_on_exit=False)
    recorded = [provider.get_tracer(name).start_span("span").is_recording() for name in ("on", "off")]
    assert recorded == [True, False]


# --- The batch processor ---------------------------------------------------------------------------------------------


def test_a_batch_processor_with_everything_overridden(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    calls = []

    class Processor(names.batch):  # type: ignore[misc]
        """A typical vendor processor: creates its own exporter, marks starting spans, filters ended spans."""

        def __init__(self, endpoint: str) -> None:
            super().__init__(span_exporter=exporter_class(endpoint=endpoint), max_export_batch_size=7)

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            calls.append("on_start")
            span.set_attribute("vendor.mark", True)
            super().on_start(span, parent_context)

        def _on_ending(self, span: Any) -> None:
            calls.append("_on_ending")
            super()._on_ending(span)

        def on_end(self, span: Any) -> None:
            calls.append("on_end")
            if span.attributes["vendor.mark"] and span.name != "unwanted":
                super().on_end(span)

        def force_flush(self, timeout_millis: float | None = None) -> bool:
            calls.append("force_flush")
            return super().force_flush(timeout_millis)

        def shutdown(self) -> None:
            calls.append("shutdown")
            super().shutdown()

    provider = serve(names.provider(shutdown_on_exit=False), Processor(receiver.endpoint))
    end_spans(provider, "wanted", "unwanted")
    assert provider.force_flush()
    provider.shutdown()
    assert calls == ["on_start", "_on_ending", "on_end"] * 2 + ["force_flush", "shutdown"]
    assert received(receiver) == ["wanted"]
    assert [attribute.key for attribute in receiver.spans()[0].attributes] == ["vendor.mark"]


def test_a_batch_processor_that_exports_unsampled_spans(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    """Uses upstream's worker object, as other packages do."""

    class Unsampled(names.batch):  # type: ignore[misc]
        def on_end(self, span: Any) -> None:
            if not span.context.trace_flags.sampled:
                self._batch_processor.emit(span)

    processor = Unsampled(exporter_class(endpoint=receiver.endpoint))
    assert processor._batch_processor._exporter is processor.span_exporter
    sampler = sdk.sampling.AlwaysRecordSampler(sdk.sampling.ALWAYS_OFF)
    provider = serve(names.provider(sampler=sampler, shutdown_on_exit=False), processor)
    end_spans(provider, "not sampled")
    assert provider.force_flush()
    assert received(receiver) == ["not sampled"]


def test_a_batch_processor_that_does_not_call_the_base_class(names: Any, serve: Callable[..., Any]) -> None:
    ended = []

    class Processor(names.batch):  # type: ignore[misc]
        def __init__(self) -> None:
            """Does not call the base class."""

        def on_end(self, span: Any) -> None:
            ended.append(span.name)

        def shutdown(self) -> None:
            ended.append("shutdown")

    provider = serve(names.provider(shutdown_on_exit=False), Processor())
    end_spans(provider, "span")
    provider.shutdown()
    assert ended == ["span", "shutdown"]


@pytest.mark.parametrize("step", ["on_start", "_on_ending", "on_end"])
@pytest.mark.parametrize("where", ["object", "class"])
def test_a_method_replaced_on_a_processor_in_use_and_restored(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any], step: str, where: str
) -> None:
    processor = names.batch(exporter_class(endpoint=receiver.endpoint))
    provider = serve(names.provider(shutdown_on_exit=False), processor)
    end_spans(provider, "before")
    place = processor if where == "object" else names.batch
    with mock.patch.object(place, step, wraps=getattr(processor, step)) as replaced:
        end_spans(provider, "meanwhile")
    end_spans(provider, "after")
    assert provider.force_flush()
    assert replaced.call_count == 1
    assert received(receiver) == ["before", "meanwhile", "after"]


def test_a_method_replaced_on_the_class_before_its_objects_are_used(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    with mock.patch.object(names.batch, "on_end") as replaced:
        processor = names.batch(exporter_class(endpoint=receiver.endpoint))
        provider = serve(names.provider(shutdown_on_exit=False), processor)
        end_spans(provider, "span")
        assert provider.force_flush()
    assert replaced.call_count == 1
    assert received(receiver) == []


def test_a_method_replaced_on_the_multi_processor_class_before_it_is_used(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    with mock.patch.object(names.multi_processor, "on_end") as replaced:
        processor = names.batch(exporter_class(endpoint=receiver.endpoint))
        provider = serve(names.provider(shutdown_on_exit=False), processor)
        end_spans(provider, "span")
        assert provider.force_flush()
    assert replaced.call_count == 1
    assert received(receiver) == []


def test_a_method_replaced_in_several_providers(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    processor = names.batch(exporter_class(endpoint=receiver.endpoint))
    providers = [serve(names.provider(shutdown_on_exit=False), processor) for _ in range(2)]
    processor.on_end = lambda span: None
    for provider in providers:
        end_spans(provider, "lost")
    del processor.on_end
    for provider in providers:
        end_spans(provider, "kept")
    assert processor.force_flush()
    assert received(receiver) == ["kept"] * 2


# --- Multi-processors ------------------------------------------------------------------------------------------------


def test_a_multi_processor_with_everything_overridden(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    calls = []

    class MultiProcessor(names.multi_processor):  # type: ignore[misc]
        def add_span_processor(self, span_processor: Any) -> None:
            calls.append("add_span_processor")
            super().add_span_processor(span_processor)

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            calls.append("on_start")
            super().on_start(span, parent_context)

        def _on_ending(self, span: Any) -> None:
            calls.append("_on_ending")
            super()._on_ending(span)

        def on_end(self, span: Any) -> None:
            calls.append("on_end")
            super().on_end(span)

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            calls.append("force_flush")
            return super().force_flush(timeout_millis)

        def shutdown(self) -> None:
            calls.append("shutdown")
            super().shutdown()

    provider = serve(
        names.provider(shutdown_on_exit=False, active_span_processor=MultiProcessor()),
        names.batch(exporter_class(endpoint=receiver.endpoint)),
    )
    end_spans(provider, "span")
    assert provider.force_flush()
    provider.shutdown()
    assert calls == ["add_span_processor", "on_start", "_on_ending", "on_end", "force_flush", "shutdown"]
    assert received(receiver) == ["span"]


def test_a_multi_processor_that_does_not_call_the_base_class(names: Any) -> None:
    ended = []

    class MultiProcessor(names.multi_processor):  # type: ignore[misc]
        def __init__(self) -> None:
            """Does not call the base class."""

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            pass

        def _on_ending(self, span: Any) -> None:
            pass

        def on_end(self, span: Any) -> None:
            ended.append(span.name)

    end_spans(names.provider(shutdown_on_exit=False, active_span_processor=MultiProcessor()), "span")
    assert ended == ["span"]


def test_a_method_replaced_on_a_multi_processor_in_use_and_restored(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    provider = serve(names.provider(shutdown_on_exit=False), names.batch(exporter_class(endpoint=receiver.endpoint)))
    end_spans(provider, "before")
    with mock.patch.object(provider._active_span_processor, "on_end") as replaced:
        end_spans(provider, "kept away")
    end_spans(provider, "after")
    assert provider.force_flush()
    assert replaced.call_count == 1
    assert received(receiver) == ["before", "after"]


# --- The simple processor --------------------------------------------------------------------------------------------


def test_a_simple_processor_with_its_methods_overridden(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    class Processor(names.simple):  # type: ignore[misc]
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            span.update_name(f"{span.name}!")

        def on_end(self, span: Any) -> None:
            if span.name != "unwanted!":
                super().on_end(span)

    provider = serve(names.provider(shutdown_on_exit=False), Processor(exporter_class(endpoint=receiver.endpoint)))
    end_spans(provider, "wanted", "unwanted")
    assert received(receiver) == ["wanted!"]


def test_the_exporter_of_a_simple_processor_can_be_replaced(
    names: Any, receiver: Any, exporter_class: Any, memory: InMemorySpanExporter, serve: Callable[..., Any]
) -> None:
    exporter = exporter_class(endpoint=receiver.endpoint)
    processor = names.simple(exporter)
    provider = serve(names.provider(shutdown_on_exit=False), processor)
    end_spans(provider, "first")
    processor.span_exporter = memory
    end_spans(provider, "second")
    exporter.shutdown()
    assert received(receiver) == ["first"]
    assert [span.name for span in memory.get_finished_spans()] == ["second"]


# --- Exporters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processor", ["batch", "simple"])
def test_an_exporter_with_everything_overridden(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any], processor: str
) -> None:
    calls = []

    class Exporter(exporter_class):  # type: ignore[misc]
        """A typical vendor exporter: knows its endpoint, and filters spans."""

        def __init__(self, tenant: str, **keywords: Any) -> None:
            super().__init__(endpoint=receiver.endpoint, headers={"x-tenant": tenant}, **keywords)

        def export(self, spans: Any) -> SpanExportResult:
            calls.append("export")
            return super().export([span for span in spans if span.name != "secret"])

        def shutdown(self) -> None:
            calls.append("shutdown")
            super().shutdown()

    exporter = Exporter("shop", timeout=5)
    provider = serve(names.provider(shutdown_on_exit=False), getattr(names, processor)(exporter))
    end_spans(provider, "public", "secret")
    assert provider.force_flush()
    provider.shutdown()
    assert received(receiver) == ["public"]
    assert receiver.requests[0].headers["x-tenant"] == "shop"
    assert calls == ["export"] * {"batch": 1, "simple": 2}[processor] + ["shutdown"]


@pytest.mark.parametrize("processor", ["batch", "simple"])
@pytest.mark.parametrize("where", ["object", "class"])
def test_an_export_method_replaced_before_the_processor_is_created(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any], processor: str, where: str
) -> None:
    exporter = exporter_class(endpoint=receiver.endpoint)
    success = SpanExportResult.SUCCESS
    with mock.patch.object(exporter if where == "object" else exporter_class, "export", return_value=success) as export:
        provider = serve(names.provider(shutdown_on_exit=False), getattr(names, processor)(exporter))
        end_spans(provider, "span")
        assert provider.force_flush()
    assert export.call_count == 1
    assert received(receiver) == []


@pytest.mark.parametrize("processor", ["batch", "simple"])
def test_an_exporter_that_reports_a_failure(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any], processor: str
) -> None:
    results = []

    class Retrying(exporter_class):  # type: ignore[misc]
        def export(self, spans: Any) -> SpanExportResult:
            results.append(super().export(spans))
            return SpanExportResult.FAILURE

    provider = serve(
        names.provider(shutdown_on_exit=False), getattr(names, processor)(Retrying(endpoint=receiver.endpoint))
    )
    end_spans(provider, "span")
    assert provider.force_flush()
    assert results == [SpanExportResult.SUCCESS]
    assert received(receiver) == ["span"]


def test_an_exporter_that_delegates_to_another(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    """It exports its own copy of each span."""

    class Redacting(SpanExporter):
        def __init__(self, inner: SpanExporter) -> None:
            self.inner = inner

        def export(self, spans: Any) -> SpanExportResult:
            return self.inner.export([self.redacted(span) for span in spans])

        def redacted(self, span: Any) -> sdk.ReadableSpan:
            return sdk.ReadableSpan(
                name=span.name,
                context=span.context,
                parent=span.parent,
                resource=span.resource,
                attributes=dict.fromkeys(span.attributes, "***"),
                events=span.events,
                links=span.links,
                kind=span.kind,
                status=span.status,
                start_time=span.start_time,
                end_time=span.end_time,
                instrumentation_scope=span.instrumentation_scope,
            )

        def shutdown(self) -> None:
            self.inner.shutdown()

    provider = serve(
        names.provider(shutdown_on_exit=False), names.batch(Redacting(exporter_class(endpoint=receiver.endpoint)))
    )
    span = provider.get_tracer("test").start_span("span", attributes={"password": "hunter2"})
    span.add_event("event", {"a": 1})
    span.end()
    assert provider.force_flush()
    (arrived,) = receiver.spans()
    assert [(attribute.key, attribute.value.string_value) for attribute in arrived.attributes] == [("password", "***")]
    assert [event.name for event in arrived.events] == ["event"]


# --- Parts -----------------------------------------------------------------------------------------------------------


def test_limits_of_a_custom_class(names: Any) -> None:
    class Limits(sdk.SpanLimits):
        def __init__(self) -> None:
            super().__init__(max_span_attributes=2, max_attribute_length=3)

    provider = names.provider(shutdown_on_exit=False, span_limits=Limits())
    span = provider.get_tracer("test").start_span("span", attributes={"a": "long text", "b": 2, "c": 3})
    assert dict(span.attributes) == {"b": 2, "c": 3}
    span.set_attribute("b", "long text")
    assert span.attributes["b"] == "lon"
    assert span.dropped_attributes == 1


def test_a_resource_of_a_custom_class(
    names: Any, receiver: Any, exporter_class: Any, serve: Callable[..., Any]
) -> None:
    class Lazy(Resource):
        @property
        def attributes(self) -> Any:
            return {**super().attributes, "lazy": True}

    provider = serve(
        names.provider(shutdown_on_exit=False, resource=Lazy({"a": 1}, "https://schema")),
        names.batch(exporter_class(endpoint=receiver.endpoint)),
    )
    end_spans(provider, "span")
    assert provider.force_flush()
    (resource_spans,) = receiver.requests[0].message.resource_spans
    assert [attribute.key for attribute in resource_spans.resource.attributes] == ["a", "lazy"]
    assert resource_spans.schema_url == "https://schema"
