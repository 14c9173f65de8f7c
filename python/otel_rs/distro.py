"""The ``rs`` distro and configurator: what ``OTEL_PYTHON_DISTRO=rs opentelemetry-instrument`` runs.

Both act only when they are asked for. Where neither variable names them, a program that merely has the package
installed is set up by whoever set it up before.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from opentelemetry.instrumentation import auto_instrumentation
from opentelemetry.instrumentation.auto_instrumentation import _load
from opentelemetry.instrumentation.dependencies import DependencyConflict, get_dist_dependency_conflicts
from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.instrumentation.version import __version__ as instrumentation_version
from opentelemetry.sdk import _configuration as upstream
from opentelemetry.util._importlib_metadata import Distribution, EntryPoint

from otel_rs import _chosen_distro, _entry_points, _start_folder
from otel_rs._announced import told_at_once
from otel_rs._last_resort import show_on_stderr
from otel_rs.installation import STOCK_IS_USED, install, reach_names_taken_earlier
from otel_rs.installation.releases import why_unknown
from otel_rs.instrumentations.conflicts import certainly_none
from otel_rs.instrumentations.loading import load_when_imported
from otel_rs.settings import corrected_environment, read
from otel_rs.settings.table import (
    CONFIG_FILE,
    LOG_LEVEL,
    LOGS_EXPORTER,
    METRICS_EXPORTER,
    OTLP_PROTOCOL,
    PYTHON_CONFIGURATOR,
    TRACES_EXPORTER,
)

_logger = logging.getLogger("otel_rs")

_NAME = "rs"


class OtelRsDistro(BaseDistro):  # type: ignore[misc]
    """opentelemetry-distro's defaults, and our configurator unless the user chose one."""

    def _configure(self, **kwargs: Any) -> None:
        _start_folder.look_once(auto_instrumentation.__path__)
        _entry_points.index()
        os.environ.setdefault(PYTHON_CONFIGURATOR.variable, _NAME)
        os.environ.setdefault(TRACES_EXPORTER.variable, "otlp")
        os.environ.setdefault(METRICS_EXPORTER.variable, "otlp")
        os.environ.setdefault(LOGS_EXPORTER.variable, "otlp")
        os.environ.setdefault(OTLP_PROTOCOL.variable, "grpc")
        if os.environ[PYTHON_CONFIGURATOR.variable] == _NAME:
            logging.getLogger(_load.__name__).addFilter(_is_news)
            _load.get_dist_dependency_conflicts = _conflict  # type: ignore[attr-defined]
            configure_once()

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Instruments when the library is imported; `OTEL_RS_LAZY_INSTRUMENTATIONS=false` does so now."""
        load_when_imported(entry_point, partial(super().load_instrumentor, entry_point, **kwargs))


class OtelRsConfigurator(upstream._OTelSDKConfigurator):
    """Upstream's configurator, after `otel_rs.install`."""

    configured: bool = False

    def _configure(self, **kwargs: Any) -> None:
        self.configured = True
        show_lines()
        if (why := _why_not_installed()) is not None:
            self._configure_stock(why, **kwargs)
            return
        with corrected_environment(), told_at_once(), _a_bad_file_costs_itself():
            super()._configure(**_taken(kwargs))
        if _logger.isEnabledFor(logging.INFO):
            from otel_rs.summary import summary

            _logger.info("%s", summary())

    def _configure_stock(self, why: str, **kwargs: Any) -> None:
        """A program with the stock SDK is better than one without telemetry, or one that does not start."""
        try:
            with corrected_environment(), _a_bad_file_costs_itself():
                super()._configure(**_taken(kwargs))
        except RuntimeError as error:  # as where the stock exporters are not installed
            _logger.warning("Nothing is sent. otel-rs cannot be used: %s. Nor can the stock SDK: %s", why, error)
        else:
            _logger.warning(STOCK_IS_USED, why)


def _taken(arguments: dict[str, Any]) -> dict[str, Any]:
    """With a configuration file upstream takes none, and warns of what the loader passes."""
    return {} if os.environ.get(CONFIG_FILE.variable) else arguments


@contextmanager
def _a_bad_file_costs_itself() -> Iterator[None]:
    """One line, and the instrumentations are loaded. The variables do not count: data would go elsewhere."""
    file = os.environ.get(CONFIG_FILE.variable)
    if not file:
        yield
        return
    loader = logging.getLogger("opentelemetry.configuration.file._loader")
    loader.addFilter(_is_no_error)
    try:
        yield
    except Exception as error:  # whatever a part that the file names raises
        text = "%s is %r, which cannot be used: %s. What it has not set up records nothing."
        _logger.error(text, CONFIG_FILE.variable, file, in_one_line(error))
    finally:
        loader.removeFilter(_is_no_error)


def in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _is_no_error(record: logging.LogRecord) -> bool:
    """The loader logs an error, with a traceback, and raises it as well."""
    return record.levelno < logging.ERROR


def show_lines() -> None:
    """This package's log lines, from `OTEL_LOG_LEVEL` on."""
    show_on_stderr(_logger, read(LOG_LEVEL).value)


def _why_not_installed() -> str | None:
    """Installs; or says why it cannot."""
    if (why := why_unknown()) is not None:
        return why
    try:
        with told_at_once():
            install()
    except ImportError as error:
        from otel_rs._native_missing import reason

        return reason(error)
    return None


def _conflict(dist: Distribution) -> DependencyConflict | None:
    return None if certainly_none(dist) else get_dist_dependency_conflicts(dist)


def configure_once() -> None:
    """As the loader of configurators would."""
    configurator = OtelRsConfigurator()
    if not configurator.configured:
        configurator.configure(auto_instrumentation_version=instrumentation_version)


def configure_for_the_chosen_distro() -> None:
    """Where the user chose the configurator alone: what comes with the chosen distro stays, on native classes.

    A vendor's configurator makes the resource, the sampler and the processors that its distro is for.
    """
    if OtelRsConfigurator().configured:
        return
    vendors = _chosen_distro.configurator()
    if vendors is None:
        configure_once()
        return
    show_lines()
    if (why := _why_not_installed()) is not None:
        _logger.warning(STOCK_IS_USED, why)
    # Of the distro's modules, which are imported already. The program has not started.
    reach_names_taken_earlier()
    try:
        with corrected_environment():
            vendors.load()().configure(auto_instrumentation_version=instrumentation_version)
    except Exception as error:  # whatever a vendor's code raises
        _logger.warning(
            "The configurator %s (%s) failed; what it had not set up by then is missing: %s",
            vendors.name,
            vendors.value,
            error,
        )


def _is_news(record: logging.LogRecord) -> bool:
    """The loader warns of every other configurator that the chosen one is loaded instead, as the user asked for."""
    return not (isinstance(record.args, tuple) and record.args[1:] == (_NAME, PYTHON_CONFIGURATOR.variable))
