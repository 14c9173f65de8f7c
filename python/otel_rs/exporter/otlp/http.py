"""OTLP over HTTP, with binary protobuf."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_COMPRESSION,
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_EXPORTER_OTLP_TIMEOUT,
    OTEL_EXPORTER_OTLP_TRACES_COMPRESSION,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_HEADERS,
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT,
)

from otel_rs.exporter.otlp import _config
from otel_rs.exporter.otlp._exporter import NativeSpanExporter


class OTLPSpanExporter(NativeSpanExporter):
    """Sends spans by OTLP/HTTP. Variables have a form for traces (``OTEL_EXPORTER_OTLP_TRACES_...``) and a general one.

    Args:
        endpoint: The full URL, used as it is. Default: ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` as it is, or
            ``OTEL_EXPORTER_OTLP_ENDPOINT`` with ``/v1/traces`` behind it, ``http://localhost:4318/v1/traces``.
        certificate_file: Ignored for now: the system's certificates count.
        client_key_file: Ignored for now.
        client_certificate_file: Ignored for now.
        headers: Sent with every request, over those of ``OTEL_EXPORTER_OTLP_[TRACES_]HEADERS``.
        timeout: Seconds for one export, retries included. Default: ``OTEL_EXPORTER_OTLP_[TRACES_]TIMEOUT``, 10.
        compression: ``Compression.Gzip`` or none. Default: ``OTEL_EXPORTER_OTLP_[TRACES_]COMPRESSION``, none.
        session: Ignored: there is no requests here.
        max_request_size: Ignored for now.
        meter_provider: Ignored for now.

    Raises:
        ValueError: The endpoint, a header's name, the timeout or the compression cannot be used.

    Specification: https://opentelemetry.io/docs/specs/otlp/#otlphttp
    """

    def __init__(
        self,
        endpoint: str | None = None,
        certificate_file: str | None = None,
        client_key_file: str | None = None,
        client_certificate_file: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        compression: object = None,
        session: object = None,
        *,
        max_request_size: int | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        _config.warn_of_unsupported(
            certificate_file=certificate_file,
            client_key_file=client_key_file,
            client_certificate_file=client_certificate_file,
            session=session,
            max_request_size=max_request_size,
        )
        super().__init__(
            "http/protobuf",
            _config.http_endpoint(
                endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT, "v1/traces"
            ),
            _config.headers(headers, OTEL_EXPORTER_OTLP_TRACES_HEADERS, OTEL_EXPORTER_OTLP_HEADERS),
            _config.timeout(timeout, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT, OTEL_EXPORTER_OTLP_TIMEOUT),
            _config.compression(compression, OTEL_EXPORTER_OTLP_TRACES_COMPRESSION, OTEL_EXPORTER_OTLP_COMPRESSION),
        )
