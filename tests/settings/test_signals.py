"""A program that is set up by variables, one of them bad: the bad value costs itself, and what stock delivers we do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.program import run
from ..support.receiver import Receiver

PROGRAM = """
import logging
from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger
with trace.get_tracer("test").start_as_current_span("span"):
    metrics.get_meter("test").create_counter("counter").add(1)
    get_logger("test").emit(body="logged")
print("the program goes on")
"""

ALL = {"traces", "metrics", "logs"}

OTLP = "OTEL_EXPORTER_OTLP_"
NOBODY = "https://127.0.0.1:1"

# The bad variable, others that it needs, and the signals that are lost with it.
CASES: list[tuple[str, str, dict[str, str], set[str]]] = [
    *((f"{OTLP}{signal.upper()}_CERTIFICATE", "/no/such/file.pem", {}, {signal}) for signal in sorted(ALL)),
    (f"{OTLP}TIMEOUT", "1e30", {}, set()),
    (f"{OTLP}TIMEOUT", "5s", {}, set()),
    (f"{OTLP}METRICS_TIMEOUT", "-1", {}, set()),
    (f"{OTLP}COMPRESSION", "zip", {}, set()),
    (f"{OTLP}LOGS_COMPRESSION", "zip", {}, set()),
    (f"{OTLP}TRACES_PROTOCOL", "htp", {}, set()),
    (f"{OTLP}HEADERS", "a=b,secret", {}, set()),
    (f"{OTLP}METRICS_TEMPORALITY_PREFERENCE", "gamma", {}, set()),
    (f"{OTLP}METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "round", {}, set()),
    ("OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES", "SOON", {}, set()),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "sometimes", {}, set()),
    ("OTEL_METRIC_EXPORT_INTERVAL", "-1", {}, set()),
    ("OTEL_METRIC_EXPORT_INTERVAL", "nan", {}, set()),
    ("OTEL_METRIC_EXPORT_INTERVAL", "1e30", {}, set()),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "30s", {}, set()),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "-1", {}, set()),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "1" + "0" * 30, {}, set()),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "5000", {}, set()),
    ("OTEL_BLRP_SCHEDULE_DELAY", "1" + "0" * 30, {}, set()),
    ("OTEL_BLRP_SCHEDULE_DELAY", "5s", {}, set()),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0", {}, set()),
    ("OTEL_BSP_SCHEDULE_DELAY", "5s", {}, set()),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", {}, set()),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "-1", {}, set()),
    ("OTEL_TRACES_SAMPLER_ARG", "150%", {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}, set()),
    ("OTEL_TRACES_SAMPLER_ARG", "2", {"OTEL_TRACES_SAMPLER": "traceidratio"}, set()),
    ("OTEL_TRACES_SAMPLER", "sometimes", {}, set()),
    ("OTEL_SDK_DISABLED", "yes", {}, set()),
    ("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "yes", {}, set()),
    ("OTEL_PYTHON_ID_GENERATOR", "unknown", {}, set()),
    ("OTEL_TRACES_EXPORTER", "unknown", {}, set()),
    ("OTEL_LOGS_EXPORTER", "otlp,unknown", {}, set()),
]

# These are no longer than anything that can wait or hold: they are taken.
TAKEN = {"1e30", "1" + "0" * 30}


def start(distro: str, receiver: Receiver, **environment: str) -> Any:
    instrument = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
    assert instrument is not None
    return run(
        PROGRAM,
        instrument,
        sys.executable,
        **{
            "OTEL_PYTHON_DISTRO": distro,
            "OTEL_PYTHON_CONFIGURATOR": {"rs": "rs", "distro": "configurator"}[distro],
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": {"http": "http/protobuf", "grpc": "grpc"}[receiver.protocol],
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.base,
            **environment,
        },
    )


def start_installed(receiver: Receiver, **environment: str) -> Any:
    """As a program does that calls `install()` and then upstream's configurator."""
    set_up = "import otel_rs\notel_rs.install()\nfrom opentelemetry.distro import OpenTelemetryConfigurator as C\n"
    return run(
        f"{set_up}C().configure()\n{PROGRAM}",
        **{
            **{f"OTEL_{signal.upper()}_EXPORTER": "otlp" for signal in ALL},
            "OTEL_EXPORTER_OTLP_PROTOCOL": {"http": "http/protobuf", "grpc": "grpc"}[receiver.protocol],
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.base,
            **environment,
        },
    )


def delivered(receiver: Receiver) -> set[str]:
    metrics = [metric for metric in receiver.metrics() if metric.name == "counter"]
    arrived = {"traces": receiver.spans(), "metrics": metrics, "logs": receiver.log_records()}
    receiver.requests.clear()
    return {signal for signal, telemetry in arrived.items() if telemetry}


def assert_one_line(stderr: str, variable: str, value: str) -> None:
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if line.startswith(variable)]
    if value in TAKEN:
        assert lines == []
        return
    (line,) = lines
    assert "accepted: " in line or "A batch holds" in line
    assert "secret" not in line
    assert variable.endswith("HEADERS") or value.rpartition(",")[2] in line


@pytest.mark.parametrize(("variable", "value", "others", "lost"), CASES, ids=[f"{v}={t[:40]}" for v, t, _, _ in CASES])
def test_a_bad_variable_costs_itself(
    variable: str, value: str, others: dict[str, str], lost: set[str], grpc_receiver: Any
) -> None:
    environment = {variable: value, **others}
    if "CERTIFICATE" in variable:
        environment[variable.replace("CERTIFICATE", "ENDPOINT")] = NOBODY
        environment[f"{OTLP}TIMEOUT"] = "1"
    done = start("rs", grpc_receiver, **environment)
    ours = delivered(grpc_receiver)
    assert done.stdout == "the program goes on\n"
    assert ours == ALL - lost
    assert_one_line(done.stderr, variable, value)
    if (variable, value) != (f"{OTLP}TIMEOUT", "1e30"):  # with which stock fails for minutes
        start("distro", grpc_receiver, **environment)
        assert delivered(grpc_receiver) <= ours


@pytest.mark.parametrize("signal", sorted(ALL))
@pytest.mark.parametrize("starting", [lambda *a, **k: start("rs", *a, **k), start_installed], ids=["distro", "install"])
def test_an_http_endpoint_without_a_scheme_costs_its_signal(
    starting: Callable[..., Any], signal: str, http_receiver: Any
) -> None:
    variable, value = f"{OTLP}{signal.upper()}_ENDPOINT", f"localhost:4318/v1/{signal}"
    done = starting(http_receiver, **{variable: value})
    assert delivered(http_receiver) == ALL - {signal}
    assert_one_line(done.stderr, variable, value)
    assert "begin it with http:// or https://" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (f"{OTLP}TIMEOUT", "1e30"),
        (f"{OTLP}TIMEOUT", "abc"),
        (f"{OTLP}COMPRESSION", "zip"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "many"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "sometimes"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "htp"),
    ],
)
def test_upstreams_configurator_after_install_is_no_different(variable: str, value: str, grpc_receiver: Any) -> None:
    done = start_installed(grpc_receiver, **{variable: value})
    assert delivered(grpc_receiver) == ALL
    assert_one_line(done.stderr, variable, value)


def test_quoted_values_are_taken_everywhere(grpc_receiver: Any) -> None:
    quoted = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f'"{grpc_receiver.base}"',
        "OTEL_EXPORTER_OTLP_PROTOCOL": '"grpc"',
        "OTEL_TRACES_EXPORTER": '"otlp"',
        "OTEL_BLRP_SCHEDULE_DELAY": "'5000'",
        "OTEL_METRIC_EXPORT_INTERVAL": "'60000'",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "'5'",
    }
    done = start("rs", grpc_receiver, **quoted)
    assert delivered(grpc_receiver) == ALL
    assert sum("quotes" in line for line in done.stderr.splitlines()) == len(quoted)


def test_a_configuration_file_with_a_bad_endpoint_costs_its_signal(http_receiver: Any, tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text(f"""
file_format: "1.0"
tracer_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "localhost:4318/v1/traces"}}}}}}
logger_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{http_receiver.base}/v1/logs"}}}}}}
""")
    done = start("rs", http_receiver, OTEL_CONFIG_FILE=str(file))
    assert delivered(http_receiver) == {"logs"}
    (line,) = [line for line in done.stderr.splitlines() if "accepted: " in line]
    assert line.startswith("argument endpoint is 'localhost:4318/v1/traces': ")
