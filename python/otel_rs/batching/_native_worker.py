"""Batching for native exporters: the native batch processor, with the methods that upstream's worker has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otel_rs import _native

if TYPE_CHECKING:
    from otel_rs.batching._metrics import BatchProcessorMetrics


class NativeBatchProcessor:
    def __init__(
        self,
        exporter: Any,
        native: _native.BatchProcessor,
        push: Callable[[_native.BatchProcessor, Any], None],
        metrics: BatchProcessorMetrics | None,
    ) -> None:
        self._exporter = exporter
        self._native_processor = native
        self._push = push
        self._metrics = metrics
        self._is_shut_down = False

    def emit(self, data: Any) -> None:
        self._push(self._native_processor, data)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        # Whoever calls it again waits too: a signal or another thread may have begun it.
        self.drain(timeout_millis)
        if not self._is_shut_down:
            self._is_shut_down = True
            self._exporter.shutdown()

    def drain(self, timeout_millis: float) -> None:
        """Takes no more, and exports what it has. The exporter goes on."""
        self._native_processor.shutdown(timeout_millis)
        if self._metrics:
            self._metrics.record()

    def is_shut_down(self) -> bool:
        return self._native_processor.is_shut_down()

    def force_flush(self, timeout_millis: float) -> bool:
        return not self.is_shut_down() and self._native_processor.force_flush(timeout_millis)

    def counts(self) -> dict[str, int]:
        return self._native_processor.counts()
