"""Batches that are too long for a request or for the receiver are split; no span that fits is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otel_rs import BatchSpanProcessor, TracerProvider

from ..support.receiver import Answer, HttpReceiver

DEFAULT_MAX_REQUEST_BYTES = 3584 * 1024
HUGE = str(2**40)


class PickyReceiver(HttpReceiver):
    """Answers 413 to requests above a given length."""

    max_bytes: int = 2**60

    def __init__(self) -> None:
        self.refused: list[int] = []
        super().__init__()

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        if len(body) > self.max_bytes:
            self.refused.append(len(body))
            return Answer(413, body=b"that is too much")
        return super()._take(body, headers, path, encoded_size)


@pytest.fixture
def picky() -> Iterator[PickyReceiver]:
    receiver = PickyReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def end_spans(provider_to: Callable[..., Any]) -> Callable[..., Any]:
    """`end_spans(receiver, sizes)` ends spans with attributes of these sizes, flushes, and returns the processor."""

    def make(receiver: Any, sizes: list[int], processor: Any = None, **settings: Any) -> Any:
        if processor is None:
            provider = provider_to(receiver, {"max_export_batch_size": 100_000, **settings})
            (processor,) = provider._active_span_processor._span_processors
            processor.tracer = provider.get_tracer("test")
        for number, size in enumerate(sizes):
            processor.tracer.start_span(f"span {number}", attributes={"large": "x" * size}).end()
        assert processor.force_flush()
        return processor

    return make


def lengths(receiver: Any) -> list[int]:
    return [request.message.ByteSize() for request in receiver.requests]


def exported(receiver: Any) -> list[str]:
    return sorted(span.name for span in receiver.spans())


def names(sizes: list[int]) -> list[str]:
    return sorted(f"span {number}" for number in range(len(sizes)))


def settled(counts: dict[str, int]) -> bool:
    parts = ("exported", "rejected", "failed", "dropped")
    return counts["created"] == sum(counts[part] for part in parts) and counts["pending"] == counts["in_flight"] == 0


def test_a_batch_ends_before_it_is_too_long_for_a_grpc_server(receiver: Any, end_spans: Any) -> None:
    """The gRPC receiver has the default limit of 4 MiB, and refuses longer requests."""
    sizes = [30_000] * 500
    processor = end_spans(receiver, sizes)
    assert exported(receiver) == names(sizes)
    assert max(lengths(receiver)) <= DEFAULT_MAX_REQUEST_BYTES
    assert len(receiver.requests) == 5
    assert processor.counts()["exported"] == 500
    assert processor.span_exporter.counts()["bytes"] == sum(lengths(receiver))


@pytest.mark.parametrize("limit", [1, 500, 5_000, 123_456])
def test_the_length_of_requests_can_be_set(receiver: Any, end_spans: Any, monkeypatch: Any, limit: int) -> None:
    monkeypatch.setenv("OTEL_RS_EXPORTER_MAX_REQUEST_BYTES", str(limit))
    sizes = [10, 2_000, 300, 0, 400] * 20
    processor = end_spans(receiver, sizes)
    assert exported(receiver) == names(sizes)
    for request in receiver.requests:
        spans = sum(len(scope.spans) for resource in request.message.resource_spans for scope in resource.scope_spans)
        assert request.message.ByteSize() <= limit or spans == 1
    assert settled(processor.counts())


@pytest.mark.parametrize(("exporters", "processors"), [(5_000, HUGE), (5_000, "9000"), (9_000, "5000"), (0, "5000")])
def test_the_smaller_of_the_two_limits_applies(
    http_receiver: Any, exporter_to: Any, monkeypatch: Any, exporters: int, processors: str
) -> None:
    """A batch processor does not drop spans because of ``max_request_size``: it makes shorter requests."""
    monkeypatch.setenv("OTEL_RS_EXPORTER_MAX_REQUEST_BYTES", processors)
    provider = TracerProvider(shutdown_on_exit=False)
    processor = BatchSpanProcessor(
        exporter_to(http_receiver, max_request_size=exporters), schedule_delay_millis=3_600_000
    )
    provider.add_span_processor(processor)
    for size in [1_000] * 20 + [20_000]:
        provider.get_tracer("test").start_span("span", attributes={"large": "x" * size}).end()
    assert processor.force_flush()
    processor.shutdown()
    assert len(http_receiver.spans()) == 21
    *parts, alone = sorted(lengths(http_receiver))
    assert 3_000 < max(parts) <= 5_000
    assert alone > 20_000


def test_the_limit_applies_before_compression(http_receiver: Any, exporter_to: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OTEL_RS_EXPORTER_MAX_REQUEST_BYTES", "10000")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter_to(http_receiver, compression="gzip")))
    for _ in range(20):
        provider.get_tracer("test").start_span("span", attributes={"large": "x" * 2_000}).end()
    provider.shutdown()
    assert len(http_receiver.requests) == 5
    assert max(lengths(http_receiver)) <= 10_000


@pytest.mark.parametrize("size", [100, 5_000])
def test_long_requests_are_compressed_like_short_ones(receiver: Any, exporter_to: Any, size: int) -> None:
    """Long requests are compressed on a separate thread."""
    provider = TracerProvider(shutdown_on_exit=False)
    processor = BatchSpanProcessor(exporter_to(receiver, compression="gzip"))
    provider.add_span_processor(processor)
    sizes = [size] * 100
    for number, size in enumerate(sizes):
        provider.get_tracer("test").start_span(f"span {number}", attributes={"large": "x" * size}).end()
    provider.shutdown()
    assert exported(receiver) == names(sizes)
    assert processor.counts()["exported"] == 100
    (request,) = receiver.requests
    if isinstance(receiver, HttpReceiver):
        assert request.encoded_size < request.message.ByteSize() / 2


def test_a_batch_too_large_for_a_grpc_server_is_split(grpc_receiver: Any, end_spans: Any, monkeypatch: Any) -> None:
    """The server answers: RESOURCE_EXHAUSTED, received message larger than max."""
    monkeypatch.setenv("OTEL_RS_EXPORTER_MAX_REQUEST_BYTES", HUGE)
    sizes = [30_000] * 500
    processor = end_spans(grpc_receiver, sizes)
    assert exported(grpc_receiver) == names(sizes)
    assert settled(counts := processor.counts())
    assert counts["exported"] == 500
    assert len(grpc_receiver.requests) == 4


def test_a_batch_too_large_for_an_http_server_is_split(picky: Any, end_spans: Any, caplog: Any) -> None:
    picky.max_bytes = 100_000
    sizes = [number * 37 % 3_000 for number in range(300)]
    processor = end_spans(picky, sizes)
    assert exported(picky) == names(sizes)
    assert max(lengths(picky)) <= 100_000
    assert processor.counts()["exported"] == 300
    assert caplog.text == "", "no warning is logged"


def test_later_batches_fit_the_size_learned(picky: Any, end_spans: Any) -> None:
    picky.max_bytes = 400_000
    sizes = [3_000] * 300
    processor = end_spans(picky, sizes)
    assert picky.refused
    picky.refused.clear()
    for _ in range(3):
        end_spans(picky, sizes, processor)
    assert picky.refused == []
    assert processor.counts()["exported"] == 1_200


def test_a_span_too_large_by_itself_is_dropped_and_logged(picky: Any, end_spans: Any, caplog: Any) -> None:
    picky.max_bytes = 5_000
    sizes = [10] * 20 + [6_000] + [10] * 20 + [7_000]
    processor = end_spans(picky, sizes)
    assert exported(picky) == sorted(set(names(sizes)) - {"span 20", "span 41"})
    assert settled(counts := processor.counts())
    assert (counts["exported"], counts["dropped"], counts["failed"]) == (40, 2, 0)
    assert processor.span_exporter.counts()["dropped"] == 2
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("otel_rs.export", "ERROR")
    assert record.getMessage().startswith('Dropping the span "span 20" of 60')
    assert "413" in record.getMessage()


def test_a_span_above_the_request_limit_is_sent_alone(picky: Any, end_spans: Any) -> None:
    sizes = [10, DEFAULT_MAX_REQUEST_BYTES + 1, 10, 10]
    end_spans(picky, sizes)
    assert exported(picky) == names(sizes)
    assert [len(request.message.resource_spans[0].scope_spans[0].spans) for request in picky.requests] in (
        [1, 1, 2],
        [1, 2, 1],
        [2, 1, 1],
    )


def test_a_direct_export_is_split_too(picky: Any, exporter_to: Any, provider: Any, memory: Any) -> None:
    for number in range(50):
        provider.get_tracer("test").start_span(f"span {number}", attributes={"large": "x" * 500}).end()
    picky.max_bytes = 5_000
    exporter = exporter_to(picky)
    assert exporter.export(memory.get_finished_spans()).name == "SUCCESS"
    assert exported(picky) == names([500] * 50)
    assert exporter.counts()["exported"] == 50
    picky.max_bytes = 100
    assert exporter.export(memory.get_finished_spans()).name == "FAILURE"
    assert exporter.counts()["dropped"] == 50


def test_scopes_and_resources_stay_with_their_spans(picky: Any, provider_to: Any) -> None:
    from opentelemetry.sdk.resources import Resource

    provider = provider_to(picky, {"max_export_batch_size": 1000}, resource=Resource({"service.name": "parts"}))
    picky.max_bytes = 3_000
    for number in range(200):
        scope = f"scope {number % 3}"
        tracer = provider.get_tracer(scope, f"{number % 3}.0", "https://schema.test", {"number": number % 3})
        tracer.start_span(scope, attributes={"large": "x" * 100}).end()
    assert provider.force_flush()
    seen = 0
    for request in picky.requests:
        for resource in request.message.resource_spans:
            assert resource.resource.attributes[0].value.string_value == "parts"
            for scope in resource.scope_spans:
                assert (scope.scope.version, scope.schema_url) == (f"{scope.scope.name[-1]}.0", "https://schema.test")
                assert scope.scope.attributes[0].value.int_value == int(scope.scope.name[-1])
                assert {span.name for span in scope.spans} == {scope.scope.name}
                seen += len(scope.spans)
    assert seen == 200
    assert len(picky.requests) > 10
