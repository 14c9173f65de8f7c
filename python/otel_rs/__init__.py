"""OpenTelemetry for Python at native cost.

The names here are those of ``opentelemetry.sdk.trace`` and ``opentelemetry.sdk.trace.export``; see ``otel_rs.trace``,
``otel_rs.trace.export`` and ``otel_rs.exporter.otlp``. Importing the package changes nothing in other packages;
``install`` does.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from otel_rs._lazy_exports import lazy_exports

if TYPE_CHECKING:
    from otel_rs.installation import install, uninstall
    from otel_rs.trace import TracerProvider
    from otel_rs.trace.export import BatchSpanProcessor, SimpleSpanProcessor

__all__ = ["BatchSpanProcessor", "SimpleSpanProcessor", "TracerProvider", "install", "uninstall"]

# The distro has to be found where the native part cannot be loaded.
__getattr__ = lazy_exports(
    __name__,
    {
        "BatchSpanProcessor": "trace.export",
        "SimpleSpanProcessor": "trace.export",
        "TracerProvider": "trace",
        "install": "installation",
        "uninstall": "installation",
    },
)

# Upstream's SDK reads this one when it is imported, and raises if it is bad.
if "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in os.environ:
    from otel_rs.settings.upstream import corrected_environment

    with corrected_environment():
        import_module("opentelemetry.sdk.trace")
