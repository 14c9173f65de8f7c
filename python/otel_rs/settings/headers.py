"""The headers of requests: those of the variables, and those of an argument, as a protocol sends them."""

from __future__ import annotations

from typing import Any

from otel_rs.settings.kinds import Headers, NotAcceptedError
from otel_rs.settings.reading import Found, arguments_raise, read, report_bad
from otel_rs.settings.table import OTLP_HEADERS, Signal

SentHeaders = list[tuple[str, bytes | None]]
"""Names in lower case, with values as they are sent; None is for one that is left out."""


def read_headers(kind: Headers, signal: Signal) -> Found:
    """The variables' headers by their names, without those that cannot be sent."""
    found = read(OTLP_HEADERS, signal, kind=kind)
    if found.value is None:
        return found._replace(value={})
    headers, malformed = found.value
    _report(found.source, found.text, malformed)
    return found._replace(value=headers)


def given_headers(kind: Headers, argument: Any) -> SentHeaders:
    """Those of the argument `headers`: a text as in the variable, a mapping, or pairs."""
    if isinstance(argument, str):
        headers, malformed = kind.parse(argument)
        _report("argument headers", argument, malformed)
        return list(headers.items())
    try:
        pairs = [(name, value) for name, value in (argument.items() if hasattr(argument, "items") else argument)]
    except (TypeError, ValueError):
        accepted = "a mapping of texts, pairs of texts, or a text of name=value with commas"
        if arguments_raise():
            raise ValueError(f"headers cannot be read; accepted: {accepted}") from None
        report_bad("argument headers", "", None, f" cannot be read; accepted: {accepted}", "It counts as not given.")
        return []
    return _given_pairs(kind, pairs)


def _given_pairs(kind: Headers, pairs: list[tuple[Any, Any]]) -> SentHeaders:
    headers: SentHeaders = []
    malformed = []
    for position, (name, value) in enumerate(pairs, 1):
        try:
            name = _name(name)
            # If arguments raise, the native part refuses what must not be sent.
            sent = kind.encoded(name, value) if arguments_raise() else kind.sent(name, value)
            headers.append((name, sent))
        except NotAcceptedError:
            if arguments_raise():
                problem = f"header {position} cannot be sent"
                raise ValueError(
                    f"headers: {problem}; accepted: texts, bytes and numbers, with texts as names"
                ) from None
            malformed.append(position)
    _report("argument headers", repr(pairs) if malformed else "", malformed)
    return headers


def _name(name: Any) -> str:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if not isinstance(name, str):
        raise NotAcceptedError
    return name.lower()


def _report(source: str, text: str, malformed: list[int]) -> None:
    if malformed:
        positions = ", ".join(map(str, malformed))
        left_out = f"header {positions} is left out" if len(malformed) == 1 else f"headers {positions} are left out"
        # Any part of a header may be a secret, so none is shown.
        report_bad(source, text, None, f": {left_out}; accepted: {OTLP_HEADERS.kind.accepted}", "The others are sent.")
