"""Batching where an exporter was native, and is a Python one since."""

from __future__ import annotations

import time
from typing import Any

from otel_rs.batching._native_worker import NativeBatchProcessor
from otel_rs.batching._python_worker import PythonBatchProcessor


class SuccessiveProcessors:
    """What the native batch processor has it exports still; the Python one gets what comes."""

    def __init__(self, before: NativeBatchProcessor, now: PythonBatchProcessor) -> None:
        self._before = before
        self._now = now

    @property
    def _exporter(self) -> object:
        return self._now._exporter

    def emit(self, data: Any) -> None:
        self._now.emit(data)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        until = time.monotonic() + timeout_millis / 1e3
        self._before.drain(timeout_millis)
        self._now.shutdown(_millis_until(until))

    def force_flush(self, timeout_millis: float) -> bool:
        until = time.monotonic() + timeout_millis / 1e3
        before = self._before.force_flush(timeout_millis)
        return self._now.force_flush(_millis_until(until)) and before

    def counts(self) -> dict[str, int]:
        before, now = self._before.counts(), self._now.counts()
        return {name: before[name] + now[name] for name in before}


def _millis_until(until: float) -> float:
    return max(until - time.monotonic(), 0) * 1e3
