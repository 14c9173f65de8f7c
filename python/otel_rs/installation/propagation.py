"""The native methods of the API's propagators.

They come in the place of methods, not of classes: so a propagator that exists already has them, and one that a program
makes, holds or derives from. What a subclass overrides is its own.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

_logger = logging.getLogger("otel_rs")

_TRACE_CONTEXT = "opentelemetry.trace.propagation.tracecontext"
_BAGGAGE = "opentelemetry.baggage.propagation"
_COMPOSITE = "opentelemetry.propagators.composite"
_PROPAGATE = "opentelemetry.propagate"

# The expressions by which the API reads headers, in the forms that the native methods stand for.
_KNOWN_PATTERNS = {
    ("opentelemetry.trace.span", "_KEY_FORMAT"): {
        r"[a-z][_0-9a-z\-\*\/]{0,255}|[a-z0-9][_0-9a-z\-\*\/]{0,240}@[a-z][_0-9a-z\-\*\/]{0,13}"
    },
    ("opentelemetry.trace.span", "_VALUE_FORMAT"): {
        r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
    },
    ("opentelemetry.util.re", "_KEY_FORMAT"): {r"[\x21\x23-\x27\x2a\x2b\x2d\x2e\x30-\x39\x41-\x5a\x5e-\x7a\x7c\x7e]+"},
    ("opentelemetry.util.re", "_VALUE_FORMAT"): {r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"},
}


def propagation() -> dict[str, dict[str, Callable[[Any], Any]]]:
    """By module name and attribute, as `otel_rs.installation.replacements`."""
    return {
        _TRACE_CONTEXT: _methods("TraceContextTextMapPropagator"),
        _BAGGAGE: _methods("W3CBaggagePropagator"),
        _COMPOSITE: _methods("CompositePropagator"),
        _PROPAGATE: {"extract": _native_or_stock, "inject": _native_or_stock},
    }


def _methods(propagator: str) -> dict[str, Callable[[Any], Any]]:
    return {f"{propagator}.{method}": _native_or_stock for method in ("extract", "inject")}


def _native_or_stock(original: Any) -> Any:
    if not _is_known_api():
        return original
    # Not imported with this module: the distro says in one line why it cannot be.
    from otel_rs import _native

    return _native.native_propagation(original)


def _is_known_api() -> bool:
    for (module, name), patterns in _KNOWN_PATTERNS.items():
        found = getattr(sys.modules.get(module), name, None)
        if found not in patterns and module in sys.modules:
            _logger.debug("The stock propagators are used: opentelemetry-api has another %s.%s.", module, name)
            return False
    return True
