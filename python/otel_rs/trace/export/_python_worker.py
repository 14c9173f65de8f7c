"""Batching for exporters written in Python: upstream's worker thread, with a flush that keeps its deadline."""

from __future__ import annotations

import threading
from typing import Any

from opentelemetry.sdk._shared_internal import BatchExportStrategy, BatchProcessor
from opentelemetry.sdk.trace import ReadableSpan


class PythonBatchProcessor(BatchProcessor[ReadableSpan]):
    def __init__(self, *args: Any) -> None:
        self._dropped = 0
        super().__init__(*args)

    def emit(self, data: ReadableSpan) -> None:
        # Upstream logs the drop, once a period, and drops the oldest.
        if self._shutdown or len(self._queue) >= self._max_queue_size:
            self._dropped += 1
        super().emit(data)

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        if self._shutdown:
            return False
        # A thread of its own, because an exporter that hangs cannot be interrupted.
        flush = threading.Thread(target=self._export, args=(BatchExportStrategy.EXPORT_ALL,), daemon=True)
        try:
            flush.start()
        except RuntimeError:
            # No thread can be started, as late in the interpreter's exit.
            self._export(BatchExportStrategy.EXPORT_ALL)
            return True
        flush.join(None if timeout_millis is None else timeout_millis / 1e3)
        return not flush.is_alive()

    def counts(self) -> dict[str, int]:
        return {"dropped": self._dropped, "pending": len(self._queue)}
