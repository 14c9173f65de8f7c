"""At info level: where each signal goes, told when its provider gets the exporter. Under the distro, one line says all.

A program that sets itself up has no moment at which it is complete.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_logger = logging.getLogger("otel_rs")

_told: set[str] = set()
_is_told_at_once = False


@contextmanager
def told_at_once() -> Iterator[None]:
    """For whoever tells all of it in one line."""
    global _is_told_at_once
    before, _is_told_at_once = _is_told_at_once, True
    try:
        yield
    finally:
        _is_told_at_once = before


def tell_installed() -> None:
    if _is_told():
        from otel_rs.summary import installed

        _tell(installed())


def tell_way(provider: object, signal: str, part: object) -> None:
    """`part`: a processor or reader that the provider has got."""
    if _is_told():
        from otel_rs.summary import way_of

        if (line := way_of(provider, signal, part)) is not None:
            _tell(line)


def _is_told() -> bool:
    return not _is_told_at_once and _logger.isEnabledFor(logging.INFO)


def _tell(line: str) -> None:
    """Once in a process, however many providers have the same."""
    if line not in _told:
        _told.add(line)
        _logger.info("%s", line)
