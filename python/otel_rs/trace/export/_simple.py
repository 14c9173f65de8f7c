"""The simple processor: each span is exported as it ends, on the thread that ends it."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan

from otel_rs._shown import shown
from otel_rs.exporter.otlp._spans import native_exporter
from otel_rs.trace import _stock


class SimpleSpanProcessor(_stock.SimpleSpanProcessor):
    """Exports each span as it ends. Behaves as ``opentelemetry.sdk.trace.export``'s.

    The application waits for every export, with the GIL released where the exporter is one of
    ``otel_rs.exporter.otlp``: for tests and scripts.

    Specification: https://opentelemetry.io/docs/specs/otel/trace/sdk/#simple-processor
    """

    def __repr__(self) -> str:
        return shown(self, "exporter", lambda: self.span_exporter)

    def on_end(self, span: ReadableSpan) -> None:
        """Exports the span, if it is sampled."""
        native = native_exporter(self.span_exporter)
        if native is None or self._shutdown:
            # Not by `super()`: another class may have borrowed this.
            _stock.SimpleSpanProcessor.on_end(self, span)
        elif span.context and span.context.trace_flags.sampled:
            # No instrumentation sees what a native exporter does, so there is none to be suppressed meanwhile.
            self._metrics.finish_items(1)
            native.export_spans((span,))
