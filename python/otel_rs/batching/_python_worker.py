"""Batching for exporters written in Python: upstream's worker thread, with a flush that keeps its deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk._shared_internal import BatchExportStrategy, BatchProcessor

from otel_rs import _native

# Calls the function with the argument.
RunExport = Callable[[Callable[[Any], None], Any], None]


def run_plainly(export: Callable[[Any], None], argument: Any) -> None:
    export(argument)


class _CountedExporter:
    """An exporter, and what became of what it got. One thread at a time exports."""

    def __init__(self, exporter: Any, failure: object) -> None:
        self._exporter = exporter
        self._failure = failure
        self.exported = self.failed = self.in_flight = 0

    def export(self, batch: list[Any]) -> None:
        self.in_flight = len(batch)
        delivered = False
        try:
            # Some return nothing.
            delivered = self._exporter.export(batch) is not self._failure
        finally:
            if delivered:
                self.exported += len(batch)
            else:
                self.failed += len(batch)
            self.in_flight = 0


class PythonBatchProcessor(BatchProcessor[Any]):
    def __init__(self, failure: object, run_export: RunExport, exporter: Any, *args: Any) -> None:
        self._failure = failure
        self._run_export = run_export
        self._counted = _CountedExporter(exporter, failure)
        self._dropped = 0
        self._flushing = threading.Lock()
        self._this_thread = threading.local()
        super().__init__(exporter, *args)

    @property
    def _exporter(self) -> Any:
        """What upstream calls to export is not what it, and others, call otherwise."""
        return self._counted if getattr(self._this_thread, "exports", False) else self._given_exporter

    @_exporter.setter
    def _exporter(self, exporter: Any) -> None:
        self._given_exporter = exporter

    def _at_fork_reinit(self) -> None:
        self._flushing = threading.Lock()
        self._counted = _CountedExporter(self._given_exporter, self._failure)
        self._dropped = 0
        super()._at_fork_reinit()

    def emit(self, data: Any) -> None:
        # Upstream logs the drop, once a period, and drops the oldest.
        if self._shutdown or len(self._queue) >= self._max_queue_size:
            self._dropped += 1
        super().emit(data)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        # Upstream declares whole milliseconds, and divides.
        super().shutdown(_native.bounded_by_exit(timeout_millis))  # type: ignore[arg-type]

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        # An exporter that flushes from within its export would wait for itself.
        if self._shutdown or getattr(self._this_thread, "exports", False):
            return False
        timeout = -1 if timeout_millis is None else max(timeout_millis, 0) / 1e3
        # One flush at a time, on a thread of its own, because an exporter that hangs cannot be interrupted.
        if not self._flushing.acquire(timeout=timeout):
            return False
        done = threading.Event()
        try:
            threading.Thread(target=self._flush, args=(done,), daemon=True).start()
        except RuntimeError:
            # No thread can be started, as late in the interpreter's exit.
            self._flush(done)
        except BaseException:
            self._flushing.release()
            raise
        return done.wait(None if timeout_millis is None else timeout)

    def _flush(self, done: threading.Event) -> None:
        try:
            self._export(BatchExportStrategy.EXPORT_ALL)
        finally:
            self._flushing.release()
            done.set()

    def _export(self, batch_strategy: BatchExportStrategy) -> None:
        self._this_thread.exports = True
        try:
            self._run_export(super()._export, batch_strategy)
        finally:
            self._this_thread.exports = False

    def counts(self) -> dict[str, int]:
        counted = self._counted
        counts = {
            "exported": counted.exported,
            "rejected": 0,
            "failed": counted.failed,
            "dropped": self._dropped,
            "pending": len(self._queue) + counted.in_flight,
        }
        return {"created": sum(counts.values()), **counts, "in_flight": counted.in_flight}
