"""Where the telemetry of this process goes, in one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider

from otel_rs import _native
from otel_rs.exporter.otlp._exporter import NativeExporter
from otel_rs.settings import read
from otel_rs.settings.table import NATIVE_INSTRUMENTATIONS, SDK_DISABLED


def summary() -> str:
    """Version, the way of each signal, and what is native; of the global providers."""
    if read(SDK_DISABLED).value:
        return f"otel-rs {_native.__version__}: OTEL_SDK_DISABLED is true, nothing is recorded"
    ways = "; ".join(f"{signal}: {_way(provider)}" for signal, provider in providers().items())
    return f"otel-rs {_native.__version__}: {ways}; {_native_instrumentations()}"


def installed() -> str:
    """What `install` has made native: the providers are made later."""
    names = "the names of opentelemetry.sdk and of its OTLP exporters are native"
    return f"otel-rs {_native.__version__}: {names}; {_native_instrumentations()}"


def way_of(provider: Any, signal: str, part: Any) -> str | None:
    """The way of a signal by one processor or reader. None if it sends nothing to a receiver, as an exporter that keeps
    or prints what it gets, or one of the program's own.
    """
    if read(SDK_DISABLED).value:
        return f"otel-rs {_native.__version__}: OTEL_SDK_DISABLED is true, nothing is recorded"
    exporter = _exporter(part)
    if exporter is part or not type(exporter).__module__.startswith(("otel_rs.exporter.", "opentelemetry.exporter.")):
        return None
    return f"otel-rs {_native.__version__}: {signal}: {destination(exporter)} ({_sdk(provider)})"


def providers() -> dict[str, Any]:
    return {
        "traces": trace.get_tracer_provider(),
        "metrics": metrics.get_meter_provider(),
        "logs": get_logger_provider(),
    }


def exporters(provider: Any) -> list[Any]:
    """Of its processors or readers; those that have none stand for themselves."""
    return [_exporter(part) for part in _parts(provider)]


def is_native(thing: object) -> bool:
    return type(thing).__module__.startswith("otel_rs.")


def _way(provider: Any) -> str:
    found = exporters(provider)
    where = " and ".join(map(destination, found)) if found else "to nowhere"
    return f"{where} ({_sdk(provider)})"


def _sdk(provider: Any) -> str:
    return "native SDK" if is_native(provider) else f"SDK {type(provider).__module__}.{type(provider).__qualname__}"


def _native_instrumentations() -> str:
    return f"native instrumentations: {', '.join(read(NATIVE_INSTRUMENTATIONS).value) or 'none'}"


def destination(exporter: Any) -> str:
    if isinstance(exporter, NativeExporter):
        return f"to {exporter.endpoint_shown} by {exporter.protocol}"
    native = "" if is_native(exporter) else ", not native"
    return f"to {type(exporter).__qualname__}{native}"


def _parts(provider: Any) -> Iterable[Any]:
    for name, parts in (
        ("_active_span_processor", "_span_processors"),
        ("_multi_log_record_processor", "_log_record_processors"),
    ):
        if (multiplexer := getattr(provider, name, None)) is not None:
            return list(getattr(multiplexer, parts, ()))
    return list(getattr(provider, "_metric_readers", ()))


def _exporter(part: Any) -> Any:
    for name in ("span_exporter", "_exporter", "_batch_processor"):
        if (found := getattr(part, name, None)) is not None:
            return _exporter(found) if name == "_batch_processor" else found
    return part
