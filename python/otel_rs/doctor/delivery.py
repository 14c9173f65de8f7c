"""Sends one span, one metric and one log record as the settings say, and hears what the receiver answers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.util._importlib_metadata import entry_points

from otel_rs.doctor.file import exporters_of
from otel_rs.doctor.findings import Finding
from otel_rs.doctor.lines import Lines
from otel_rs.exporter.otlp._exporter import NativeExporter
from otel_rs.settings import Setting, Signal, read
from otel_rs.settings.kinds import did_you_mean
from otel_rs.settings.reading import variable_text
from otel_rs.settings.table import (
    LOGS_EXPORTER,
    METRICS_EXPORTER,
    OTLP_PROTOCOL,
    OTLP_TIMEOUT,
    SIGNALS,
    TRACES_EXPORTER,
)

_EXPORTERS: dict[Signal, tuple[Setting, str]] = {
    "traces": (TRACES_EXPORTER, "OTLPSpanExporter"),
    "metrics": (METRICS_EXPORTER, "OTLPMetricExporter"),
    "logs": (LOGS_EXPORTER, "OTLPLogExporter"),
}
_OTLP = {"otlp": None, "otlp_proto_grpc": "grpc", "otlp_proto_http": "http"}
_NAME = "otel-rs doctor"
# It says nothing here: there was one item.
_PREFIX = re.compile(r"^Failed to export \d+ [a-z ]+: ")


def deliveries(timeout: float) -> list[Finding]:
    """All signals at once: a receiver that does not answer costs the timeout once."""
    with Lines() as lines, ThreadPoolExecutor(len(SIGNALS)) as threads:
        sent = list(threads.map(lambda signal: _deliver(signal, timeout), SIGNALS))
    return [finding for findings in sent for finding in findings(lines.texts)]


def deliveries_of_file(config: Any) -> list[Finding]:
    """Each exporter of the file, with the file's own timeouts."""
    with Lines() as lines:
        by_signal, findings = exporters_of(config)
        for signal in SIGNALS:
            for exporter in by_signal.get(signal, ()):
                if not isinstance(exporter, NativeExporter):
                    text = f"to the exporter {type(exporter).__qualname__}, which is not tried here"
                    findings.append(Finding("note", signal, text))
                    continue
                _SENDERS[signal](exporter)
                findings += _answer(signal, exporter, lines.texts)
    return findings


def _deliver(signal: Signal, timeout: float) -> Callable[[list[str]], list[Finding]]:
    """What is to be made of the log lines once all have sent."""
    setting, class_name = _EXPORTERS[signal]
    names = [name.strip() for name in (variable_text(setting) or "otlp").split(",")]
    findings = []
    exporter: Any = None
    for name in names:
        if name in _OTLP:
            try:
                made = _exporter(_OTLP[name], class_name, signal, timeout)
                _SENDERS[signal](made)
            except Exception as error:  # of a part that is not as it was known
                findings.append(Finding("problem", signal, f"no test item can be made: {error!r}"))
            else:
                exporter = made
        else:
            findings.append(_of_other(signal, setting, name))
    if exporter is None:
        return lambda _lines: findings
    return lambda lines: [*findings, *_answer(signal, exporter, lines)]


def _exporter(package: str | None, class_name: str, signal: Signal, timeout: float) -> Any:
    from otel_rs.exporter.otlp import grpc, http

    package = package or ("grpc" if read(OTLP_PROTOCOL, signal).value == "grpc" else "http")
    seconds = min(timeout, read(OTLP_TIMEOUT, signal).value)
    return getattr({"grpc": grpc, "http": http}[package], class_name)(timeout=seconds)


def _of_other(signal: Signal, setting: Setting, name: str) -> Finding:
    if name.lower() == "none":
        return Finding("note", signal, f"not sent, for {setting.variable} is none")
    group = f"opentelemetry_{signal}_exporter"
    known = {"otlp", "none", *(entry_point.name for entry_point in entry_points(group=group))}
    if name in known:
        return Finding("note", signal, f"to the exporter {name}, which is not tried here")
    text = f"{setting.variable} is {name!r}; accepted: {', '.join(sorted(known))}{did_you_mean(name, known)}"
    return Finding("problem", signal, text)


def _answer(signal: Signal, exporter: Any, lines: list[str]) -> list[Finding]:
    counts = exporter.counts()
    tls = " over TLS" if exporter.endpoint_shown.startswith("https:") else ""
    where = f"{exporter.endpoint_shown} by {exporter.protocol}{tls}"
    if counts["exported"] and not counts["rejected"]:
        return [Finding("ok", signal, f"the receiver at {where} took it")]
    about = [line for line in lines if f" export of {signal} to " in line]
    unusable = [line for line in lines if "sends nothing" in line]
    texts = about or unusable or [f"nothing came of it at {where}"]
    return [Finding("problem", signal, _PREFIX.sub("", text)) for text in texts]


# --- One item of each signal -----------------------------------------------------------------------------------------


def _resource() -> Resource:
    return Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or _NAME})


def _send_span(exporter: Any) -> None:
    from otel_rs.trace import TracerProvider
    from otel_rs.trace.export import SimpleSpanProcessor

    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer(_NAME).start_span("otel-rs doctor's test span").end()


def _send_metric(exporter: Any) -> None:
    from otel_rs.metrics import MeterProvider
    from otel_rs.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    provider = MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)
    provider.get_meter(_NAME).create_counter("otel_rs.doctor.tests").add(1)
    provider.force_flush()


def _send_log_record(exporter: Any) -> None:
    from opentelemetry._logs import SeverityNumber

    from otel_rs.logs import LoggerProvider
    from otel_rs.logs.export import SimpleLogRecordProcessor

    provider = LoggerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger(_NAME).emit(body="otel-rs doctor's test log record", severity_number=SeverityNumber.INFO)


_SENDERS: dict[Signal, Callable[[Any], None]] = {
    "traces": _send_span,
    "metrics": _send_metric,
    "logs": _send_log_record,
}
