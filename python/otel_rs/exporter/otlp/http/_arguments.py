"""The arguments that the HTTP exporters have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass

from otel_rs.exporter.otlp import _config
from otel_rs.exporter.otlp._config import ExporterConfig, FileArgument, Headers, Sources
from otel_rs.settings.headers import given_headers, read_headers
from otel_rs.settings.kinds import HttpHeaders, Number
from otel_rs.settings.reading import Found, check_argument, choose, read
from otel_rs.settings.table import (
    COMPRESSIONS,
    OTLP_ENDPOINT,
    OTLP_PROTOCOL,
    OTLP_TIMEOUT,
    PROTOCOLS,
    Signal,
)

_PROTOCOLS = PROTOCOLS.without("grpc")
_DEFAULT_PROTOCOL = "http/protobuf"
_HEADERS = HttpHeaders()

_REQUEST_SIZE = Number("a whole number of bytes; zero or less: any", unit="bytes", minimum=-math.inf)
# Upstream's.
_DEFAULT_MAX_REQUEST_SIZE = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class HttpArguments:
    endpoint: str | None
    certificate_file: FileArgument
    client_key_file: FileArgument
    client_certificate_file: FileArgument
    headers: Headers | None
    timeout: float | None
    compression: object
    session: object
    max_request_size: int | None
    protocol: str | None

    def config(self, signal: Signal, max_data_points: int | None) -> tuple[ExporterConfig, Sources]:
        _config.warn_of_unsupported(session=self.session)
        sources = {
            "endpoint": self._url(signal),
            "headers": self._headers(signal),
            "certificate_file": _config.certificate(self.certificate_file, signal),
            "client_key_file": _config.client_key(self.client_key_file, signal),
            "client_certificate_file": _config.client_certificate(self.client_certificate_file, signal),
        }
        max_request_size = check_argument(
            _REQUEST_SIZE, "max_request_size", self.max_request_size, _DEFAULT_MAX_REQUEST_SIZE
        )
        config = ExporterConfig(
            signal=signal,
            protocol=self._protocol(signal),
            endpoint=sources["endpoint"].value,
            headers=_config.sent_headers(sources["headers"]),
            timeout=choose(OTLP_TIMEOUT, "timeout", self.timeout, signal).value,
            compression=_config.compression(self.compression, signal, COMPRESSIONS),
            user_agent=_config.USER_AGENT,
            certificate_file=sources["certificate_file"].value,
            client_key_file=sources["client_key_file"].value,
            client_certificate_file=sources["client_certificate_file"].value,
            max_data_points=max_data_points,
            max_request_size=max(max_request_size, 0),
            retryable_codes=None,
        )
        return config, sources

    def _url(self, signal: Signal) -> Found:
        """The argument or the signal's variable as it is; the general one with the signal's path behind it."""
        found = _config.endpoint(self.endpoint, signal, "http://localhost:4318")
        if found.is_argument or found.source == OTLP_ENDPOINT.of(signal).variable:
            return found
        return found._replace(value=f"{found.value.removesuffix('/')}/v1/{signal}")

    def _headers(self, signal: Signal) -> Found:
        """Those of the argument replace the variable's of the same name."""
        found = read_headers(_HEADERS, signal)
        if not self.headers:
            return found
        return Found({**found.value, **given_headers(_HEADERS, self.headers)}, "headers")

    def _protocol(self, signal: Signal) -> str:
        if self.protocol is not None:
            return str(check_argument(_PROTOCOLS, "protocol", self.protocol, _DEFAULT_PROTOCOL))
        protocol: str = read(OTLP_PROTOCOL, signal, default=_DEFAULT_PROTOCOL).value
        # A variable that says gRPC was for the choice of the class, which is made by now.
        return _DEFAULT_PROTOCOL if protocol == "grpc" else protocol
