"""Kinds of values: what each accepts, and how a text or an argument becomes one."""

from __future__ import annotations

import math
import re
import sys
from binascii import b2a_base64
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any
from urllib.parse import unquote

YEAR_SECONDS = 365 * 24 * 3600


class NotAcceptedError(ValueError):
    """The value is none that the kind accepts."""


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of the names that was most likely meant; 1 as `cutoff` is for the name itself."""
    # Only a mistake pays for its import.
    from difflib import get_close_matches

    found = get_close_matches(name, sorted(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """In brackets, to be put behind what is accepted; or nothing."""
    meant = closest(name.lower(), known)
    return f" (did you mean {meant}?)" if meant else ""


class Kind:
    """Any text."""

    accepted: str = "a text"
    """In words."""
    unquoted: bool = False
    """No value has quotes around it: those that a shell or a file left there are taken off."""

    def __init__(self, accepted: str = "", *, unquoted: bool = False) -> None:
        if accepted:
            self.accepted = accepted
        if unquoted:
            self.unquoted = unquoted

    def parse(self, text: str) -> Any:
        """The value that a variable's text, without spaces around it, stands for. Raises NotAcceptedError."""
        return text

    def check(self, argument: Any) -> Any:
        """The value that an argument stands for. Raises NotAcceptedError."""
        if isinstance(argument, str):
            return self.parse(argument)
        raise NotAcceptedError

    def text(self, value: Any) -> str:
        """What a variable holds for the value."""
        return str(value)

    def shown(self, text: str) -> str:
        """The text as log lines may show it."""
        return shortened(repr(text))

    def suggestion(self, text: str) -> str:
        """What was most likely meant by a text that is not accepted, to be put behind what is."""
        return ""

    def shown_value(self, value: Any) -> str:
        return self.text(value)

    def shown_argument(self, argument: Any) -> str:
        """An argument as log lines and errors may show it: of what is no plain value, its type alone."""
        if isinstance(argument, str):
            return self.shown(argument)
        if argument is None or isinstance(argument, (bool, int, float)):
            return shortened(repr(argument))
        return f"of the type {type(argument).__qualname__}"


def shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


# Without the methods that nobody uses: to make them would slow down every start.
@dataclass(eq=False, repr=False)
class Number(Kind):
    """A number. One that is too large counts as ``maximum``: nobody can tell them apart."""

    accepted: str = ""
    unit: str = ""
    minimum: float = 1
    above_minimum: bool = False
    maximum: float = sys.maxsize
    too_large: bool = True
    """Whether larger numbers than ``maximum`` are accepted."""
    whole: bool = True
    infinite: bool = False
    """Whether "inf" is accepted."""
    empty_is_no_limit: bool = False
    """Whether an empty variable says that there is no limit. Else it counts as not set."""
    unquoted = True

    def __post_init__(self) -> None:
        of = f" of {self.unit}" if self.unit else ""
        limits = f"above {self.minimum}" if self.above_minimum else f"{self.minimum} or more"
        if not self.too_large:
            limits = f"from {self.minimum} to {self.maximum}"
        words = (", or inf" if self.infinite else "") + (", or nothing: no limit" if self.empty_is_no_limit else "")
        if not self.accepted:
            self.accepted = f"a {'whole ' if self.whole else ''}number{of}, {limits}{words}"

    def parse(self, text: str) -> Any:
        try:
            return self.check(int(text) if self.whole else float(text))
        except ValueError:
            raise NotAcceptedError from None

    def check(self, argument: Any) -> Any:
        if not isinstance(argument, Real) or (self.whole and not hasattr(argument, "__index__")):
            raise NotAcceptedError
        if not self.whole and not isinstance(argument, int):
            argument = float(argument)
        if isinstance(argument, float) and math.isinf(argument) and argument > 0 and self.infinite:
            return argument
        if isinstance(argument, float) and not math.isfinite(argument):
            raise NotAcceptedError
        if argument < self.minimum or (self.above_minimum and argument == self.minimum):
            raise NotAcceptedError
        if argument > self.maximum:
            if not self.too_large:
                raise NotAcceptedError
            argument = self.maximum
        return int(argument) if self.whole else float(argument)

    def text(self, value: Any) -> str:
        return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)

    def shown_value(self, value: Any) -> str:
        return f"{self.text(value)} {self.unit}".strip()


class Choice(Kind):
    """One of some names, whatever their case."""

    unquoted = True

    def __init__(self, *names: str) -> None:
        self.names = names
        self.accepted: str = ", ".join(names)

    def parse(self, text: str) -> str:
        if text.lower() in self.names:
            return text.lower()
        raise NotAcceptedError

    def suggestion(self, text: str) -> str:
        return did_you_mean(text, self.names)

    def without(self, name: str) -> Choice:
        return Choice(*(other for other in self.names if other != name))


class Boolean(Kind):
    """True or false. The specification wants any other text to count as false."""

    accepted = "true, false"
    unquoted = True

    def parse(self, text: str) -> bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise NotAcceptedError

    def text(self, value: Any) -> str:
        return str(value).lower()


class Switches(Kind):
    """All of some names, none of them, or those that are listed."""

    unquoted = True

    def __init__(self, *names: str) -> None:
        self.names = names
        self.accepted: str = f"true, false, or names with commas between them: {', '.join(names)}"

    def parse(self, text: str) -> tuple[str, ...]:
        if text.lower() in ("true", "false"):
            return self.names if text.lower() == "true" else ()
        listed = tuple(name.strip().lower() for name in text.split(",") if name.strip())
        if not set(listed) <= set(self.names):
            raise NotAcceptedError
        return listed

    def text(self, value: Any) -> str:
        return "true" if value == self.names else ",".join(value) or "false"


class Url(Kind):
    """An address. The exporter's native part decides whether it can be used."""

    accepted = "a URL"
    unquoted = True

    def shown(self, text: str) -> str:
        return shortened(repr(without_secrets(text)))


def without_secrets(url: str) -> str:
    """The URL without user info, query and fragment, even if it is malformed."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    # In a malformed URL, user info may have any delimiter in it and ends at the last @.
    rest = re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0]
    return f"{scheme}{separator}{rest}"


class File(Kind):
    """A file's path. The exporter's native part decides whether the file can be used."""

    accepted = "the path of a PEM file"
    unquoted = True


class CertificatesToTrust(File):
    accepted = "the path of a PEM file or of a folder of such files"


# RFC 9110: a name is a token; a value has no control characters. Not compiled before there is a header: that is slow.
_HEADER_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEADER_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"


class Headers(Kind):
    """W3C baggage form. Header values are secrets: no message shows one. This protocol sends texts as UTF-8."""

    accepted = "name=value, percent-encoded, with commas between headers"
    unquoted = True

    def parse(self, text: str) -> tuple[dict[str, bytes | None], list[int]]:
        """The headers, names in lower case, and the positions of those that cannot be sent."""
        headers: dict[str, bytes | None] = {}
        malformed = []
        for position, pair in enumerate(text.split(","), 1):
            if not pair.strip():
                continue
            name, equals, value = pair.partition("=")
            name = unquote(name).strip().lower()
            try:
                if not equals:
                    raise NotAcceptedError
                # Bytes that are not UTF-8 come through.
                headers[name] = self.sent(name, unquote(value.strip(), errors="surrogateescape"))
            except NotAcceptedError:
                malformed.append(position)
        return headers, malformed

    def sent(self, name: str, value: object) -> bytes | None:
        """The value as it is sent; None for a header that is left out. Raises NotAcceptedError."""
        sent = self.encoded(name, value)
        if re.fullmatch(_HEADER_NAME, name) is None or (sent is not None and not re.fullmatch(_HEADER_VALUE, sent)):
            raise NotAcceptedError
        return sent

    def encoded(self, name: str, value: object) -> bytes | None:
        """The same, even if it must not be sent."""
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # Members of enums have texts of their own.
            value = str(int(value) if isinstance(value, int) else float(value))
        if isinstance(value, str):
            return self._text(value)
        raise NotAcceptedError

    def _text(self, value: str) -> bytes:
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise NotAcceptedError from None


class HttpHeaders(Headers):
    """None leaves the header out. Texts are sent as Latin-1, as `requests` does, or else as UTF-8."""

    def encoded(self, name: str, value: object) -> bytes | None:
        return None if value is None else super().encoded(name, value)

    def _text(self, value: str) -> bytes:
        try:
            return value.encode("latin-1")
        except UnicodeEncodeError:
            return super()._text(value)


class GrpcHeaders(Headers):
    """None is sent empty. What ends with `-bin` may be any bytes: they are sent as base64."""

    def encoded(self, name: str, value: object) -> bytes | None:
        encoded = b"" if value is None else super().encoded(name, value)
        return b2a_base64(encoded, newline=False) if encoded and name.endswith("-bin") else encoded
