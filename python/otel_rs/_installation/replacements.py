"""What `install` puts where."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.util._importlib_metadata import entry_points

_logger = logging.getLogger(__name__)

# Makes what comes in an attribute's place, of what was there.
Replacement = Callable[[Any], Any]

_GRPC_SPANS = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
_HTTP_SPANS = "opentelemetry.exporter.otlp.proto.http.trace_exporter"

# Modules whose native names need nothing of the rest of them.
ON_THEIR_OWN = frozenset({_GRPC_SPANS, _HTTP_SPANS})


def replacements() -> dict[str, dict[str, Replacement]]:
    """By module name and attribute."""
    from otel_rs import trace
    from otel_rs.exporter.otlp import grpc, http
    from otel_rs.trace import export

    provider = {"TracerProvider": _always(trace.TracerProvider)}
    batch = {"BatchSpanProcessor": _always(export.BatchSpanProcessor)}
    simple = {"SimpleSpanProcessor": _always(export.SimpleSpanProcessor)}
    return {
        "opentelemetry.sdk.trace": {
            **provider,
            "Tracer": _always(trace.Tracer),
            "Span": _always(trace.Span),
            "SynchronousMultiSpanProcessor": _always(trace.SynchronousMultiSpanProcessor),
        },
        "opentelemetry.sdk.trace.export": {**batch, **simple},
        "opentelemetry.sdk._configuration": {
            **provider,
            **batch,
            "_import_config_components": _import_config_components,
        },
        "opentelemetry.configuration._tracer_provider": {
            **provider,
            **batch,
            **simple,
            "_create_otlp_grpc_span_exporter": _always(_grpc_span_exporter),
            "_create_otlp_http_span_exporter": _always(_http_span_exporter),
            "_SPAN_EXPORTER_REGISTRY": lambda registry: {
                **registry,
                "otlp_grpc": _grpc_span_exporter,
                "otlp_http": _http_span_exporter,
            },
        },
        _GRPC_SPANS: {"OTLPSpanExporter": _always(grpc.OTLPSpanExporter)},
        _HTTP_SPANS: {"OTLPSpanExporter": _always(http.OTLPSpanExporter)},
    }


def _always(native: Any) -> Replacement:
    return lambda _original: native


# --- The configurator: exporters by the names in OTEL_TRACES_EXPORTER and its like -----------------------------------

# What entry points of a group export.
_EXPORTERS = {
    "opentelemetry_traces_exporter": "traces",
    "opentelemetry_metrics_exporter": "metrics",
    "opentelemetry_logs_exporter": "logs",
}
# Upstream's names, which its configurator makes of OTEL_EXPORTER_OTLP_PROTOCOL.
_OTLP = {"otlp_proto_grpc": "grpc", "otlp_proto_http": "http"}


def _import_config_components(original: Any) -> Any:
    """As upstream; but a package for OTLP that is missing or broken costs its signal, and spans need none."""

    def import_config_components(names: Sequence[str], group: str) -> list[tuple[str, Any]]:
        components: list[tuple[str, Any]] = []
        for name in names:
            if name in _OTLP and group in _EXPORTERS:
                components.extend(_otlp_exporter(name, group, original))
            else:
                components.extend(original([name], group))
        return components

    return import_config_components


def _otlp_exporter(name: str, group: str, original: Any) -> list[tuple[str, Any]]:
    state = "is not installed"
    if any(entry_points(group=group, name=name)):
        try:
            found: list[tuple[str, Any]] = original([name], group)
            return found
        except Exception as error:  # grpcio and protobuf raise several kinds when they are of the wrong version or make
            state = f"cannot be loaded ({type(error).__name__}: {error})"
    signal = _EXPORTERS[group]
    if signal == "traces":
        from otel_rs.exporter.otlp import grpc, http

        return [(name, {"grpc": grpc, "http": http}[_OTLP[name]].OTLPSpanExporter)]
    _logger.warning(
        "otel-rs exports no %s by OTLP yet, and opentelemetry-exporter-otlp, which does, %s: they are not exported. "
        "Install it, or set OTEL_%s_EXPORTER=none.",
        signal,
        state,
        signal.upper(),
    )
    return []


# --- opentelemetry-configuration: exporters by the section of the file -----------------------------------------------


def _grpc_span_exporter(config: Any) -> Any:
    from otel_rs.exporter.otlp.grpc import OTLPSpanExporter

    return OTLPSpanExporter(**_arguments(config))


def _http_span_exporter(config: Any) -> Any:
    from otel_rs.exporter.otlp.http import OTLPSpanExporter

    return OTLPSpanExporter(**_arguments(config))


def _arguments(config: Any) -> dict[str, Any]:
    from opentelemetry.configuration._common import _map_compression, _parse_headers

    from otel_rs.exporter.otlp import Compression

    return {
        "endpoint": config.endpoint,
        "headers": _parse_headers(config.headers, config.headers_list),
        "timeout": None if config.timeout is None else config.timeout / 1000,
        "compression": _map_compression(config.compression, Compression, allow_deflate=True),
    }
