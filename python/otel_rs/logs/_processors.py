"""The processors of a logger provider."""

from __future__ import annotations

import logging

from opentelemetry.sdk import _logs as sdk

from otel_rs.batching.steps import Holder, NativeProcessor, with_native_steps
from otel_rs.logs import _stock

_logger = logging.getLogger("otel_rs.logs")


class NativeLogRecordProcessor(NativeProcessor, sdk.LogRecordProcessor):
    """A processor whose step native code takes."""

    _called_natively = frozenset({"on_emit"})


@with_native_steps
class SynchronousMultiLogRecordProcessor(Holder, NativeLogRecordProcessor, _stock.SynchronousMultiLogRecordProcessor):
    """Upstream's class, which also tells the native loggers of every change to its processors."""

    # A processor may change the record for those after it.
    _in_order = True

    def __init__(self) -> None:
        self._hold()
        super().__init__()

    @property
    def _log_record_processors(self) -> tuple[sdk.LogRecordProcessor, ...]:
        return self._all

    @_log_record_processors.setter
    def _log_record_processors(self, processors: tuple[sdk.LogRecordProcessor, ...]) -> None:
        self._set_all(processors)

    def on_emit(self, log_record: sdk.ReadWriteLogRecord) -> None:
        """Hands the record to each processor in turn. What one raises costs the others and the application nothing."""
        for processor in self._log_record_processors:
            try:
                processor.on_emit(log_record)
            except Exception as error:
                _logger.warning("A log record processor's on_emit raised: %s: %s", type(error).__name__, error)
