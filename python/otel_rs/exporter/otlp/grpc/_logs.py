"""The log exporter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.metrics import MeterProvider

from otel_rs.exporter.otlp._config import Headers
from otel_rs.exporter.otlp._logs import NativeLogExporter
from otel_rs.exporter.otlp.grpc._arguments import GrpcArguments
from otel_rs.exporter.otlp.grpc._stock_names import GrpcStockNames


class OTLPLogExporter(GrpcStockNames, NativeLogExporter):
    """Sends log records by OTLP/gRPC. The arguments in common are those of ``otel_rs.exporter.otlp.grpc``."""

    __module__ = "otel_rs.exporter.otlp.grpc"

    def __init__(
        self,
        endpoint: str | None = None,
        insecure: bool | None = None,
        credentials: object = None,
        headers: Headers | None = None,
        timeout: float | None = None,
        compression: object = None,
        channel_options: Iterable[Any] | None = None,
        retryable_error_codes: object = None,
        *,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        super().__init__(
            GrpcArguments(
                endpoint=endpoint,
                insecure=insecure,
                credentials=credentials,
                headers=headers,
                timeout=timeout,
                compression=compression,
                channel_options=channel_options,
                retryable_error_codes=retryable_error_codes,
            ),
            meter_provider,
        )
