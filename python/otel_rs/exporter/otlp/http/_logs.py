"""The log exporter."""

from __future__ import annotations

import os

from opentelemetry.metrics import MeterProvider

from otel_rs.exporter.otlp._config import Headers
from otel_rs.exporter.otlp._logs import NativeLogExporter
from otel_rs.exporter.otlp.http._arguments import HttpArguments
from otel_rs.exporter.otlp.http._stock_names import HttpStockNames


class OTLPLogExporter(HttpStockNames, NativeLogExporter):
    """Sends log records by OTLP/HTTP. The arguments in common are those of ``otel_rs.exporter.otlp.http``."""

    __module__ = "otel_rs.exporter.otlp.http"

    def __init__(
        self,
        endpoint: str | None = None,
        certificate_file: str | os.PathLike[str] | None = None,
        client_key_file: str | os.PathLike[str] | None = None,
        client_certificate_file: str | os.PathLike[str] | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,
        compression: object = None,
        session: object = None,
        *,
        max_request_size: int | None = None,
        meter_provider: MeterProvider | None = None,
        protocol: str | None = None,
        _transport: object = None,
    ) -> None:
        super().__init__(
            HttpArguments(
                endpoint=endpoint,
                certificate_file=certificate_file,
                client_key_file=client_key_file,
                client_certificate_file=client_certificate_file,
                headers=headers,
                timeout=timeout,
                compression=compression,
                session=session,
                max_request_size=max_request_size,
                protocol=protocol,
                transport=_transport,
            ),
            meter_provider,
        )
