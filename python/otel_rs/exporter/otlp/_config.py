"""What the native exporters are made of.

Specification: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import enum
import logging
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from otel_rs import _native
from otel_rs.settings.kinds import Choice, Number, Url
from otel_rs.settings.reading import Found, arguments_raise, check_argument, choose, read, report_bad
from otel_rs.settings.table import (
    OTLP_CERTIFICATE,
    OTLP_CLIENT_CERTIFICATE,
    OTLP_CLIENT_KEY,
    OTLP_COMPRESSION,
    OTLP_ENDPOINT,
    SSL_CERT_DIR,
    SSL_CERT_FILE,
    Setting,
    Signal,
)

_logger = logging.getLogger(__name__)

# The specification's form: the exporter's kind and version first.
USER_AGENT = f"OTel-OTLP-Exporter-Python/{_native.__version__} (otel-rs)"

HeaderValue = str | bytes | float | None
Headers = Mapping[str, HeaderValue] | Iterable[tuple[str, HeaderValue]] | str
FileArgument = str | os.PathLike[str] | None


class Compression(enum.Enum):
    """How requests are compressed. The stock exporters' own enums are accepted as well."""

    NoCompression = "none"
    Gzip = "gzip"
    Deflate = "deflate"
    """Over HTTP alone."""
    Zstd = "zstd"


class ExporterConfig(NamedTuple):
    """What the native exporter is made of; its settings have been checked."""

    signal: Signal
    protocol: str
    endpoint: str
    headers: list[tuple[str, bytes]]
    timeout: float
    """Seconds."""
    compression: str
    user_agent: str
    certificate_files: list[tuple[str, str]]
    """Path and source of each file or folder with certificates to trust; none: the system's."""
    client_key_file: str | None
    client_certificate_file: str | None
    max_data_points: int | None
    """Of one request of metrics."""
    max_request_size: int
    """Bytes, before compression; 0 is no limit."""
    retryable_codes: list[int] | None
    """gRPC's, by number; None for the specification's."""
    proxy: str | None
    """Its address; "" for none; None for the environment's."""


Sources = Mapping[str, Found]
"""Where the settings come from that the native exporter may refuse, by their names there."""


class BeyondNative(NamedTuple):
    """What only the stock exporter can use."""

    why: str
    variable: str | None = None
    """That asks for it; None for an argument."""
    text: str = ""
    """Of the variable."""


class Prepared(NamedTuple):
    """What an exporter's arguments and variables come to."""

    config: ExporterConfig
    sources: Sources
    known: Mapping[str, Any]
    """Private attributes of the stock exporter, by their names there, that can be told without making one."""
    stock_arguments: Callable[[], dict[str, Any]]
    """For the constructor of the stock exporter: all that its signals have in common."""
    beyond_native: BeyondNative | None
    watch: Callable[[weakref.WeakMethod[Callable[[], None]]], None] | None = None
    """Has a method called when an argument that was read has changed since."""


def make_native(config: ExporterConfig, sources: Sources) -> _native.OtlpExporter:
    """One that sends nothing if it cannot be made of what variables say."""
    try:
        return _native.OtlpExporter(config)
    except _native.ConfigError as error:
        found = sources.get(error.setting)
        if found is None or not found.source:
            found = sources["endpoint"]
        if found.is_argument and arguments_raise():
            raise
        _report_unusable(config, found, error)
    return _native.OtlpExporter.that_sends_nothing(config)


def _report_unusable(config: ExporterConfig, found: Found, error: _native.ConfigError) -> None:
    shown = None if error.value is None else repr(error.value)
    accepted = error.accepted
    if error.setting == "endpoint":
        shown = Url().shown(found.text or str(found.value))
        if found.source == OTLP_ENDPOINT.variable and config.protocol != "grpc":
            accepted = "a URL such as http://localhost:4318"
        if "://" not in found.text and config.protocol != "grpc":
            accepted += " (begin it with http:// or https://)"
    source = found.source or error.setting
    report_bad(
        source if found.from_variable else f"argument {source}",
        found.text or str(found.value),
        shown,
        f": {error.problem}; accepted: {accepted}",
        "An exporter that is configured with it sends nothing and counts what it gets as failed.",
    )


def compression(argument: object, signal: Signal, kind: Choice) -> str:
    """One that the kind accepts."""
    if argument is not None:
        # grpc.Compression.NoCompression, our Gzip and a plain "gzip" are recognized by name.
        name = getattr(argument, "name", None)
        argument = (name if isinstance(name, str) else str(argument)).lower()
        if argument == "nocompression":
            argument = "none"
    return str(choose(OTLP_COMPRESSION, "compression", argument, signal, kind=kind).value)


def endpoint(argument: str | None, signal: Signal, default: str) -> Found:
    """The URL as it is given, without the path of HTTP's signals."""
    found = choose(OTLP_ENDPOINT, "endpoint", argument or None, signal, default=default)
    # A variable may hold bytes that are not UTF-8.
    text = found.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Found(text, found.source, found.text or text)


def sent_headers(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in headers if value is not None]


def certificates(argument: FileArgument, signal: Signal, bundle: Setting) -> Found:
    """Path and source of each file or folder with certificates to trust. ``bundle`` is the variable of the library that
    upstream's exporter uses."""
    found = _file(OTLP_CERTIFICATE, "certificate_file", argument, signal)
    if not found.source:
        found = read(bundle)
    files = [(found.value, found.source)] if found.source else []
    if found.source in ("", SSL_CERT_FILE.variable):
        folders = read(SSL_CERT_DIR)
        found = found if found.source else folders
        paths = folders.text.split(os.pathsep)
        files += [(path, folders.source) for path in paths if path]
    return Found(files, found.source, found.text)


def exporters_own(certificates: Found) -> str | None:
    """The file that the argument or our own variable names, as the stock exporter takes it: it reads the others."""
    is_own = certificates.is_argument or certificates.source.startswith("OTEL_")
    return certificates.value[0][0] if is_own else None


def client_key(argument: FileArgument, signal: Signal) -> Found:
    return _file(OTLP_CLIENT_KEY, "client_key_file", argument, signal)


def client_certificate(argument: FileArgument, signal: Signal) -> Found:
    return _file(OTLP_CLIENT_CERTIFICATE, "client_certificate_file", argument, signal)


def _file(setting: Setting, name: str, argument: FileArgument, signal: Signal) -> Found:
    path = os.fsdecode(argument) if isinstance(argument, (os.PathLike, bytes)) else argument
    return choose(setting, name, path, signal) if path else read(setting, signal)


def max_data_points(argument: int | None) -> int | None:
    size: int | None = check_argument(Number(unit="data points"), "max_export_batch_size", argument)
    return size
