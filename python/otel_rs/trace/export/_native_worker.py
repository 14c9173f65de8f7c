"""Batching for native exporters: the pipeline, with the methods that upstream's worker has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter

from otel_rs import _native

if TYPE_CHECKING:
    from otel_rs.trace.export._metrics import PipelineMetrics


class NativeBatchProcessor:
    def __init__(
        self,
        exporter: SpanExporter,
        pipeline: _native.BatchProcessor,
        metrics: PipelineMetrics | None,
    ) -> None:
        self._exporter = exporter
        self._pipeline = pipeline
        self._metrics = metrics
        self._is_shut_down = False

    def emit(self, data: ReadableSpan) -> None:
        self._pipeline.push_span(data)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        # Whoever calls it again waits too: a signal or another thread may have begun it.
        self._pipeline.shutdown(timeout_millis)
        if not self._is_shut_down:
            self._is_shut_down = True
            self._exporter.shutdown()
            if self._metrics:
                self._metrics.record()

    def force_flush(self, timeout_millis: float) -> bool:
        return not self._pipeline.is_shut_down() and self._pipeline.force_flush(timeout_millis)

    def counts(self) -> dict[str, int]:
        return self._pipeline.counts()
