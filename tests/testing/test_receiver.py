"""The receiver of `otel_rs.testing`: what an exporter was told has arrived can be read."""

from __future__ import annotations

from typing import Any

import pytest

from otel_rs import TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpExporter
from otel_rs.testing import Receiver
from otel_rs.trace.export import BatchSpanProcessor


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_span_is_there_once_it_was_flushed(protocol: str) -> None:
    with Receiver() as receiver:
        exporter: Any = (
            GrpcExporter(endpoint=receiver.grpc_endpoint)
            if protocol == "grpc"
            else HttpExporter(endpoint=f"{receiver.http_endpoint}/v1/traces")
        )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("test")
        for number in range(1, 301):
            tracer.start_span("span").end()
            assert provider.force_flush()
            assert len(receiver.traces()) == number
        provider.shutdown()
