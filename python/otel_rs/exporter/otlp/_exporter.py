"""What the OTLP exporters have in common: a native connection."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_rs import _native
from otel_rs.exporter.otlp._connection import Connection

_logger = logging.getLogger(__name__)


class NativeExporter:
    """What does not depend on the signal."""

    _said_by: logging.Logger = _logger

    def _use(self, connection: Connection) -> None:
        self._native, self._endpoint, self._timeout = connection

    def _takes_no_more(self) -> bool:
        if self._native.is_shut_down():
            self._said_by.warning("Exporter already shutdown, ignoring batch")
            return True
        return False

    def _shut_down(self) -> None:
        if not self._native.shutdown():
            self._said_by.warning("Exporter already shutdown, ignoring call")


class NativeSpanExporter(NativeExporter, SpanExporter):
    """Base of the OTLP span exporters. ``export`` takes native and stock spans alike."""

    def __init__(self, connection: Connection) -> None:
        self._use(connection)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends the spans and waits for the outcome, retries included, with the GIL released."""
        if self._takes_no_more():
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if self._native.export(spans) else SpanExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Takes no more spans; an export under way goes on, but is not tried again."""
        self._shut_down()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here: True."""
        return True


def native_exporter(exporter: object) -> _native.OtlpExporter | None:
    """The native part that a pipeline may use in the exporter's place, unless a subclass has its own ``export``."""
    if not isinstance(exporter, NativeSpanExporter):
        return None
    if type(exporter).export is not NativeSpanExporter.export or "export" in vars(exporter):
        return None
    return exporter._native
