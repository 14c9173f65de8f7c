"""The settings of OTLP exporters: argument, then the signal's variable, then the general one, then the default.

Header values are secrets: no message here shows one.

Specification: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import enum
import logging
import os
import re
from collections.abc import Iterable, Mapping
from os import environ
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

_logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT_SECONDS = 10.0

Signal = Literal["traces", "metrics", "logs"]
Headers = Mapping[str, str] | Iterable[tuple[str, str]] | str


class Compression(enum.Enum):
    """How requests are compressed. The stock exporters' own enums are accepted as well."""

    NoCompression = "none"
    Gzip = "gzip"
    Deflate = "deflate"
    """Over HTTP alone."""
    Zstd = "zstd"


class Setting(NamedTuple):
    """A value, and what it is from: a variable's name, or the argument's."""

    value: str
    source: str


def variables(signal: Signal, name: str) -> tuple[str, str]:
    """The signal's variable and the general one."""
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", f"OTEL_EXPORTER_OTLP_{name}"


def by_variable(signal: Signal, name: str) -> Setting | None:
    """The variable in force. An empty one counts as not set, as the specification says."""
    for variable in variables(signal, name):
        if value := environ.get(variable, "").strip():
            return Setting(value, variable)
    return None


GRPC_COMPRESSIONS = ("none", "gzip", "zstd")
HTTP_COMPRESSIONS = ("none", "gzip", "deflate", "zstd")


def compression(argument: object, signal: Signal, accepted: tuple[str, ...]) -> str:
    """One of those accepted. A variable with another value is reported and not used; an argument raises."""
    if argument is not None:
        # grpc.Compression.NoCompression, our Gzip, a plain "gzip": told by name.
        name = getattr(argument, "name", None)
        text = (name if isinstance(name, str) else str(argument)).lower()
        if text == "nocompression":
            return "none"
        if text in accepted:
            return text
        raise ValueError(f"compression is {argument!r}; accepted: {', '.join(accepted)}")
    if found := by_variable(signal, "COMPRESSION"):
        if found.value.lower() in accepted:
            return found.value.lower()
        _logger.warning("%s is %r; accepted: %s. Sending uncompressed.", found.source, found.value, ", ".join(accepted))
    return "none"


def timeout(argument: float | None, signal: Signal) -> float:
    """Seconds for one export, all attempts included."""
    if argument is not None:
        if not isinstance(argument, (int, float)) or not 0 <= argument < float("inf"):
            raise ValueError(f"timeout is {argument!r}; accepted: seconds, zero or more")
        return float(argument)
    if found := by_variable(signal, "TIMEOUT"):
        try:
            seconds = float(found.value)
        except ValueError:
            seconds = -1.0
        if 0 <= seconds < float("inf"):
            return seconds
        _logger.warning(
            "%s is %r; accepted: seconds, zero or more. Using %s seconds.",
            found.source,
            found.value,
            DEFAULT_TIMEOUT_SECONDS,
        )
    return DEFAULT_TIMEOUT_SECONDS


def http_headers(argument: Headers | None, signal: Signal) -> dict[str, str]:
    """Header names, in lower case, and values; those of the argument replace the variable's of the same name."""
    found = by_variable(signal, "HEADERS")
    result = _parse_headers(found.value, found.source) if found else {}
    if argument:
        result.update(_given_headers(argument))
    return result


def grpc_headers(argument: Headers | None, signal: Signal) -> dict[str, str]:
    """As `http_headers`, but an argument takes the place of the whole variable: upstream's exporters differ in this."""
    return _given_headers(argument) if argument else http_headers(None, signal)


def _given_headers(argument: Headers) -> dict[str, str]:
    if isinstance(argument, str):
        return _parse_headers(argument, "headers")
    pairs = argument.items() if isinstance(argument, Mapping) else argument
    return {name.lower(): value for name, value in pairs}


# RFC 9110: a name is a token; a value has no control characters.
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")


def _parse_headers(text: str, source: str) -> dict[str, str]:
    """W3C baggage form: ``name=value`` pairs, separated by commas, percent-encoded; plain spaces are accepted."""
    result = {}
    for position, pair in enumerate(text.split(","), 1):
        if not pair.strip():
            continue
        name, equals, value = pair.partition("=")
        name, value = unquote(name).strip().lower(), unquote(value.strip())
        if equals and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value):
            result[name] = value
        else:
            # Any part of the pair may be a secret, so none is shown.
            _logger.warning(
                "%s: header %d is left out; accepted: name=value, percent-encoded, with commas between headers.",
                source,
                position,
            )
    return result


def grpc_endpoint(argument: str | None, insecure: bool | None, signal: Signal) -> Setting:
    """A socket (``unix:``, ``unix-abstract:``) as it is, else ``http://`` or ``https://`` and the authority; the scheme
    decides, then ``insecure``, then TLS."""
    given = Setting(argument, "endpoint") if argument else by_variable(signal, "ENDPOINT")
    url, source = given or Setting("http://localhost:4317", "")
    if url.startswith(("unix:", "unix-abstract:")):
        return Setting(url, source)
    try:
        parts = urlsplit(url) if "://" in url else urlsplit(f"//{url}")
    except ValueError:
        return Setting(url, source)  # for the native part to refuse
    if parts.scheme == "https":
        insecure = False
    if insecure is None:
        insecure = _truth(by_variable(signal, "INSECURE"))
    if insecure is None:
        insecure = parts.scheme == "http"
    if parts.scheme in ("", "http", "https"):
        url = f"{'http' if insecure else 'https'}://{parts.netloc}"
    return Setting(url, source)


def _truth(found: Setting | None) -> bool | None:
    if not found:
        return None
    if found.value.lower() not in ("true", "false"):
        _logger.warning("%s is %r; accepted: true, false. It counts as false.", found.source, found.value)
    return found.value.lower() == "true"


def http_endpoint(argument: str | None, signal: Signal) -> Setting:
    """The argument or the signal's variable verbatim, or the general one with the signal's path behind it."""
    if argument:
        return Setting(argument, "endpoint")
    of_signal, general = variables(signal, "ENDPOINT")
    if url := environ.get(of_signal, "").strip():
        return Setting(url, of_signal)
    base = environ.get(general, "").strip() or "http://localhost:4318"
    return Setting(f"{base.removesuffix('/')}/v1/{signal}", general)


HTTP_PROTOCOLS = ("http/protobuf", "http/json")


def http_protocol(argument: str | None, signal: Signal) -> str:
    """How messages are encoded. A variable that asks for gRPC was for the choice of the class, which is made by now."""
    if argument is not None:
        if argument not in HTTP_PROTOCOLS:
            raise ValueError(f"protocol is {argument!r}; accepted: {', '.join(HTTP_PROTOCOLS)}")
        return argument
    found = by_variable(signal, "PROTOCOL")
    return found.value if found and found.value in HTTP_PROTOCOLS else HTTP_PROTOCOLS[0]


class TlsFiles(NamedTuple):
    """Paths of PEM files, each with what it is from; named as errors name them."""

    certificate: Setting | None
    client_key: Setting | None
    client_certificate: Setting | None


def tls_files(
    certificate_file: str | os.PathLike[str] | None,
    client_key_file: str | os.PathLike[str] | None,
    client_certificate_file: str | os.PathLike[str] | None,
    signal: Signal,
) -> TlsFiles:
    def one(argument: str | os.PathLike[str] | None, source: str, variable: str) -> Setting | None:
        return Setting(os.fspath(argument), source) if argument else by_variable(signal, variable)

    return TlsFiles(
        one(certificate_file, "certificate_file", "CERTIFICATE"),
        one(client_key_file, "client_key_file", "CLIENT_KEY"),
        one(client_certificate_file, "client_certificate_file", "CLIENT_CERTIFICATE"),
    )


def warn_of_unsupported(**arguments: object) -> None:
    """Says which given arguments have no effect (yet), instead of failing a program's start."""
    if given := sorted(name for name, value in arguments.items() if value is not None):
        _logger.warning("Not supported by otel-rs, ignored: %s", ", ".join(given))
