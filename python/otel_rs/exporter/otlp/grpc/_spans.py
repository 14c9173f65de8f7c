"""The span exporter."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider

from otel_rs.exporter.otlp._config import Headers
from otel_rs.exporter.otlp._connection import grpc_connection
from otel_rs.exporter.otlp._exporter import NativeSpanExporter


class OTLPSpanExporter(NativeSpanExporter):
    """Sends spans by OTLP/gRPC. The arguments in common are those of ``otel_rs.exporter.otlp.grpc``."""

    __module__ = "otel_rs.exporter.otlp.grpc"

    def __init__(
        self,
        endpoint: str | None = None,
        insecure: bool | None = None,
        credentials: object = None,
        headers: Headers | None = None,
        timeout: float | None = None,
        compression: object = None,
        channel_options: object = None,
        retryable_error_codes: object = None,
        *,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        super().__init__(
            grpc_connection(
                "traces",
                endpoint,
                insecure,
                credentials,
                headers,
                timeout,
                compression,
                channel_options,
                retryable_error_codes,
            ),
            meter_provider,
        )
