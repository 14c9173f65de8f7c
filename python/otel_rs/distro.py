"""The ``rs`` distro and configurator: what ``OTEL_PYTHON_DISTRO=rs opentelemetry-instrument`` runs.

Both act only when they are asked for. Where neither variable names them, a program that merely has the package
installed is set up by whoever set it up before.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.sdk import _configuration as upstream
from opentelemetry.util._importlib_metadata import entry_points

from otel_rs.installation import install
from otel_rs.settings import Setting, corrected_environment
from otel_rs.settings.table import (
    LOGS_EXPORTER,
    METRICS_EXPORTER,
    OTLP_PROTOCOL,
    PYTHON_CONFIGURATOR,
    PYTHON_DISTRO,
    TRACES_EXPORTER,
)

_logger = logging.getLogger("otel_rs")

_NAME = "rs"
_CONFIGURATORS = "opentelemetry_configurator"


def load_distro() -> OtelRsDistro | None:
    """The entry point ``rs``. None, which the loader skips, unless ``OTEL_PYTHON_DISTRO`` asks for it."""
    return OtelRsDistro() if _names_us(PYTHON_DISTRO) else None


class OtelRsDistro(BaseDistro):  # type: ignore[misc]
    """opentelemetry-distro's defaults, and our configurator unless the user chose one."""

    def _configure(self, **kwargs: Any) -> None:
        os.environ.setdefault(PYTHON_CONFIGURATOR.variable, _NAME)
        os.environ.setdefault(TRACES_EXPORTER.variable, "otlp")
        os.environ.setdefault(METRICS_EXPORTER.variable, "otlp")
        os.environ.setdefault(LOGS_EXPORTER.variable, "otlp")
        os.environ.setdefault(OTLP_PROTOCOL.variable, "grpc")


class OtelRsConfigurator(upstream._OTelSDKConfigurator):
    """Upstream's configurator, after `otel_rs.install`."""

    def _configure(self, **kwargs: Any) -> None:
        if not _names_us(PYTHON_CONFIGURATOR):
            _configure_by_another(**kwargs)
            return
        try:
            install()
        except ImportError as error:
            # A program with the stock SDK is better than one without telemetry, or one that does not start.
            _logger.warning("The stock SDK is used instead of otel-rs: %s", error)
        with corrected_environment():
            super()._configure(**kwargs)


def _names_us(setting: Setting) -> bool:
    return os.environ.get(setting.variable) == _NAME


def _configure_by_another(**kwargs: Any) -> None:
    """The loader takes the first configurator it finds; nobody asked for this one, so the next is meant."""
    for entry_point in entry_points(group=_CONFIGURATORS):
        if entry_point.name != _NAME:
            entry_point.load()().configure(**kwargs)
            return
