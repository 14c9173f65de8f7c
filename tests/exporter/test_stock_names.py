"""The private names of the stock exporters answer on ours as on theirs, and what uses them delivers."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SpanExportResult

from otel_rs import BatchSpanProcessor, SimpleSpanProcessor, TracerProvider

from ..support.program import run
from ..support.receiver import Receiver, wait_until
from .exporters import PROTOCOLS, SIGNALS, item, ours, stock

NOBODY = "http://127.0.0.1:1"

each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
each_signal = pytest.mark.parametrize("signal", SIGNALS)

# These are of the same kind in both, but of the one object.
BY_TYPE = {"_channel", "_client", "_credentials", "_metrics", "_shutdown_in_progress"}


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """`make(class, ...)` makes an exporter, shut down after the test."""
    made = []

    def make(kind: Any, **arguments: Any) -> Any:
        made.append(kind(**{"endpoint": NOBODY, **arguments}))
        return made[-1]

    yield make
    for exporter in made:
        if not exporter._shutdown:
            exporter.shutdown()


@pytest.fixture
def delivers() -> Callable[..., bool]:
    """`delivers(exporter, receiver, signal)` exports one item; whether it arrived, which the result says too."""

    def delivers(exporter: Any, receiver: Receiver, signal: str) -> bool:
        before = len(receiver.requests)
        result = exporter.export(item(signal))
        arrived = len(receiver.requests) - before
        assert arrived == (result.name == "SUCCESS")
        return bool(arrived)

    return delivers


def private_names(thing: Any) -> set[str]:
    of_python = ("__", "_abc_", "_is_protocol")
    return {name for name in dir(thing) if name.startswith("_") and not name.startswith(of_python)}


def comparable(value: Any) -> Any:
    """Aggregations do not compare."""
    return {key: str(vars(part)) for key, part in value.items()} if isinstance(value, dict) else value


# --- What they answer ------------------------------------------------------------------------------------------------


@each_protocol
@each_signal
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"headers": {"api-key": "secret"}, "timeout": 7},
        {"endpoint": "https://collector.example:4318/v1/x", "timeout": 3.5},
    ],
    ids=["plain", "headers", "tls"],
)
def test_every_private_name_answers_as_the_stock_exporters(
    protocol: str, signal: str, arguments: dict[str, Any], make: Any
) -> None:
    theirs, mine = (make(kind, **arguments) for kind in (stock(protocol, signal), ours(protocol, signal)))
    for name in sorted(private_names(theirs)):
        expected, got = getattr(theirs, name), getattr(mine, name)
        if callable(expected) and hasattr(expected, "__func__"):
            assert got.__func__ is expected.__func__, name
        elif name in BY_TYPE:
            assert type(got) is type(expected), name
        else:
            assert comparable(got) == comparable(expected), name
    if protocol == "http":
        for name in ("_endpoint", "_timeout", "_compression", "_headers"):
            assert getattr(mine._client, name) == getattr(theirs._client, name), name


@each_protocol
@each_signal
def test_a_name_that_the_stock_exporter_lacks_is_missing_here_too(protocol: str, signal: str, make: Any) -> None:
    theirs, mine = (make(kind) for kind in (stock(protocol, signal), ours(protocol, signal)))
    for name in ("_session", "_headers", "_timeout", "_certificate_file", "_client_key_file", "_export", "_nothing"):
        assert hasattr(mine, name) == hasattr(theirs, name), name


@each_protocol
@each_signal
def test_no_private_name_of_ours_means_something_else_there(protocol: str, signal: str, make: Any) -> None:
    theirs, mine = (make(kind) for kind in (stock(protocol, signal), ours(protocol, signal)))
    shared = vars(mine).keys() & private_names(theirs)
    assert shared <= {"_preferred_temporality", "_preferred_aggregation"}


@each_protocol
def test_the_answers_follow_variables(protocol: str, monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")
    theirs, mine = (make(kind, endpoint=None) for kind in (stock(protocol, "traces"), ours(protocol, "traces")))
    of = {"http": lambda exporter: exporter._client, "grpc": lambda exporter: exporter}[protocol]
    for name in ("_endpoint", "_timeout", "_compression", "_headers"):
        assert getattr(of(mine), name) == getattr(of(theirs), name), name


def test_the_answers_are_those_of_when_the_exporter_was_made(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "7")
    exporters = [make(ours(protocol, "traces")) for protocol in PROTOCOLS]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "8")
    assert [exporters[0]._client._timeout, exporters[1]._channel and exporters[1]._timeout] == [7, 7]


def test_bad_variables_do_not_keep_a_name_from_answering(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "much")
    exporter = make(ours("grpc", "traces"))
    assert exporter._channel is not None
    assert exporter._timeout == 10


def test_the_libraries_are_imported_when_a_name_needs_them() -> None:
    run(
        f"""
        from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as Grpc
        from otel_rs.exporter.otlp.http import OTLPSpanExporter as Http
        http, grpc = Http(endpoint={NOBODY!r}), Grpc(endpoint={NOBODY!r}, headers={{"a": "b"}})
        assert http._endpoint == {NOBODY!r} and http._max_request_size and not http._shutdown
        assert grpc._endpoint == "127.0.0.1:1" and grpc._insecure and grpc._timeout == 10
        assert grpc._headers == (("a", "b"),)
        http.counts(), http.shutdown(), repr(grpc), vars(grpc)
        assert not loaded(), loaded()
        assert grpc._channel and "grpc" in loaded() and "requests" not in loaded()
        assert http._client and "requests" in loaded()
        """
    )


@pytest.mark.parametrize("installed", [False, True])
def test_without_the_stock_package_the_error_says_what_to_install(installed: bool) -> None:
    run(
        f"""
        without("requests", "google", "grpc")
        import otel_rs
        if {installed}:
            otel_rs.install()
        from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as Grpc
        from otel_rs.exporter.otlp.http import OTLPMetricExporter as Http
        for exporter, name, package in ((Grpc(), "_channel", "grpc"), (Http(), "_client", "http")):
            for ask in (lambda: getattr(exporter, name), lambda: setattr(exporter, name, 1)):
                try:
                    ask()
                except AttributeError as error:
                    assert f"install opentelemetry-exporter-otlp-proto-{{package}}" in str(error), error
                else:
                    raise SystemExit("no error")
            assert getattr(exporter, name, None) is None
            exporter.shutdown()
        """
    )


# --- What uses them delivers -----------------------------------------------------------------------------------------


@each_signal
def test_what_was_handed_out_changes_what_is_sent(
    signal: str, receiver: Receiver, make: Any, delivers: Any, log: Any
) -> None:
    exporter = make(ours(receiver.protocol, signal), endpoint=receiver.endpoint_of(signal))
    assert delivers(exporter, receiver, signal)
    log()
    if receiver.protocol == "http":
        exporter._client._headers["x-new"] = "value"
    else:
        exporter._headers = (("x-new", "value"),)
    (line,) = log()
    assert "opentelemetry-exporter-otlp-proto" in line
    assert delivers(exporter, receiver, signal)
    before, after = receiver.requests
    assert ("x-new" in before.headers, after.headers["x-new"]) == (False, "value")
    counts = exporter.counts()
    assert (counts["exported"], counts["failed"], counts["in_flight"]) == (2, 0, 0)


@each_signal
def test_an_attribute_that_was_set_counts(signal: str, receiver: Receiver, make: Any, delivers: Any) -> None:
    exporter = make(ours(receiver.protocol, signal), endpoint=receiver.endpoint_of(signal))
    if receiver.protocol == "http":
        exporter._max_request_size = 1
    else:
        exporter._client = None
    assert not delivers(exporter, receiver, signal)
    assert exporter.counts()["failed"] == 1


def test_an_override_of_export_delivers_by_the_stock_names(receiver: Receiver) -> None:
    class Own(ours(receiver.protocol, "traces")):  # type: ignore[misc]
        def export(self, spans: Any) -> SpanExportResult:
            if self._shutdown:
                return SpanExportResult.FAILURE
            with self._metrics.export_operation(len(spans)):
                if receiver.protocol == "grpc":
                    return self._export(spans)  # type: ignore[no-any-return]
                sent = self._client.export(encode_spans(spans).SerializeToString())
                return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE

    for processor in (SimpleSpanProcessor, BatchSpanProcessor):
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor(Own(endpoint=receiver.endpoint)))
        provider.get_tracer("test").start_span(processor.__name__).end()
        provider.shutdown()
    assert [span.name for span in receiver.spans()] == ["SimpleSpanProcessor", "BatchSpanProcessor"]


@each_signal
def test_an_override_of_a_private_method_is_called(signal: str, grpc_receiver: Any, make: Any, delivers: Any) -> None:
    calls = []

    class Own(ours("grpc", signal)):  # type: ignore[misc]
        def _translate_data(self, data: Any) -> Any:
            calls.append(self)
            return super()._translate_data(data)

    exporter = make(Own, endpoint=grpc_receiver.endpoint)
    assert delivers(exporter, grpc_receiver, signal)
    assert calls == [exporter]


def test_a_replaced_private_method_is_called(grpc_receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = ours("grpc", "traces")
    exporter = make(kind, endpoint=grpc_receiver.endpoint)
    original, calls = kind._export, []

    def replaced(self: Any, data: Any) -> Any:
        calls.append(self)
        return original(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "_export", replaced)
        assert exporter.export(item("traces")).name == "SUCCESS"
    assert calls == [exporter]
    assert len(grpc_receiver.spans()) == 1


def test_a_subclass_may_set_a_name_before_the_constructor_and_have_others(receiver: Receiver, make: Any) -> None:
    class Own(ours(receiver.protocol, "traces")):  # type: ignore[misc]
        def __init__(self, **arguments: Any) -> None:
            self._endpoint = "the constructor sets it again"
            self._session = self._own = 1
            super().__init__(**arguments)

    exporter = make(Own, endpoint=receiver.endpoint)
    assert exporter._endpoint == make(stock(receiver.protocol, "traces"), endpoint=receiver.endpoint)._endpoint
    assert (exporter._session, exporter._own) == (1, 1)
    assert exporter.export(item("traces")).name == "SUCCESS"
    assert exporter.counts()["bytes"] > 0, "sent natively"


# --- Processors, ends and forks --------------------------------------------------------------------------------------


def change_header(exporter: Any) -> None:
    if hasattr(exporter, "_headers"):
        exporter._headers = (("x-new", "value"),)
    else:
        exporter._client._headers["x-new"] = "value"


def test_a_batch_processor_follows_its_exporter(receiver: Receiver, provider_to: Any) -> None:
    provider = provider_to(receiver)
    (processor,) = provider._active_span_processor._span_processors
    tracer = provider.get_tracer("test")
    tracer.start_span("before").end()
    change_header(processor.span_exporter)
    for _ in range(3):
        tracer.start_span("after").end()
    counts = processor.counts()
    assert (counts["created"], counts["pending"]) == (4, 4)
    assert provider.force_flush(20_000)
    sent = {request.headers.get("x-new"): request for request in receiver.requests}
    assert len(receiver.spans()) == 4
    assert sent.keys() == {None, "value"}
    counts = processor.counts()
    assert counts["created"] == counts["exported"] == processor.span_exporter.counts()["exported"] == 4
    provider.shutdown()
    tracer.start_span("too late").end()
    counts = processor.counts()
    assert counts["created"] == sum(counts[name] for name in ("exported", "failed", "dropped", "pending")) == 5
    assert processor.span_exporter._shutdown


def test_failed_exports_of_the_stock_exporter_are_counted(receiver: Receiver, provider_to: Any) -> None:
    provider = provider_to(receiver)
    (processor,) = provider._active_span_processor._span_processors
    change_header(processor.span_exporter)
    if receiver.protocol == "http":
        processor.span_exporter._max_request_size = 1
    else:
        processor.span_exporter._client = None
    provider.get_tracer("test").start_span("span").end()
    provider.force_flush(20_000)
    counts = processor.counts()
    assert (counts["created"], counts["failed"], counts["exported"], counts["pending"]) == (1, 1, 0, 0)


@each_protocol
def test_shutdown_of_ours_is_shutdown_of_the_twin(protocol: str, make: Any, log: Any) -> None:
    exporter = make(ours(protocol, "traces"))
    twin = exporter._twin.stock or (exporter._client and exporter._twin.stock)
    exporter.shutdown()
    assert twin._shutdown is exporter._shutdown is True
    log()
    assert exporter.export(item("traces")).name == "FAILURE"
    exporter.shutdown()
    assert log() == ["Exporter already shutdown, ignoring batch", "Exporter already shutdown, ignoring call"]


@each_protocol
def test_a_name_asked_for_after_the_shutdown(protocol: str, make: Any) -> None:
    exporter = make(ours(protocol, "traces"))
    exporter.shutdown()
    assert exporter._client is not None
    assert exporter._shutdown is True


@each_protocol
def test_shutdown_by_its_name(protocol: str, make: Any) -> None:
    exporter = make(ours(protocol, "traces"))
    exporter._shutdown = True
    assert exporter.export(item("traces")).name == "FAILURE"
    assert exporter.counts()["failed"] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_sends_by_the_twin_and_counts_its_own(http_receiver: Any, provider_to: Any) -> None:
    provider = provider_to(http_receiver)
    (processor,) = provider._active_span_processor._span_processors
    change_header(processor.span_exporter)
    provider.get_tracer("test").start_span("parent").end()
    child = os.fork()
    if child == 0:
        ok = False
        try:
            provider.get_tracer("test").start_span("child").end()
            counts = processor.force_flush(20_000) and processor.counts()
            ok = counts and (counts["created"], counts["exported"]) == (1, 1)
        finally:
            os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert provider.force_flush(20_000)
    wait_until(lambda: sorted(span.name for span in http_receiver.spans()) == ["child", "parent"], "both, once")
    assert processor.counts()["exported"] == 1


def test_the_exporters_own_metrics_are_of_one_component(
    receiver: Receiver, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    exporter = make(ours(receiver.protocol, "traces"), endpoint=receiver.endpoint, meter_provider=meters)
    exporter.export(item("traces"))
    change_header(exporter)
    exporter.export(item("traces"))
    (exported, in_flight) = (
        [
            (point.attributes["otel.component.name"], point.value)
            for resource in reader.get_metrics_data().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == f"otel.sdk.exporter.span.{name}"
            for point in metric.data.data_points
        ]
        for name in ("exported", "inflight")
    )
    ((component, count),) = exported
    assert count == 2
    assert in_flight == [(component, 0)]
    meters.shutdown()


@each_protocol
def test_an_exporter_with_a_twin_goes_away_with_its_last_reference(protocol: str) -> None:
    exporter = ours(protocol, "traces")(endpoint=NOBODY)
    assert exporter._client is not None
    exporter.shutdown()
    gone = weakref.ref(exporter)
    gc.disable()
    try:
        del exporter
        assert gone() is None
    finally:
        gc.enable()
