"""What the OTLP span exporters have in common."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_rs import _native
from otel_rs.exporter.otlp._exporter import Arguments, NativeExporter, native_part
from otel_rs.exporter.otlp._stock import stock_class_for


class NativeSpanExporter(NativeExporter, SpanExporter):
    """Base of the OTLP span exporters. ``export`` takes native and stock spans alike."""

    _signal = "traces"

    def __init__(self, arguments: Arguments, meter_provider: MeterProvider | None) -> None:
        self._prepare(arguments, meter_provider)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends the spans and waits for the outcome, retries included, with the GIL released."""
        if not isinstance(self, NativeSpanExporter):  # borrowed by another class
            of_stock: SpanExportResult = stock_class_for(self, "traces").export(self, spans)
            return of_stock
        if self._stock_exports():
            result: SpanExportResult = self._export_by_stock(spans, len(spans))
            return result
        if self._refuses_after_shutdown():
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if self._native.export_spans(spans) else SpanExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Takes no more spans; an export under way goes on, but is not tried again."""
        if not isinstance(self, NativeSpanExporter):  # borrowed by another class
            stock_class_for(self, "traces").shutdown(self)
            return
        self._shut_down()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here: True."""
        return True


def native_exporter(exporter: object) -> _native.OtlpExporter | None:
    """The native part that a processor may use in the exporter's place, unless Python has to be called."""
    return native_part(exporter, NativeSpanExporter)
