"""The arguments that the HTTP exporters have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakMethod

from otel_rs.exporter.otlp import _config
from otel_rs.exporter.otlp._config import BeyondNative, ExporterConfig, FileArgument, Headers, Prepared
from otel_rs.exporter.otlp._credential_provider import beyond_native, load_credentials, provider_of
from otel_rs.exporter.otlp.http._session import SessionSettings, UnreadableError, read_session
from otel_rs.settings.headers import given_headers, read_headers
from otel_rs.settings.kinds import HttpHeaders, Number
from otel_rs.settings.reading import Found, check_argument, choose, read
from otel_rs.settings.table import (
    COMPRESSIONS,
    HTTP_CREDENTIAL_PROVIDER,
    OTLP_ENDPOINT,
    OTLP_PROTOCOL,
    OTLP_TIMEOUT,
    PROTOCOLS,
    REQUESTS_CA_BUNDLE,
    SSL_CERT_FILE,
    Setting,
    Signal,
)

_PROTOCOLS = PROTOCOLS.without("grpc")
_DEFAULT_PROTOCOL = "http/protobuf"
_HEADERS = HttpHeaders()

_REQUEST_SIZE = Number("a whole number of bytes; zero or less: any", unit="bytes", minimum=-math.inf)
# Upstream's.
_DEFAULT_MAX_REQUEST_SIZE = 64 * 1024 * 1024

# The exporter's, which take the place of a session's.
_OWN_HEADERS = ("content-type", "user-agent")


def _stock_headers(headers: Found) -> dict[str, str | None]:
    """As `requests` takes them: it leaves out what is None, and sends the rest as Latin-1."""
    return {name: None if value is None else value.decode("latin-1") for name, value in headers.value.items()}


def _sources_in_session(own: ExporterConfig, config: ExporterConfig) -> dict[str, Found]:
    names = {"certificate_files": "certificate_file"}
    fields = ("headers", "certificate_files", "client_certificate_file", "client_key_file")
    values = ((name, getattr(config, name)) for name in fields if getattr(config, name) != getattr(own, name))
    return {names.get(name, name): Found(value, "session") for name, value in values}


def _trusted(certificates: Found, session: SessionSettings) -> list[tuple[str, str]]:
    """The session's come after the exporter's own. Those of `requests`' variables are among them."""
    files: list[tuple[str, str]] = certificates.value
    path = session.certificate_file
    if path is None or _config.exporters_own(certificates) or path in (file for file, _ in files):
        return files
    return [(path, "session")]


# Without the methods that nobody uses: to make them would slow down every start.
@dataclass(eq=False, repr=False, kw_only=True)
class HttpArguments:
    endpoint: str | None
    certificate_file: FileArgument
    client_key_file: FileArgument
    client_certificate_file: FileArgument
    headers: Headers | None
    timeout: float | None
    compression: object
    session: Any
    max_request_size: int | None
    protocol: str | None
    transport: object

    def prepare(self, signal: Signal, max_data_points: int | None) -> Prepared:
        sources = {
            "endpoint": self._url(signal),
            "headers": self._headers(signal),
            "certificate_file": _config.certificates(self.certificate_file, signal, self._bundle()),
            "client_key_file": _config.client_key(self.client_key_file, signal),
            "client_certificate_file": _config.client_certificate(self.client_certificate_file, signal),
        }
        max_request_size = check_argument(
            _REQUEST_SIZE, "max_request_size", self.max_request_size, _DEFAULT_MAX_REQUEST_SIZE
        )
        own = ExporterConfig(
            signal=signal,
            protocol=self._protocol(signal),
            endpoint=sources["endpoint"].value,
            headers=_config.sent_headers(sources["headers"].value.items()),
            timeout=choose(OTLP_TIMEOUT, "timeout", self.timeout, signal).value,
            compression=_config.compression(self.compression, signal, COMPRESSIONS),
            user_agent=_config.USER_AGENT,
            certificate_files=sources["certificate_file"].value,
            client_key_file=sources["client_key_file"].value,
            client_certificate_file=sources["client_certificate_file"].value,
            max_data_points=max_data_points,
            max_request_size=max(max_request_size, 0),
            retryable_codes=None,
            proxy=None,
        )
        provider = None if self.session or self.transport else provider_of(HTTP_CREDENTIAL_PROVIDER, signal)
        headers = sources["headers"]
        certificates = sources["certificate_file"]
        config, beyond = self._with_session(own, headers, certificates, provider)
        sources |= _sources_in_session(own, config)
        return Prepared(
            config=config,
            sources=sources,
            known={"_endpoint": config.endpoint, "_max_request_size": max_request_size},
            stock_arguments=lambda: self._stock_arguments(own, headers, certificates, max_request_size, provider),
            beyond_native=beyond,
            watch=self._watch if self.session and beyond is None else None,
        )

    def _with_session(
        self, own: ExporterConfig, headers: Found, certificates: Found, provider: Found | None
    ) -> tuple[ExporterConfig, BeyondNative | None]:
        """The configuration with what the session adds, or what there is that the native client cannot use."""
        if self.transport is not None:
            return own, BeyondNative(f"the transport is of the class {type(self.transport).__qualname__}")
        if provider is not None:
            return own, beyond_native(provider)
        if not self.session:
            return own, None
        try:
            session = read_session(self.session, own.endpoint, {*_OWN_HEADERS, *headers.value})
        except UnreadableError as error:
            return own, BeyondNative(str(error))
        certificate = own.client_certificate_file
        config = own._replace(
            headers=[*own.headers, *session.headers.items(), *session.credentials.items()],
            certificate_files=_trusted(certificates, session),
            client_certificate_file=certificate or session.client_certificate_file,
            client_key_file=own.client_key_file if certificate else session.client_key_file,
            proxy=session.proxy,
        )
        return config, None

    def _stock_arguments(
        self,
        own: ExporterConfig,
        headers: Found,
        certificates: Found,
        max_request_size: int,
        provider: Found | None,
    ) -> dict[str, Any]:
        from opentelemetry.exporter.otlp.proto.http import Compression

        # The stock exporter has no zstd.
        compressions = {"none": Compression.NoCompression, "deflate": Compression.Deflate}
        arguments: dict[str, Any] = {
            "endpoint": own.endpoint,
            "headers": _stock_headers(headers),
            "timeout": own.timeout,
            "compression": compressions.get(own.compression, Compression.Gzip),
            "max_request_size": max_request_size,
        }
        if self.transport is not None:
            return {**arguments, "_transport": self.transport}
        session = self.session
        if provider is not None:
            import requests

            session = load_credentials(provider, requests.Session)
        return {
            **arguments,
            "certificate_file": _config.exporters_own(certificates),
            "client_key_file": own.client_key_file,
            "client_certificate_file": own.client_certificate_file,
            "session": session,
        }

    def _watch(self, changed: WeakMethod[Callable[[], None]]) -> None:
        # It imports requests, as whoever made the session has.
        from otel_rs.exporter.otlp.http._watched_session import watch

        watch(self.session, changed)

    def _bundle(self) -> Setting:
        """The first variable after our own. A session can say that `requests` reads none."""
        return REQUESTS_CA_BUNDLE if getattr(self.session, "trust_env", True) else SSL_CERT_FILE

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
        return Found({**found.value, **dict(given_headers(_HEADERS, self.headers))}, "headers")

    def _protocol(self, signal: Signal) -> str:
        if self.protocol is not None:
            return str(check_argument(_PROTOCOLS, "protocol", self.protocol, _DEFAULT_PROTOCOL))
        protocol: str = read(OTLP_PROTOCOL, signal, default=_DEFAULT_PROTOCOL).value
        # A variable that says gRPC was for the choice of the class, which is made by now.
        return _DEFAULT_PROTOCOL if protocol == "grpc" else protocol
