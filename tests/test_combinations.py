"""Every provider with every processor and every exporter: each exporter delivers all spans completely."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttpSpanExporter
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk import trace as stock
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace import export as stock_export
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, AlwaysRecordSampler
from opentelemetry.trace import Link, SpanKind, StatusCode, set_span_in_context

import otel_rs
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter

from .support.receiver import DEADLINE_SECONDS, GrpcReceiver, HttpReceiver, Receiver, started
from .support.span_programs import REMOTE, WITH_STATE

Form = dict[str, Any]

START = 1_700_000_000_000_000_000
MILLI = 1_000_000


# --- The spans -------------------------------------------------------------------------------------------------------


def use(provider: Any) -> list[Form]:
    """Creates three spans that use every feature of a span; returns what must arrive."""
    tracer = provider.get_tracer("library", "1.2", "https://schema", {"of": "scope"})
    context = set_span_in_context(trace.NonRecordingSpan(REMOTE))
    attributes = {"text": "é", "number": 2**40, "real": 0.5, "flag": True, "list": ["a", "b"]}
    parent = tracer.start_span("parent", context, SpanKind.SERVER, attributes, start_time=START)
    with trace.use_span(parent):
        child = tracer.start_span(
            "child", kind=SpanKind.CLIENT, links=[Link(WITH_STATE, {"why": "because"})], start_time=START + MILLI
        )
        child.set_attribute("late", 1)
        child.add_event("event", {"key": "value"}, START + 2 * MILLI)
        child.set_status(StatusCode.ERROR, "description")
        leaf = tracer.start_span("leaf", set_span_in_context(child), start_time=START + MILLI)
        leaf.end(START + 2 * MILLI)
        child.end(START + 3 * MILLI)
    parent.update_name("renamed parent")
    parent.set_status(StatusCode.OK)
    parent.end(START + 4 * MILLI)

    common = {
        "trace_id": f"{REMOTE.trace_id:032x}",
        "attributes": {},
        "events": [],
        "links": [],
        "status": ("UNSET", None),
        "resource": {"service.name": "shop", "of": "resource"},
        "scope": ("library", "1.2"),
    }
    return [
        {
            **common,
            "name": "child",
            "span_id": id_of(child),
            "parent_id": id_of(parent),
            "kind": "CLIENT",
            "start": START + MILLI,
            "end": START + 3 * MILLI,
            "attributes": {"late": 1},
            "events": [("event", START + 2 * MILLI, {"key": "value"})],
            "links": [(f"{WITH_STATE.span_id:016x}", {"why": "because"})],
            "status": ("ERROR", "description"),
        },
        {
            **common,
            "name": "leaf",
            "span_id": id_of(leaf),
            "parent_id": id_of(child),
            "kind": "INTERNAL",
            "start": START + MILLI,
            "end": START + 2 * MILLI,
        },
        {
            **common,
            "name": "renamed parent",
            "span_id": id_of(parent),
            "parent_id": f"{REMOTE.span_id:016x}",
            "kind": "SERVER",
            "start": START,
            "end": START + 4 * MILLI,
            "attributes": attributes,
            "status": ("OK", None),
        },
    ]


def id_of(span: Any) -> str:
    return f"{span.get_span_context().span_id:016x}"


# --- Ends: an exporter, and what arrived at its destination -----------------------------------------------------------


class End:
    """``arrived`` has the form that ``use`` returns; ``expected`` keeps only what the end's format can express."""

    exporter: SpanExporter

    def arrived(self) -> list[Form]:
        raise NotImplementedError

    def expected(self, form: Form) -> Form:
        return form

    def closing(self) -> None:
        """Stops everything that the end started."""


class OtlpEnd(End):
    def __init__(self, receiver: type[Receiver], exporter: Callable[..., SpanExporter]) -> None:
        self._running = contextmanager(started)(receiver)
        self.receiver = self._running.__enter__()
        self.exporter = exporter(endpoint=self.receiver.endpoint)

    def closing(self) -> None:
        self._running.__exit__(None, None, None)

    def arrived(self) -> list[Form]:
        return [
            {
                "name": span.name,
                "trace_id": span.trace_id.hex(),
                "span_id": span.span_id.hex(),
                "parent_id": span.parent_span_id.hex(),
                "kind": span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                "start": span.start_time_unix_nano,
                "end": span.end_time_unix_nano,
                "attributes": plain(span.attributes),
                "events": [(event.name, event.time_unix_nano, plain(event.attributes)) for event in span.events],
                "links": [(link.span_id.hex(), plain(link.attributes)) for link in span.links],
                "status": (
                    span.status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
                    span.status.message or None,
                ),
                "resource": plain(resource_spans.resource.attributes),
                "scope": (scope_spans.scope.name, scope_spans.scope.version),
            }
            for request in self.receiver.requests
            for resource_spans in request.message.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]


def plain(attributes: Any) -> Any:
    def value(any_value: Any) -> Any:
        which = any_value.WhichOneof("value")
        if which == "array_value":
            return [value(item) for item in any_value.array_value.values]
        return getattr(any_value, which)

    return {attribute.key: value(attribute.value) for attribute in attributes}


class ReadableEnd(End):
    """An exporter that keeps the span objects."""

    def spans(self) -> list[ReadableSpan]:
        raise NotImplementedError

    def arrived(self) -> list[Form]:
        return [
            {
                "name": span.name,
                "trace_id": f"{span.context.trace_id:032x}",
                "span_id": id_of(span),
                "parent_id": f"{span.parent.span_id:016x}",
                "kind": span.kind.name,
                "start": span.start_time,
                "end": span.end_time,
                "attributes": {
                    key: list(value) if isinstance(value, tuple) else value for key, value in span.attributes.items()
                },
                "events": [(event.name, event.timestamp, dict(event.attributes)) for event in span.events],
                "links": [(f"{link.context.span_id:016x}", dict(link.attributes)) for link in span.links],
                "status": (span.status.status_code.name, span.status.description),
                "resource": dict(span.resource.attributes),
                "scope": (span.instrumentation_scope.name, span.instrumentation_scope.version),
            }
            for span in self.spans()
        ]


class InMemoryEnd(ReadableEnd):
    def __init__(self) -> None:
        self.exporter = self.memory = InMemorySpanExporter()

    def spans(self) -> list[ReadableSpan]:
        return list(self.memory.get_finished_spans())


class UsersExporter(SpanExporter):
    """A user's own exporter."""

    def __init__(self) -> None:
        self.kept: list[ReadableSpan] = []
        self.shut_down = 0

    def export(self, spans: Any) -> SpanExportResult:
        if not self.shut_down:
            self.kept.extend(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.shut_down += 1

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class CustomEnd(ReadableEnd):
    def __init__(self) -> None:
        self.exporter = self.keeping = UsersExporter()

    def spans(self) -> list[ReadableSpan]:
        return self.keeping.kept


class ConsoleEnd(End):
    def __init__(self) -> None:
        self.out = io.StringIO()
        self.exporter = ConsoleSpanExporter(out=self.out)

    def arrived(self) -> list[Form]:
        text, decoder, spans = self.out.getvalue(), json.JSONDecoder(), []
        while text:
            span, end = decoder.raw_decode(text)
            spans.append(span)
            text = text[end:].lstrip()
        return [
            {
                "name": span["name"],
                "trace_id": span["context"]["trace_id"].removeprefix("0x"),
                "span_id": span["context"]["span_id"].removeprefix("0x"),
                "parent_id": span["parent_id"].removeprefix("0x"),
                "kind": span["kind"].removeprefix("SpanKind."),
                "start": nanoseconds(span["start_time"]),
                "end": nanoseconds(span["end_time"]),
                "attributes": span["attributes"],
                "events": [
                    (event["name"], nanoseconds(event["timestamp"]), event["attributes"]) for event in span["events"]
                ],
                "links": [
                    (link["context"]["span_id"].removeprefix("0x"), link["attributes"]) for link in span["links"]
                ],
                "status": (span["status"]["status_code"], span["status"].get("description")),
                "resource": span["resource"]["attributes"],
            }
            for span in spans
        ]

    def expected(self, form: Form) -> Form:
        return {key: value for key, value in form.items() if key != "scope"}


def nanoseconds(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return round(moment.timestamp() * 1_000) * MILLI


class ZipkinEnd(End):
    def __init__(self) -> None:
        self.requests: list[bytes] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                assert self.path == "/api/v2/spans"
                requests.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(202)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.exporter = ZipkinExporter(endpoint=f"http://127.0.0.1:{self._server.server_address[1]}/api/v2/spans")

    def closing(self) -> None:
        self.exporter.session.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_SECONDS)

    def arrived(self) -> list[Form]:
        return [
            {
                "name": span["name"],
                "trace_id": span["traceId"],
                "span_id": span["id"],
                "parent_id": span["parentId"],
                "kind": span["kind"] or "INTERNAL",
                "start": span["timestamp"] * 1_000,
                "end": (span["timestamp"] + span["duration"]) * 1_000,
                "tags": {key: value for key, value in span["tags"].items() if not key.startswith("otel.library.")},
                "events": [(event["timestamp"] * 1_000, event["value"]) for event in span.get("annotations", [])],
                "service": span["localEndpoint"]["serviceName"],
            }
            for request in self.requests
            for span in json.loads(request)
        ]

    def expected(self, form: Form) -> Form:
        code, description = form["status"]
        tags = {"otel.status_code": code} if code != "UNSET" else {}
        if code == "ERROR":
            tags["error"] = description
        for key, value in {**form["attributes"], **form["resource"]}.items():
            tags[key] = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        tags["otel.scope.name"], tags["otel.scope.version"] = form["scope"]
        return {
            **{
                key: value for key, value in form.items() if key in ("name", "trace_id", "span_id", "parent_id", "kind")
            },
            "start": form["start"],
            "end": form["end"],
            "tags": tags,
            "events": [(time, json.dumps({name: attributes})) for name, time, attributes in form["events"]],
            "service": form["resource"]["service.name"],
        }


# --- The table -------------------------------------------------------------------------------------------------------

PROVIDERS: dict[str, Callable[..., Any]] = {
    "native provider": otel_rs.TracerProvider,
    "stock provider": stock.TracerProvider,
}


class UsersProcessor(SpanProcessor):
    """A user's own processor: collects spans, and exports them at a flush or at shutdown."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter = exporter
        self.ended: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        if span.context.trace_flags.sampled:
            self.ended.append(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        spans, self.ended = self.ended, []
        return not spans or self.exporter.export(spans) is SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.force_flush()
        self.exporter.shutdown()


PROCESSORS: dict[str, Callable[[SpanExporter], SpanProcessor]] = {
    "native Batch": otel_rs.BatchSpanProcessor,
    "native Simple": otel_rs.SimpleSpanProcessor,
    "stock Batch": stock_export.BatchSpanProcessor,
    "stock Simple": stock_export.SimpleSpanProcessor,
    "custom processor": UsersProcessor,
}

ENDS: dict[str, Callable[[], End]] = {
    "native gRPC": lambda: OtlpEnd(GrpcReceiver, GrpcSpanExporter),
    "native HTTP": lambda: OtlpEnd(HttpReceiver, HttpSpanExporter),
    "stock gRPC": lambda: OtlpEnd(GrpcReceiver, StockGrpcSpanExporter),
    "stock HTTP": lambda: OtlpEnd(HttpReceiver, StockHttpSpanExporter),
    "console": ConsoleEnd,
    "in-memory": InMemoryEnd,
    "Zipkin JSON": ZipkinEnd,
    "custom exporter": CustomEnd,
}

MULTI_PROCESSORS: dict[str, Callable[[], Any]] = {
    "native Synchronous": otel_rs.trace.SynchronousMultiSpanProcessor,
    "stock Synchronous": stock.SynchronousMultiSpanProcessor,
    "Concurrent": stock.ConcurrentMultiSpanProcessor,
}

every_provider = pytest.mark.parametrize("make_provider", PROVIDERS.values(), ids=PROVIDERS)
every_processor = pytest.mark.parametrize("make_processor", PROCESSORS.values(), ids=PROCESSORS)
every_end = pytest.mark.parametrize("make_end", ENDS.values(), ids=ENDS)


@pytest.fixture
def end_of() -> Iterator[Callable[[Callable[[], End]], End]]:
    with ExitStack() as stack:

        def make(make_end: Callable[[], End]) -> End:
            end = make_end()
            stack.callback(end.closing)
            return end

        yield make


def provider_of(make_provider: Callable[..., Any], *processors: SpanProcessor, **arguments: Any) -> Any:
    resource = Resource({"service.name": "shop", "of": "resource"})
    provider = make_provider(shutdown_on_exit=False, resource=resource, **arguments)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def assert_arrived(end: End, forms: list[Form]) -> None:
    assert sorted(end.arrived(), key=lambda form: form["name"]) == [end.expected(form) for form in forms]


@every_end
@every_processor
@every_provider
def test_a_flush_delivers_every_span_whole(
    make_provider: Any, make_processor: Any, make_end: Any, end_of: Callable[..., End]
) -> None:
    end = end_of(make_end)
    provider = provider_of(make_provider, make_processor(end.exporter))
    forms = use(provider)
    assert provider.force_flush() is True
    assert_arrived(end, forms)
    provider.shutdown()
    assert_arrived(end, forms)


@every_end
@every_processor
@every_provider
def test_shutdown_delivers_every_span_and_later_spans_are_dropped(
    make_provider: Any, make_processor: Any, make_end: Any, end_of: Callable[..., End]
) -> None:
    end = end_of(make_end)
    provider = provider_of(make_provider, make_processor(end.exporter))
    forms = use(provider)
    provider.shutdown()
    assert_arrived(end, forms)
    use(provider)
    assert_arrived(end, forms)


class Counting(SpanProcessor):
    def __init__(self) -> None:
        self.ended: list[str] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span.name)


@every_end
@every_processor
@every_provider
def test_record_only_spans_reach_processors_but_no_exporter(
    make_provider: Any, make_processor: Any, make_end: Any, end_of: Callable[..., End]
) -> None:
    end, counting = end_of(make_end), Counting()
    sampler = AlwaysRecordSampler(ALWAYS_OFF)
    provider = provider_of(make_provider, make_processor(end.exporter), counting, sampler=sampler)
    use(provider)
    assert provider.force_flush() is True
    provider.shutdown()
    assert counting.ended == ["leaf", "child", "renamed parent"]
    assert end.arrived() == []


@pytest.mark.parametrize("make_multi_processor", MULTI_PROCESSORS.values(), ids=MULTI_PROCESSORS)
@every_processor
@every_provider
@pytest.mark.parametrize("name", ["native gRPC", "custom exporter"])
def test_every_multi_processor_delivers(
    make_provider: Any, make_processor: Any, make_multi_processor: Any, name: str, end_of: Callable[..., End]
) -> None:
    first, second = end_of(ENDS[name]), end_of(ENDS[name])
    processors = [make_processor(end.exporter) for end in (first, second)]
    provider = provider_of(make_provider, *processors, active_span_processor=make_multi_processor())
    forms = use(provider)
    assert provider.force_flush() is True
    for end in (first, second):
        assert_arrived(end, forms)
    provider.shutdown()


@every_provider
def test_all_processors_and_exporters_work_on_one_provider(make_provider: Any, end_of: Callable[..., End]) -> None:
    ends = [(make_processor, end_of(make_end)) for make_processor in PROCESSORS.values() for make_end in ENDS.values()]
    provider = provider_of(make_provider, *(make_processor(end.exporter) for make_processor, end in ends))
    forms = use(provider)
    assert provider.force_flush() is True
    for _, end in ends:
        assert_arrived(end, forms)
    provider.shutdown()
