"""The names of ``opentelemetry.sdk._logs``, with provider, logger and handler native.

What has no cost worth saving is upstream's own object, so that isinstance checks and subclasses mean the same.
"""

from opentelemetry.sdk._logs import (
    ConcurrentMultiLogRecordProcessor,
    LogRecordDroppedAttributesWarning,
    LogRecordLimits,
    LogRecordProcessor,
    ReadableLogRecord,
    ReadWriteLogRecord,
)

from otel_rs._imported import is_imported
from otel_rs.logs._handler import LoggingHandler
from otel_rs.logs._logger import Logger
from otel_rs.logs._processors import SynchronousMultiLogRecordProcessor
from otel_rs.logs._provider import LoggerProvider

__all__ = [
    "ConcurrentMultiLogRecordProcessor",
    "LogRecordDroppedAttributesWarning",
    "LogRecordLimits",
    "LogRecordProcessor",
    "Logger",
    "LoggerProvider",
    "LoggingHandler",
    "ReadWriteLogRecord",
    "ReadableLogRecord",
    "SynchronousMultiLogRecordProcessor",
]

is_imported(__name__)
