"""The settings of OTLP exporters: argument, then the signal's variable, then the general one, then the default.

Header values are secrets: no message here shows one.

Specification: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import enum
import logging
import re
from collections.abc import Iterable, Mapping
from os import environ
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT_SECONDS = 10.0


class Compression(enum.Enum):
    """How requests are compressed. The stock exporters' own enums are accepted as well."""

    NoCompression = "none"
    Gzip = "gzip"


def setting(signal_variable: str, general_variable: str) -> tuple[str, str] | None:
    """The variable in force and its value. An empty one counts as not set, as the specification says."""
    for variable in (signal_variable, general_variable):
        if value := environ.get(variable, "").strip():
            return variable, value
    return None


def compression(argument: object, signal_variable: str, general_variable: str) -> str:
    """``none`` or ``gzip``. A variable with another value is reported and not used; an argument raises."""
    if argument is not None:
        # grpc.Compression.NoCompression, our Gzip, a plain "gzip": told by name.
        name = getattr(argument, "name", None)
        text = (name if isinstance(name, str) else str(argument)).lower()
        if text in ("none", "nocompression"):
            return "none"
        if text == "gzip":
            return "gzip"
        raise ValueError(f"compression is {argument!r}; accepted: {', '.join(map(str, Compression))}")
    if found := setting(signal_variable, general_variable):
        variable, value = found
        if value.lower() in ("none", "gzip"):
            return value.lower()
        _logger.warning("%s is %r; accepted: none, gzip. Sending uncompressed.", variable, value)
    return "none"


def timeout(argument: float | None, signal_variable: str, general_variable: str) -> float:
    """Seconds for one export, all attempts included."""
    if argument is not None:
        if not isinstance(argument, (int, float)) or not 0 <= argument < float("inf"):
            raise ValueError(f"timeout is {argument!r}; accepted: seconds, zero or more")
        return float(argument)
    if found := setting(signal_variable, general_variable):
        variable, value = found
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if 0 <= seconds < float("inf"):
            return seconds
        _logger.warning(
            "%s is %r; accepted: seconds, zero or more. Using %s seconds.", variable, value, DEFAULT_TIMEOUT_SECONDS
        )
    return DEFAULT_TIMEOUT_SECONDS


def headers(
    argument: Mapping[str, str] | Iterable[tuple[str, str]] | str | None, signal_variable: str, general_variable: str
) -> dict[str, str]:
    """Header names, in lower case, and values; those of the argument replace the variable's of the same name."""
    found = setting(signal_variable, general_variable)
    result = _parse_headers(found[1], found[0]) if found else {}
    if argument:
        result.update(_given_headers(argument))
    return result


def grpc_headers(
    argument: Mapping[str, str] | Iterable[tuple[str, str]] | str | None, signal_variable: str, general_variable: str
) -> dict[str, str]:
    """As `headers`, but an argument takes the place of the whole variable: upstream's exporters differ in this."""
    return _given_headers(argument) if argument else headers(None, signal_variable, general_variable)


def _given_headers(argument: Mapping[str, str] | Iterable[tuple[str, str]] | str) -> dict[str, str]:
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


class Endpoint(NamedTuple):
    """A URL, and what it is from: a variable's name, or the argument's."""

    url: str
    source: str


def grpc_endpoint(
    argument: str | None, insecure: bool | None, variables: tuple[str, str], insecure_variables: tuple[str, str]
) -> Endpoint:
    """``http://`` or ``https://`` and the authority; the scheme decides, then ``insecure``, then TLS."""
    source, url = ("endpoint", argument) if argument else setting(*variables) or ("", "http://localhost:4317")
    try:
        parts = urlsplit(url) if "://" in url else urlsplit(f"//{url}")
    except ValueError:
        return Endpoint(url, source)  # for the native part to refuse
    if parts.scheme == "https":
        insecure = False
    if insecure is None:
        insecure = _truth(*insecure_variables)
    if insecure is None:
        insecure = parts.scheme == "http"
    if parts.scheme in ("", "http", "https"):
        url = f"{'http' if insecure else 'https'}://{parts.netloc}"
    return Endpoint(url, source)


def _truth(signal_variable: str, general_variable: str) -> bool | None:
    found = setting(signal_variable, general_variable)
    if not found:
        return None
    variable, value = found
    if value.lower() not in ("true", "false"):
        _logger.warning("%s is %r; accepted: true, false. It counts as false.", variable, value)
    return value.lower() == "true"


def http_endpoint(argument: str | None, signal_variable: str, general_variable: str, path: str) -> Endpoint:
    """The argument or the signal's variable verbatim, or the general one with the signal's path behind it."""
    if argument:
        return Endpoint(argument, "endpoint")
    if signal := environ.get(signal_variable, "").strip():
        return Endpoint(signal, signal_variable)
    base = environ.get(general_variable, "").strip() or "http://localhost:4318"
    return Endpoint(f"{base.removesuffix('/')}/{path}", general_variable)


def warn_of_unsupported(**arguments: object) -> None:
    """Says which given arguments have no effect (yet), instead of failing a program's start."""
    if given := sorted(name for name, value in arguments.items() if value is not None):
        _logger.warning("Not supported by otel-rs, ignored: %s", ", ".join(given))
