"""What the OTLP span exporters have in common: a native connection."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_rs import _native
from otel_rs.exporter.otlp._config import Endpoint

_logger = logging.getLogger(__name__)

# The specification's form: the exporter's kind and version first.
_USER_AGENT = f"OTel-OTLP-Exporter-Python/{_native.__version__} (otel-rs)"


class NativeSpanExporter(SpanExporter):
    """Base of the OTLP span exporters. ``export`` takes native and stock spans alike."""

    def __init__(
        self, protocol: str, endpoint: Endpoint, headers: dict[str, str], timeout: float, compression: str
    ) -> None:
        self._endpoint = endpoint.url
        self._timeout = timeout
        try:
            self._native = _native.OtlpExporter(
                protocol, endpoint.url, list(headers.items()), timeout, compression, _USER_AGENT
            )
        except ValueError as error:
            if endpoint.source.startswith("OTEL_") and "endpoint" in str(error):
                raise ValueError(f"{endpoint.source}: {error}") from None
            raise

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends the spans and waits for the outcome, retries included, with the GIL released."""
        if self._native.is_shut_down():
            _logger.warning("Exporter already shutdown, ignoring batch")
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if self._native.export(spans) else SpanExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Takes no more spans; an export under way goes on."""
        if not self._native.shutdown():
            _logger.warning("Exporter already shutdown, ignoring call")

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
