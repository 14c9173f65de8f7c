"""The ``rs`` distro and configurator: what ``OTEL_PYTHON_DISTRO=rs opentelemetry-instrument`` runs.

Both act only when they are asked for. Where neither variable names them, a program that merely has the package
installed is set up by whoever set it up before.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from opentelemetry.environment_variables import OTEL_LOGS_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_TRACES_EXPORTER
from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_CONFIGURATOR, OTEL_PYTHON_DISTRO
from opentelemetry.sdk import _configuration as upstream
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_PROTOCOL
from opentelemetry.util._importlib_metadata import entry_points

_logger = logging.getLogger(__name__)

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
    """Upstream's configurator with the native provider, batch processor and OTLP span exporters in its hands."""

    def _configure(self, **kwargs: Any) -> None:
        if os.environ.get(OTEL_PYTHON_CONFIGURATOR) != _NAME:
            _configure_by_another(**kwargs)
            return
        with _native_classes():
            super()._configure(**kwargs)


def _configure_by_another(**kwargs: Any) -> None:
    """The loader takes the first configurator it finds; nobody asked for this one, so the next is meant."""
    for entry_point in entry_points(group=_CONFIGURATORS):
        if entry_point.name != _NAME:
            entry_point.load()().configure(**kwargs)
            return


_replacing = threading.Lock()


@contextlib.contextmanager
def _native_classes() -> Iterator[None]:
    """Puts the native classes under the names that upstream's configurator uses, and takes them back after it."""
    from otel_rs import BatchSpanProcessor, TracerProvider

    natives = {
        "TracerProvider": TracerProvider,
        "BatchSpanProcessor": BatchSpanProcessor,
        "_import_exporters": _import_exporters,
    }
    with _replacing:
        originals = {name: getattr(upstream, name) for name in natives}
        try:
            for name, native in natives.items():
                setattr(upstream, name, native)
            yield
        finally:
            for name, original in originals.items():
                setattr(upstream, name, original)


_upstream_import_exporters = upstream._import_exporters


def _import_exporters(
    trace_exporter_names: Sequence[str], metric_exporter_names: Sequence[str], log_exporter_names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """As upstream, with OTLP spans going to the native exporters, and OTLP metrics and logs left out where nobody can
    export them."""
    metrics = _importable(metric_exporter_names, "opentelemetry_metrics_exporter")
    logs = _importable(log_exporter_names, "opentelemetry_logs_exporter")
    signals = [
        signal
        for signal, names, kept in (("metrics", metric_exporter_names, metrics), ("logs", log_exporter_names, logs))
        if len(kept) < len(names)
    ]
    if signals:
        _logger.warning(
            "otel-rs exports no %s by OTLP yet, and no package that does is installed: they are not exported. "
            "Install opentelemetry-exporter-otlp, or set %s=none.",
            " and ".join(signals),
            "=none and ".join(f"OTEL_{signal.upper()}_EXPORTER" for signal in signals),
        )
    spans: dict[str, Any] = {}
    for name in trace_exporter_names:
        native = _native_span_exporter(name)
        spans.update({name: native} if native else _upstream_import_exporters([name], [], [])[0])
    _, metric_exporters, log_exporters = _upstream_import_exporters([], metrics, logs)
    return spans, metric_exporters, log_exporters


def _native_span_exporter(name: str) -> type | None:
    if name == upstream._EXPORTER_OTLP_PROTO_GRPC:
        from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as Grpc

        return Grpc
    if name == upstream._EXPORTER_OTLP_PROTO_HTTP:
        from otel_rs.exporter.otlp.http import OTLPSpanExporter as Http

        return Http
    return None


def _importable(names: Sequence[str], group: str) -> list[str]:
    """The names without those of OTLP exporters that are not installed. Other missing ones are upstream's to report."""
    return [
        name
        for name in names
        if name not in (upstream._EXPORTER_OTLP_PROTO_GRPC, upstream._EXPORTER_OTLP_PROTO_HTTP)
        or any(entry_points(group=group, name=name))
    ]
