"""What the OTLP exporters have in common: a native connection."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.environment_variables import OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED
from opentelemetry.sdk.environment_variables._internal import parse_boolean_environment_variable
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_rs import _exit as _exit  # bounds what exports wait for at the end
from otel_rs import _native
from otel_rs.exporter.otlp._config import Signal
from otel_rs.exporter.otlp._connection import Connection

if TYPE_CHECKING:
    from otel_rs.exporter.otlp._exporter_metrics import ExporterMetrics

_logger = logging.getLogger(__name__)


class NativeExporter:
    """What does not depend on the signal."""

    _said_by: logging.Logger = _logger
    _signal: Signal
    _metrics: ExporterMetrics | None = None

    def _use(self, connection: Connection, meter_provider: MeterProvider | None) -> None:
        self._native, self._endpoint, self._timeout = connection
        self._measure(meter_provider)

    def _measure(self, meter_provider: MeterProvider | None) -> None:
        """The SDK's own metrics go to this provider, or to the global one, from now on."""
        if not parse_boolean_environment_variable(OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED):
            return
        # Not imported where nobody measures.
        from otel_rs.exporter.otlp._exporter_metrics import ExporterMetrics

        self._tell()
        self._metrics = ExporterMetrics(self._native, self._signal, self._endpoint, meter_provider)

    def _tell(self) -> None:
        if self._metrics:
            self._metrics.tell()

    def counts(self) -> dict[str, int]:
        """What became of what was given to it, by ``export`` and by processors: spans, data points
        or log records.

        ``exported`` the receiver accepted; ``rejected`` it refused in a request that it took;
        ``failed`` were in exports that failed; ``dropped`` were too large for the receiver each by itself;
        ``in_flight`` are in exports under way. ``retries`` are attempts after a first one that failed. ``bytes`` are
        those of the requests before compression, once whatever the number of attempts, and once more for the parts of
        a request that was too large.

        They are this process's: a forked child's start at zero.
        """
        return self._native.counts()

    def _takes_no_more(self) -> bool:
        if self._native.is_shut_down():
            self._said_by.warning("Exporter already shutdown, ignoring batch")
            return True
        return False

    def _shut_down(self) -> None:
        if not self._native.shutdown():
            self._said_by.warning("Exporter already shutdown, ignoring call")
        self._tell()


class NativeSpanExporter(NativeExporter, SpanExporter):
    """Base of the OTLP span exporters. ``export`` takes native and stock spans alike."""

    _signal = "traces"

    def __init__(self, connection: Connection, meter_provider: MeterProvider | None) -> None:
        self._use(connection, meter_provider)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends the spans and waits for the outcome, retries included, with the GIL released."""
        if self._takes_no_more():
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if self._native.export_spans(spans) else SpanExportResult.FAILURE

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
