"""``install``: the native classes under upstream's names, for programs that import those.

`replacements` says what goes where, `importing` reaches modules that are imported later.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import ModuleType
from typing import Any

from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import TracerProvider as StockTracerProvider

from otel_rs._installation.importing import NativeFinder
from otel_rs._installation.replacements import ON_ITS_OWN, Replacement, replacements

_logger = logging.getLogger("otel_rs")

_changing = threading.RLock()
_finder: NativeFinder | None = None
# What stood in a module's place: by module name and attribute.
_originals: dict[tuple[str, str], Any] = {}
_originals_by_native: dict[type, Any] = {}


def install() -> None:
    """Puts the native classes under their names in ``opentelemetry.sdk.*`` and ``opentelemetry.exporter.otlp.*``.

    Call it before anything else imports those: a name that a module took earlier stays what it was, and so does a
    provider that exists already, of which a warning tells. Calling it again changes nothing. ``uninstall`` undoes it.
    """
    global _finder
    with _changing:
        if _finder is not None:
            return
        wanted = replacements()
        finder = NativeFinder(wanted, ON_ITS_OWN, _put)
        replaced = [
            f"{name}.{attribute}"
            for name in wanted
            if (module := sys.modules.get(name)) is not None
            for attribute in _put(module, wanted[name])
        ]
        sys.meta_path.insert(0, finder)
        _finder = finder
    _logger.debug("Replaced %s; on import: %s", ", ".join(replaced), ", ".join(sorted(set(wanted) - set(sys.modules))))
    existing = trace_api._TRACER_PROVIDER
    if isinstance(existing, StockTracerProvider) and not isinstance(existing, _native_provider()):
        _logger.warning(
            "The program set a tracer provider before otel_rs.install(): %s.%s stays in use, and its spans are not "
            "native. Call install() before the provider is made.",
            type(existing).__module__,
            type(existing).__qualname__,
        )


def uninstall() -> None:
    """Puts upstream's classes back. Objects made meanwhile stay what they are. Without ``install`` it does nothing."""
    global _finder
    with _changing:
        if _finder is None:
            return
        sys.meta_path.remove(_finder)
        _finder.forget()
        _finder = None
        for (name, attribute), original in _originals.items():
            if (module := sys.modules.get(name)) is not None:
                setattr(module, attribute, original)
        _originals.clear()


def _put(module: ModuleType, wanted: dict[str, Replacement]) -> list[str]:
    """Replaces a module's attributes, those that it has; says which."""
    done = []
    for attribute, replacement in wanted.items():
        if attribute in vars(module):
            found = vars(module)[attribute]
            native = replacement(found)
            # A module that was imported after `install` took the native class from where it is by now.
            original = _originals_by_native.get(native, found) if native is found else found
            _originals[module.__name__, attribute] = original
            if isinstance(native, type):
                _originals_by_native[native] = original
            setattr(module, attribute, native)
            done.append(attribute)
    return done


def _native_provider() -> type:
    from otel_rs.trace import TracerProvider

    return TracerProvider
