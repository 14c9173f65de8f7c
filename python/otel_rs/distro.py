"""The ``rs`` distro and configurator: what ``OTEL_PYTHON_DISTRO=rs opentelemetry-instrument`` runs.

Both act only when they are asked for. Where neither variable names them, a program that merely has the package
installed is set up by whoever set it up before.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from opentelemetry.environment_variables import OTEL_LOGS_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_TRACES_EXPORTER
from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_CONFIGURATOR, OTEL_PYTHON_DISTRO
from opentelemetry.sdk import _configuration as upstream
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_PROTOCOL
from opentelemetry.util._importlib_metadata import entry_points

from otel_rs._installation import install

_logger = logging.getLogger("otel_rs")

_NAME = "rs"
_CONFIGURATORS = "opentelemetry_configurator"


def load_distro() -> OtelRsDistro | None:
    """The entry point ``rs``. None, which the loader skips, unless ``OTEL_PYTHON_DISTRO`` asks for it."""
    return OtelRsDistro() if os.environ.get(OTEL_PYTHON_DISTRO) == _NAME else None


class OtelRsDistro(BaseDistro):  # type: ignore[misc]
    """opentelemetry-distro's defaults, and our configurator unless the user chose one."""

    def _configure(self, **kwargs: Any) -> None:
        os.environ.setdefault(OTEL_PYTHON_CONFIGURATOR, _NAME)
        os.environ.setdefault(OTEL_TRACES_EXPORTER, "otlp")
        os.environ.setdefault(OTEL_METRICS_EXPORTER, "otlp")
        os.environ.setdefault(OTEL_LOGS_EXPORTER, "otlp")
        os.environ.setdefault(OTEL_EXPORTER_OTLP_PROTOCOL, "grpc")


class OtelRsConfigurator(upstream._OTelSDKConfigurator):
    """Upstream's configurator, after `otel_rs.install`."""

    def _configure(self, **kwargs: Any) -> None:
        if os.environ.get(OTEL_PYTHON_CONFIGURATOR) != _NAME:
            _configure_by_another(**kwargs)
            return
        try:
            install()
        except ImportError as error:
            # A program with the stock SDK is better than one without telemetry, or one that does not start.
            _logger.warning("The stock SDK is used instead of otel-rs: %s", error)
        super()._configure(**kwargs)


def _configure_by_another(**kwargs: Any) -> None:
    """The loader takes the first configurator it finds; nobody asked for this one, so the next is meant."""
    for entry_point in entry_points(group=_CONFIGURATORS):
        if entry_point.name != _NAME:
            entry_point.load()().configure(**kwargs)
            return
