"""OTLP over gRPC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_COMPRESSION,
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_EXPORTER_OTLP_INSECURE,
    OTEL_EXPORTER_OTLP_TIMEOUT,
    OTEL_EXPORTER_OTLP_TRACES_COMPRESSION,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_HEADERS,
    OTEL_EXPORTER_OTLP_TRACES_INSECURE,
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT,
)

from otel_rs.exporter.otlp import _config
from otel_rs.exporter.otlp._exporter import NativeSpanExporter


class OTLPSpanExporter(NativeSpanExporter):
    """Sends spans by OTLP/gRPC. Variables have a form for traces (``OTEL_EXPORTER_OTLP_TRACES_...``) and a general one.

    Args:
        endpoint: ``http://host:port`` without TLS, ``https://host:port`` with it, or ``host:port``, where ``insecure``
            decides. Default: ``OTEL_EXPORTER_OTLP_[TRACES_]ENDPOINT``, ``http://localhost:4317``.
        insecure: No TLS. Default: ``OTEL_EXPORTER_OTLP_[TRACES_]INSECURE``, else by the endpoint's scheme.
        credentials: Ignored: there is no grpcio here.
        headers: Sent with every request, in place of ``OTEL_EXPORTER_OTLP_[TRACES_]HEADERS``, which is the default.
        timeout: Seconds for one export, retries included. Default: ``OTEL_EXPORTER_OTLP_[TRACES_]TIMEOUT``, 10.
        compression: ``Compression.Gzip`` or none. Default: ``OTEL_EXPORTER_OTLP_[TRACES_]COMPRESSION``, none.
        channel_options: Ignored: there is no grpcio here.
        retryable_error_codes: Ignored: the specification's are retried.
        meter_provider: Ignored for now.

    Raises:
        ValueError: The endpoint, a header's name, the timeout or the compression cannot be used.

    Specification: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
    """

    def __init__(
        self,
        endpoint: str | None = None,
        insecure: bool | None = None,
        credentials: object = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | str | None = None,
        timeout: float | None = None,
        compression: object = None,
        channel_options: object = None,
        retryable_error_codes: object = None,
        *,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        _config.warn_of_unsupported(
            credentials=credentials, channel_options=channel_options, retryable_error_codes=retryable_error_codes
        )
        super().__init__(
            "grpc",
            _config.grpc_endpoint(
                endpoint,
                insecure,
                (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT),
                (OTEL_EXPORTER_OTLP_TRACES_INSECURE, OTEL_EXPORTER_OTLP_INSECURE),
            ),
            _config.grpc_headers(headers, OTEL_EXPORTER_OTLP_TRACES_HEADERS, OTEL_EXPORTER_OTLP_HEADERS),
            _config.timeout(timeout, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT, OTEL_EXPORTER_OTLP_TIMEOUT),
            _config.compression(compression, OTEL_EXPORTER_OTLP_TRACES_COMPRESSION, OTEL_EXPORTER_OTLP_COMPRESSION),
        )
