"""What `install` puts where."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import wraps
from importlib import import_module
from typing import Any

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.util._importlib_metadata import entry_points

from otel_rs.installation.instrumentations import instrumentations
from otel_rs.installation.lazy import LazyClass, Replacement
from otel_rs.installation.propagation import propagation
from otel_rs.settings import Signal, corrected_environment, read
from otel_rs.settings.names import report_unknown_name
from otel_rs.settings.table import (
    ID_GENERATOR,
    LOGS_EXPORTER,
    METRICS_EXPORTER,
    OTLP_PROTOCOL,
    TRACES_EXPORTER,
    Setting,
)

_logger = logging.getLogger(__name__)

_OTLP_CLASSES = {
    "trace_exporter": "OTLPSpanExporter",
    "metric_exporter": "OTLPMetricExporter",
    "_log_exporter": "OTLPLogExporter",
}


def _otlp_modules() -> dict[str, dict[str, Replacement]]:
    return {
        f"opentelemetry.exporter.otlp.proto.{protocol}.{module}": {
            name: _Exporter(f"otel_rs.exporter.otlp.{protocol}", name)
        }
        for protocol in ("grpc", "http")
        for module, name in _OTLP_CLASSES.items()
    }


class _Exporter(LazyClass):
    """An exporter's class, which may need the stock one."""

    def __call__(self, original: Any) -> Any:
        from otel_rs.exporter.otlp._stock import remember

        remember(original)
        return super().__call__(original)


# Modules whose native names need nothing of the rest of them.
DEFERRED_MODULES = frozenset(_otlp_modules())


def replacements() -> dict[str, dict[str, Replacement]]:
    """By module name and attribute."""
    from otel_rs import trace
    from otel_rs.trace import export

    provider = {"TracerProvider": _always(trace.TracerProvider)}
    meters = {"MeterProvider": LazyClass("otel_rs.metrics", "MeterProvider")}
    log_classes: dict[str, Replacement] = {
        name: LazyClass("otel_rs.logs", name, "opentelemetry.sdk._logs")
        for name in ("LoggerProvider", "Logger", "LoggingHandler", "SynchronousMultiLogRecordProcessor")
    }
    log_processors: dict[str, Replacement] = {
        name: LazyClass("otel_rs.logs.export", name, "opentelemetry.sdk._logs.export")
        for name in ("BatchLogRecordProcessor", "SimpleLogRecordProcessor")
    }
    batch = {"BatchSpanProcessor": _always(export.BatchSpanProcessor)}
    simple = {"SimpleSpanProcessor": _always(export.SimpleSpanProcessor)}
    periodic: dict[str, Replacement] = {
        "PeriodicExportingMetricReader": LazyClass("otel_rs.metrics.export", "PeriodicExportingMetricReader")
    }
    return {
        "opentelemetry.sdk.trace": {
            **provider,
            "Tracer": _always(trace.Tracer),
            "Span": _always(trace.Span),
            "SynchronousMultiSpanProcessor": _always(trace.SynchronousMultiSpanProcessor),
        },
        "opentelemetry.sdk.trace.export": {**batch, **simple},
        "opentelemetry.sdk.metrics": {**meters, "Meter": LazyClass("otel_rs.metrics", "Meter")},
        "opentelemetry.sdk._logs": log_classes,
        "opentelemetry.sdk._logs._internal": log_classes,
        "opentelemetry.sdk._logs.export": log_processors,
        "opentelemetry.sdk._logs._internal.export": log_processors,
        "opentelemetry.instrumentation.logging.handler": {
            "LoggingHandler": LazyClass("otel_rs.logs.instrumentation", "LoggingHandler")
        },
        "opentelemetry.sdk.metrics.export": periodic,
        "opentelemetry.sdk._configuration": {
            **provider,
            **meters,
            **periodic,
            **batch,
            "BatchLogRecordProcessor": log_processors["BatchLogRecordProcessor"],
            "LoggerProvider": log_classes["LoggerProvider"],
            "LoggingHandler": log_classes["LoggingHandler"],
            "_import_config_components": _import_config_components,
            "_initialize_components": _initialize_components,
            "_EXPORTER_BY_OTLP_PROTOCOL": lambda names: {**names, "http/json": "otlp_proto_http"},
        },
        "opentelemetry.configuration._tracer_provider": {
            **provider,
            **batch,
            **simple,
            **_file_factories("span"),
        },
        "opentelemetry.configuration._meter_provider": {**meters, **periodic, **_file_factories("metric")},
        "opentelemetry.configuration._logger_provider": {
            "LoggerProvider": log_classes["LoggerProvider"],
            **log_processors,
            **_file_factories("log"),
        },
        **propagation(),
        **instrumentations(),
        **_otlp_modules(),
    }


def _always(native: Any) -> Replacement:
    return lambda _original: native


# --- The configurator: exporters by the names in OTEL_TRACES_EXPORTER and its like -----------------------------------

# By group of entry points: the native exporter, and the setting that names those of the group.
_EXPORTERS = {
    "opentelemetry_traces_exporter": ("OTLPSpanExporter", TRACES_EXPORTER),
    "opentelemetry_metrics_exporter": ("OTLPMetricExporter", METRICS_EXPORTER),
    "opentelemetry_logs_exporter": ("OTLPLogExporter", LOGS_EXPORTER),
}
_SIGNALS: dict[str, Signal] = {
    "opentelemetry_traces_exporter": "traces",
    "opentelemetry_metrics_exporter": "metrics",
    "opentelemetry_logs_exporter": "logs",
}
# What stands in for other entry points that cannot be loaded.
_DEFAULTS: dict[str, tuple[Setting, Any]] = {
    "opentelemetry_id_generator": (ID_GENERATOR, RandomIdGenerator),
}
# Upstream's names, which its configurator makes of OTEL_EXPORTER_OTLP_PROTOCOL.
_OTLP = {"otlp_proto_grpc": "grpc", "otlp_proto_http": "http"}


def _initialize_components(original: Any) -> Any:
    """As upstream, without the bad values of the environment."""

    @wraps(original)
    def initialize_components(*args: Any, **kwargs: Any) -> Any:
        with corrected_environment():
            return original(*args, **kwargs)

    return initialize_components


def _import_config_components(original: Any) -> Any:
    """As upstream; but OTLP needs no package, and a name that cannot be loaded costs itself alone."""

    def import_config_components(names: Sequence[str], group: str) -> list[tuple[str, Any]]:
        components: list[tuple[str, Any]] = []
        if group in _EXPORTERS:
            return _exporters(names, group, original)
        for name in names:
            if group in _DEFAULTS:
                setting, default = _DEFAULTS[group]
                components.extend(_loaded(name, group, original, setting) or [(name, default)])
            else:
                components.extend(original([name], group))
        return components

    return import_config_components


def _exporters(names: Sequence[str], group: str, original: Any) -> list[tuple[str, Any]]:
    """Of the names that can be loaded; if there are none, the default's: a name that is misspelt costs no telemetry."""
    setting = _EXPORTERS[group][1]
    components: list[tuple[str, Any]] = []
    unknown = []
    for name in names:
        found = _otlp_exporter(name, group, original) if name in _OTLP else _loaded_or_none(name, group, original)
        unknown += [name] if found is None else []
        components.extend(found or [])
    is_default = bool(unknown) and not components
    known = {"otlp", "none", *(each.name for each in entry_points(group=group))} if unknown else set()
    for name in unknown:
        report_unknown_name(setting, name, known - {name}, "Using otlp, the default." if is_default else "")
    if is_default:
        protocol = read(OTLP_PROTOCOL, _SIGNALS[group]).value
        components = _otlp_exporter("otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http", group, original)
    return components


def _loaded(name: str, group: str, original: Any, setting: Setting) -> list[tuple[str, Any]]:
    """What the entry point is, or nothing if it cannot be loaded, which is reported."""
    found = _loaded_or_none(name, group, original)
    if found is None:
        report_unknown_name(setting, name, {entry_point.name for entry_point in entry_points(group=group)} - {name})
    return found or []


def _loaded_or_none(name: str, group: str, original: Any) -> list[tuple[str, Any]] | None:
    try:
        found: list[tuple[str, Any]] = original([name], group)
    except Exception as error:  # whatever the other package's modules raise
        _logger.debug("The entry point %s of %s cannot be loaded", name, group, exc_info=error)
        return None
    return found


def _otlp_exporter(name: str, group: str, original: Any) -> list[tuple[str, Any]]:
    if any(entry_points(group=group, name=name)):
        try:
            found: list[tuple[str, Any]] = original([name], group)
            return found
        except Exception as error:  # grpcio and protobuf raise several kinds when they are of the wrong version or make
            _logger.debug("The entry point %s of %s cannot be loaded", name, group, exc_info=error)
    return [(name, _class_under_upstreams_name(_OTLP[name], _EXPORTERS[group][0]))]


def _class_under_upstreams_name(protocol: str, exporter: str) -> Any:
    """The native class, or what the program has put in its place."""
    (module,) = (module for module, name in _OTLP_CLASSES.items() if name == exporter)
    return getattr(import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{module}"), exporter)


# --- opentelemetry-configuration: exporters by the section of the file -----------------------------------------------


def _file_factories(kind: str) -> dict[str, Replacement]:
    """The function that makes gRPC exporters of a kind, and the table with it. Upstream's own imports grpcio."""

    def grpc(original: Any) -> Any:
        @wraps(original)
        def create(config: Any) -> Any:
            return _grpc_exporter_of_file(kind, config, original)

        return create

    def registry(factories: dict[str, Any]) -> dict[str, Any]:
        return {**factories, "otlp_grpc": grpc(factories["otlp_grpc"])}

    return {f"_create_otlp_grpc_{kind}_exporter": grpc, f"_{kind.upper()}_EXPORTER_REGISTRY": registry}


def _grpc_exporter_of_file(kind: str, config: Any, original: Any) -> Any:
    from opentelemetry.configuration._common import _map_compression, _parse_headers

    from otel_rs.exporter.otlp import Compression, grpc

    name = f"OTLP{kind.capitalize()}Exporter"
    try:
        exporter = _class_under_upstreams_name("grpc", name)
    except ImportError:
        return original(config)
    if exporter is not getattr(grpc, name):
        return original(config)
    arguments = {
        "endpoint": config.endpoint,
        "headers": _parse_headers(config.headers, config.headers_list),
        "timeout": None if config.timeout is None else config.timeout / 1000,
        "compression": _map_compression(config.compression, Compression),
    }
    if kind == "metric":
        from opentelemetry.configuration import _meter_provider

        arguments["preferred_temporality"] = _meter_provider._map_temporality(config.temporality_preference)
        arguments["preferred_aggregation"] = _meter_provider._map_histogram_aggregation(
            config.default_histogram_aggregation
        )
    return exporter(**arguments)
