"""The arguments that the gRPC exporters have in common."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from otel_rs.exporter.otlp import _config
from otel_rs.exporter.otlp._config import BeyondNative, ExporterConfig, Headers, Prepared
from otel_rs.exporter.otlp._credential_provider import beyond_native, load_credentials, provider_of
from otel_rs.exporter.otlp._tls import TlsCredentials
from otel_rs.exporter.otlp.grpc import _names
from otel_rs.exporter.otlp.grpc._channel_options import ChannelOptions, read_channel_options
from otel_rs.settings.headers import given_headers, read_headers
from otel_rs.settings.kinds import GrpcHeaders, Url
from otel_rs.settings.reading import Found, choose, read, warn_once
from otel_rs.settings.table import (
    COMPRESSIONS,
    GRPC_CREDENTIAL_PROVIDER,
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH,
    GRPC_RETRYABLE_CODES,
    OTLP_INSECURE,
    OTLP_TIMEOUT,
    Signal,
)

_COMPRESSIONS = COMPRESSIONS.without("deflate")
_HEADERS = GrpcHeaders()


def _stock_headers(config: ExporterConfig) -> tuple[tuple[str, str | bytes], ...]:
    """As grpcio takes them."""
    return tuple((name, _stock_value(name, value)) for name, value in config.headers)


def _stock_value(name: str, value: bytes) -> str | bytes:
    if name.endswith("-bin"):
        return a2b_base64(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


class StockTarget(NamedTuple):
    """The endpoint in the stock exporter's words."""

    url: str
    name: str
    """What it connects to."""
    insecure: bool

    @classmethod
    def of(cls, given: str, native: str) -> StockTarget:
        try:
            name = urlsplit(given).netloc
        except ValueError:  # for the native part to refuse
            name = ""
        return cls(given, name or given, not native.startswith("https:"))


# Without the methods that nobody uses: to make them would slow down every start.
@dataclass(eq=False, repr=False, kw_only=True)
class GrpcArguments:
    endpoint: str | None
    insecure: bool | None
    credentials: object
    headers: Headers | None
    timeout: float | None
    compression: object
    channel_options: Iterable[Any] | None
    retryable_error_codes: object

    def prepare(self, signal: Signal, max_data_points: int | None) -> Prepared:
        options = read_channel_options(self.channel_options)
        files = self.credentials if isinstance(self.credentials, TlsCredentials) else TlsCredentials()
        sources = {
            "endpoint": self._url(signal),
            "headers": self._headers(signal),
            "certificate_file": _config.certificates(files.certificate_file, signal, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH),
            "client_key_file": _config.client_key(files.client_key_file, signal),
            "client_certificate_file": _config.client_certificate(files.client_certificate_file, signal),
        }
        config = ExporterConfig(
            signal=signal,
            protocol="grpc",
            endpoint=sources["endpoint"].value,
            headers=_config.sent_headers(sources["headers"].value),
            # Zero stands for none given, as upstream.
            timeout=choose(OTLP_TIMEOUT, "timeout", self.timeout or None, signal).value,
            compression=_config.compression(self.compression, signal, _COMPRESSIONS),
            user_agent=options.user_agent,
            certificate_files=sources["certificate_file"].value,
            client_key_file=sources["client_key_file"].value,
            client_certificate_file=sources["client_certificate_file"].value,
            max_data_points=max_data_points,
            max_request_size=options.max_request_size,
            retryable_codes=choose(
                GRPC_RETRYABLE_CODES, "retryable_error_codes", self.retryable_error_codes or None
            ).value,
            proxy=options.proxy,
        )
        target = StockTarget.of(sources["endpoint"].text or config.endpoint, config.endpoint)
        provider = None if self.credentials else provider_of(GRPC_CREDENTIAL_PROVIDER, signal)
        return Prepared(
            config=config,
            sources=sources,
            known={
                "_endpoint": target.name,
                "_insecure": target.insecure,
                "_headers": _stock_headers(config),
                "_timeout": config.timeout,
                "_collector_kwargs": None,
            },
            stock_arguments=lambda: self._stock_arguments(config, target, sources["certificate_file"], provider),
            beyond_native=self._beyond_native(options, target, provider),
        )

    def _beyond_native(
        self, options: ChannelOptions, target: StockTarget, provider: Found | None
    ) -> BeyondNative | None:
        if options.not_native:
            return BeyondNative(f"there are the channel options {', '.join(options.not_native)}")
        given = None if isinstance(self.credentials, TlsCredentials) else self.credentials
        if given is None and provider is None:
            return None
        if target.insecure:
            what = provider.source if provider else "credentials"
            warn_once(what, target.name, f"{what} are not used: the endpoint is without TLS.")
            return None
        if provider is not None:
            return beyond_native(provider)
        return BeyondNative(f"the credentials are a {type(given).__qualname__}, which cannot be read")

    def _stock_arguments(
        self, config: ExporterConfig, target: StockTarget, certificates: Found, provider: Found | None
    ) -> dict[str, Any]:
        from grpc import Compression, StatusCode

        codes = config.retryable_codes
        return {
            "endpoint": target.url,
            "insecure": target.insecure,
            "credentials": None if target.insecure else self._stock_credentials(config, certificates, provider),
            "headers": _stock_headers(config),
            "timeout": config.timeout,
            # The stock exporter has no zstd.
            "compression": Compression.NoCompression if config.compression == "none" else Compression.Gzip,
            "channel_options": self.channel_options and tuple(self.channel_options),
            "retryable_error_codes": codes and [code for code in StatusCode if code.value[0] in codes],
        }

    def _stock_credentials(self, config: ExporterConfig, certificates: Found, provider: Found | None) -> Any:
        from grpc import ChannelCredentials, ssl_channel_credentials

        if provider is not None:
            return load_credentials(provider, ChannelCredentials)
        if self.credentials is not None and not isinstance(self.credentials, TlsCredentials):
            if not isinstance(self.credentials, ChannelCredentials):
                raise TypeError
            return self.credentials
        files = (_config.exporters_own(certificates), config.client_key_file, config.client_certificate_file)
        return ssl_channel_credentials(*(None if file is None else Path(file).read_bytes() for file in files))

    def _headers(self, signal: Signal) -> Found:
        """An argument takes the place of the whole variable, unlike over HTTP: upstream's exporters differ in this.
        It may have several of one name."""
        if self.headers:
            return Found(given_headers(_HEADERS, self.headers), "headers")
        found = read_headers(_HEADERS, signal)
        return found._replace(value=list(found.value.items()))

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
