"""What the instrumentations of HTTP servers and clients have in common."""

from __future__ import annotations

from typing import Any

from opentelemetry.instrumentation._semconv import _StabilityMode

from otel_rs.instrument import _conventions


class Convention:
    """What depends on the mode of the semantic conventions."""

    def __init__(self, mode: Any, errors_from: int) -> None:
        self.mode = mode
        self.old, self.new = _conventions.reports(mode)
        # The first code that is an error: 500 for a server, 400 for a client.
        self.errors_from = errors_from


# By identity: to hash a member of an enumeration is a call of Python.
SERVER = {id(mode): Convention(mode, errors_from=500) for mode in _StabilityMode}
CLIENT = {id(mode): Convention(mode, errors_from=400) for mode in _StabilityMode}
