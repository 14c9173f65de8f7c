"""gRPC's status codes, as the argument ``retryable_error_codes`` and its variable name them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from os import environ

_logger = logging.getLogger(__name__)

# Each at its number.
_NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
_ACCEPTED = f"the numbers 0 to {len(_NAMES) - 1} and {', '.join(_NAMES)}"

# Upstream's.
_VARIABLE = "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES"


def retryable_codes(argument: object) -> list[int] | None:
    """The codes' numbers; None for the specification's, which an empty argument stands for, as upstream's does.

    A bad argument raises ValueError; a bad variable is reported and not used.
    """
    if argument:
        codes = argument.split(",") if isinstance(argument, str) else argument
        if not isinstance(codes, Iterable):
            raise ValueError(f"retryable_error_codes is {argument!r}; accepted: any of {_ACCEPTED}")
        return _numbers(codes)
    try:
        return _numbers(environ.get(_VARIABLE, "").split(",")) or None
    except ValueError as error:
        _logger.warning("%s: %s. The specification's codes are retried.", _VARIABLE, error)
    return None


def _numbers(codes: Iterable[object]) -> list[int]:
    return [_number(code) for code in codes if not (isinstance(code, str) and not code.strip())]


def _number(code: object) -> int:
    name = getattr(code, "name", code)  # of grpc.StatusCode
    if isinstance(name, str) and name.strip().upper() in _NAMES:
        return _NAMES.index(name.strip().upper())
    if isinstance(code, int) and not isinstance(code, bool) and 0 <= code < len(_NAMES):
        return int(code)
    raise ValueError(f"retryable_error_codes: {code!r} is no gRPC status code; accepted: {_ACCEPTED}")
