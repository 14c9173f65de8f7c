"""A native connection, made of an exporter's arguments and the environment."""

from __future__ import annotations

import logging
import os
from typing import NamedTuple

from otel_rs import _native
from otel_rs.exporter.otlp import _config
from otel_rs.exporter.otlp._config import Headers, Setting, Signal, TlsFiles
from otel_rs.exporter.otlp._grpc_codes import retryable_codes
from otel_rs.exporter.otlp._tls import TlsCredentials

_logger = logging.getLogger(__name__)

# The specification's form: the exporter's kind and version first.
_USER_AGENT = f"OTel-OTLP-Exporter-Python/{_native.__version__} (otel-rs)"

# Upstream's.
_DEFAULT_MAX_REQUEST_SIZE = 64 * 1024 * 1024


class ExporterConfig(NamedTuple):
    """What the native exporter is made of; its settings have been checked."""

    signal: Signal
    protocol: str
    endpoint: str
    headers: list[tuple[str, str]]
    timeout: float
    """Seconds."""
    compression: str
    user_agent: str
    certificate_file: str | None
    client_key_file: str | None
    client_certificate_file: str | None
    max_data_points: int | None
    """Of one request of metrics."""
    max_request_size: int
    """Bytes, before compression; 0 is no limit."""
    retryable_codes: list[int] | None
    """gRPC's, by number; None for the specification's."""


class Connection(NamedTuple):
    native: _native.OtlpExporter
    endpoint: str
    timeout: float


def grpc_connection(
    signal: Signal,
    endpoint: str | None,
    insecure: bool | None,
    credentials: object,
    headers: Headers | None,
    timeout: float | None,
    compression: object,
    channel_options: object,
    retryable_error_codes: object,
    max_data_points: int | None = None,
) -> Connection:
    _config.warn_of_unsupported(channel_options=channel_options)
    if credentials is None:
        credentials = TlsCredentials()
    elif not isinstance(credentials, TlsCredentials):
        _logger.warning(
            "credentials of the type %s cannot be read without grpcio and are ignored; accepted: %s.%s",
            type(credentials).__qualname__,
            __package__,
            TlsCredentials.__qualname__,
        )
        credentials = TlsCredentials()
    files = credentials.certificate_file, credentials.client_key_file, credentials.client_certificate_file
    return _connect(
        signal,
        "grpc",
        _config.grpc_endpoint(endpoint, insecure, signal),
        _config.grpc_headers(headers, signal),
        _config.timeout(timeout, signal),
        _config.compression(compression, signal, _config.GRPC_COMPRESSIONS),
        _config.tls_files(*files, signal),
        max_data_points,
        max_request_size=0,
        retryable_codes=retryable_codes(retryable_error_codes),
    )


def http_connection(
    signal: Signal,
    endpoint: str | None,
    certificate_file: str | os.PathLike[str] | None,
    client_key_file: str | os.PathLike[str] | None,
    client_certificate_file: str | os.PathLike[str] | None,
    headers: Headers | None,
    timeout: float | None,
    compression: object,
    session: object,
    max_request_size: int | None,
    protocol: str | None,
    max_data_points: int | None = None,
) -> Connection:
    _config.warn_of_unsupported(session=session)
    return _connect(
        signal,
        _config.http_protocol(protocol, signal),
        _config.http_endpoint(endpoint, signal),
        _config.http_headers(headers, signal),
        _config.timeout(timeout, signal),
        _config.compression(compression, signal, _config.HTTP_COMPRESSIONS),
        _config.tls_files(certificate_file, client_key_file, client_certificate_file, signal),
        max_data_points,
        _DEFAULT_MAX_REQUEST_SIZE if max_request_size is None else max(max_request_size, 0),
    )


def _connect(
    signal: Signal,
    protocol: str,
    endpoint: Setting,
    headers: dict[str, str],
    timeout: float,
    compression: str,
    tls: TlsFiles,
    max_data_points: int | None,
    max_request_size: int,
    retryable_codes: list[int] | None = None,
) -> Connection:
    if max_data_points is not None and max_data_points < 1:
        raise ValueError(f"max_export_batch_size is {max_data_points!r}; accepted: a number above zero, or None")
    config = ExporterConfig(
        signal=signal,
        protocol=protocol,
        endpoint=endpoint.value,
        headers=list(headers.items()),
        timeout=timeout,
        compression=compression,
        user_agent=_USER_AGENT,
        certificate_file=tls.certificate and tls.certificate.value,
        client_key_file=tls.client_key and tls.client_key.value,
        client_certificate_file=tls.client_certificate and tls.client_certificate.value,
        max_data_points=max_data_points,
        max_request_size=max_request_size,
        retryable_codes=retryable_codes,
    )
    try:
        native = _native.OtlpExporter(config)
    except _native.ConfigError as error:
        settings = {"endpoint": endpoint, **{f"{name}_file": file for name, file in tls._asdict().items()}}
        setting = settings.get(error.setting)
        if setting and setting.source.startswith("OTEL_"):
            raise ValueError(f"{setting.source}: {error}") from None
        raise
    return Connection(native, endpoint.value, timeout)
