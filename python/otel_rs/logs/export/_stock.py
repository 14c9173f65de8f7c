"""Upstream's processors that `install` replaces, whatever is in their place when this is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
else:
    from opentelemetry.sdk._logs import export

    from otel_rs.logs._stock import of_upstream

    BatchLogRecordProcessor = of_upstream(export.BatchLogRecordProcessor)
    SimpleLogRecordProcessor = of_upstream(export.SimpleLogRecordProcessor)

__all__ = ["BatchLogRecordProcessor", "SimpleLogRecordProcessor"]
