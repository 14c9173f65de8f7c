"""OpenTelemetry for Python at native cost.

The names here are those of ``opentelemetry.sdk.trace`` and ``opentelemetry.sdk.trace.export``; see ``otel_rs.trace``,
``otel_rs.trace.export`` and ``otel_rs.exporter.otlp``. Importing the package changes nothing in other packages;
``install`` does.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from otel_rs._lazy_exports import lazy_exports, with_exports

if TYPE_CHECKING:
    from otel_rs._native import __version__
    from otel_rs.installation import install, uninstall
    from otel_rs.trace import TracerProvider
    from otel_rs.trace.export import BatchSpanProcessor, SimpleSpanProcessor

__all__ = ["BatchSpanProcessor", "SimpleSpanProcessor", "TracerProvider", "__version__", "install", "uninstall"]

# The distro has to be found where the native part cannot be loaded.
# A type checker that saw `__getattr__` would take any name.
if not TYPE_CHECKING:
    _MODULES = {
        "BatchSpanProcessor": "trace.export",
        "SimpleSpanProcessor": "trace.export",
        "TracerProvider": "trace",
        "__version__": "_native",
        "install": "installation",
        "uninstall": "installation",
    }
    __getattr__ = lazy_exports(__name__, _MODULES)
    __dir__ = with_exports(__name__, _MODULES)

# Upstream reads these when it is imported, and raises if they are bad.
for _variable, _module in (
    ("OTEL_PROPAGATORS", "opentelemetry.propagate"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "opentelemetry.sdk.trace"),
):
    if _variable in os.environ:
        from otel_rs.settings.upstream import corrected_environment

        with corrected_environment():
            import_module(_module)
