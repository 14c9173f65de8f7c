"""The arguments that the gRPC exporters have in common."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from otel_rs.exporter.otlp import _config
from otel_rs.exporter.otlp._config import ExporterConfig, Headers, Sources
from otel_rs.exporter.otlp._tls import TlsCredentials
from otel_rs.exporter.otlp.grpc import _names
from otel_rs.settings.headers import given_headers, read_headers
from otel_rs.settings.kinds import GrpcHeaders, Url
from otel_rs.settings.reading import Found, choose, read, warn_once
from otel_rs.settings.table import COMPRESSIONS, GRPC_RETRYABLE_CODES, OTLP_INSECURE, OTLP_TIMEOUT, Signal

_logger = logging.getLogger(__name__)

_COMPRESSIONS = COMPRESSIONS.without("deflate")
_HEADERS = GrpcHeaders()


@dataclass(frozen=True, kw_only=True)
class GrpcArguments:
    endpoint: str | None
    insecure: bool | None
    credentials: object
    headers: Headers | None
    timeout: float | None
    compression: object
    channel_options: object
    retryable_error_codes: object

    def config(self, signal: Signal, max_data_points: int | None) -> tuple[ExporterConfig, Sources]:
        _config.warn_of_unsupported(channel_options=self.channel_options)
        credentials = self._tls_credentials()
        sources = {
            "endpoint": self._url(signal),
            # An argument takes the place of the whole variable, unlike over HTTP: upstream's exporters differ in this.
            "headers": Found(given_headers(_HEADERS, self.headers), "headers")
            if self.headers
            else read_headers(_HEADERS, signal),
            "certificate_file": _config.certificate(credentials.certificate_file, signal),
            "client_key_file": _config.client_key(credentials.client_key_file, signal),
            "client_certificate_file": _config.client_certificate(credentials.client_certificate_file, signal),
        }
        config = ExporterConfig(
            signal=signal,
            protocol="grpc",
            endpoint=sources["endpoint"].value,
            headers=_config.sent_headers(sources["headers"]),
            # Zero stands for none given, as upstream.
            timeout=choose(OTLP_TIMEOUT, "timeout", self.timeout or None, signal).value,
            compression=_config.compression(self.compression, signal, _COMPRESSIONS),
            user_agent=_config.USER_AGENT,
            certificate_file=sources["certificate_file"].value,
            client_key_file=sources["client_key_file"].value,
            client_certificate_file=sources["client_certificate_file"].value,
            max_data_points=max_data_points,
            max_request_size=0,
            retryable_codes=choose(
                GRPC_RETRYABLE_CODES, "retryable_error_codes", self.retryable_error_codes or None
            ).value,
        )
        return config, sources

    def _tls_credentials(self) -> TlsCredentials:
        if isinstance(self.credentials, TlsCredentials):
            return self.credentials
        if self.credentials is not None:
            _logger.warning(
                "credentials of the type %s cannot be read without grpcio and are ignored; accepted: %s.%s",
                type(self.credentials).__qualname__,
                TlsCredentials.__module__.rpartition(".")[0],
                TlsCredentials.__qualname__,
            )
        return TlsCredentials()

    def _url(self, signal: Signal) -> Found:
        """A socket (``unix:``, ``unix-abstract:``) as it is, else ``http://`` or ``https://`` and the authority. The
        scheme decides, then ``insecure``, then TLS."""
        found = _config.endpoint(self.endpoint, signal, "http://localhost:4317")
        if found.value.startswith(("unix:", "unix-abstract:")):
            return found
        name = _names.parse(found.value)
        insecure = self.insecure if self.insecure is not None else read(OTLP_INSECURE, signal).value
        # With other schemes nobody knows whether TLS is meant.
        if name is None or (name.scheme not in ("", *_names.TRANSPORTS, *_names.RESOLVERS) and insecure is None):
            return found  # for the native part to refuse
        if name.path.rstrip("/"):
            warn_once(
                found.source,
                found.text,
                f"{found.source} is {Url().shown(found.text)}: OTLP/gRPC has no path; its own is left out.",
            )
        plaintext = name.scheme == "http" if insecure is None else bool(insecure)
        tls = name.scheme in ("https", "grpcs") or not plaintext
        return found._replace(value=f"{'https' if tls else 'http'}://{name.authority}")
