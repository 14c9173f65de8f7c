"""gRPC status codes as a kind of value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from otel_rs.settings.kinds import Kind, NotAcceptedError

# Each at its number.
NAMES = (
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


class GrpcCodes(Kind):
    """gRPC status codes by name, and in an argument also by number or as ``grpc.StatusCode``."""

    accepted: str = f"gRPC status codes, by their numbers 0 to {len(NAMES) - 1} or names: {', '.join(NAMES)}"
    unquoted = True

    def parse(self, text: str) -> list[int] | None:
        return [self._number(name) for name in text.split(",") if name.strip()] or None

    def check(self, argument: Any) -> list[int] | None:
        if isinstance(argument, str):
            return self.parse(argument)
        if not isinstance(argument, Iterable):
            raise NotAcceptedError
        return [self._number(code) for code in argument if not (isinstance(code, str) and not code.strip())]

    def text(self, value: Any) -> str:
        return ",".join(NAMES[number] for number in value)

    @staticmethod
    def _number(code: object) -> int:
        name = getattr(code, "name", code)  # of grpc.StatusCode
        if isinstance(name, str) and name.strip().upper() in NAMES:
            return NAMES.index(name.strip().upper())
        if isinstance(code, int) and not isinstance(code, bool) and 0 <= code < len(NAMES):
            return int(code)
        raise NotAcceptedError
