"""`otel-rs doctor` in a process of its own, as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otel_rs.doctor.file import REPLACED

from ..support.program import run
from ..support.receiver import DEADLINE_SECONDS, Answer, GrpcReceiver, HttpReceiver, Receiver

PLAIN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("OTEL_", "PYTHON")) and not name.lower().endswith("_proxy")
}
OF_RECEIVER = {"http": "http/protobuf", "grpc": "grpc"}


def doctor(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otel_rs", "doctor", *options]
    return subprocess.run(command, env={**PLAIN, **variables}, capture_output=True, text=True, timeout=DEADLINE_SECONDS)


def to(receiver: Receiver, **more: str) -> dict[str, str]:
    return {
        "OTEL_PYTHON_DISTRO": "rs",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.base,
        "OTEL_EXPORTER_OTLP_PROTOCOL": OF_RECEIVER[receiver.protocol],
        **more,
    }


def found(*options: str, **variables: str) -> tuple[int, dict[str, Any]]:
    done = doctor("--json", *options, **variables)
    return done.returncode, json.loads(done.stdout)


def problems(report: dict[str, Any]) -> dict[str, str]:
    findings = [*report["set_up"], *report["complaints"], *report["delivery"]]
    return {each["subject"]: each["text"] for each in findings if each["status"] == "problem"}


def test_a_healthy_set_up_has_no_problem(receiver: Receiver) -> None:
    done = doctor(**to(receiver))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    protocol = OF_RECEIVER[receiver.protocol]
    assert "ok       distro: rs, for OTEL_PYTHON_DISTRO names it" in done.stdout
    for signal in ("traces", "metrics", "logs"):
        where = receiver.endpoint_of(signal)
        assert f"ok       {signal}: the receiver at {where} by {protocol} took it" in done.stdout
    assert done.stdout.endswith("No problem was found.\n")
    (span,), (metric,), (record,) = receiver.spans(), receiver.metrics(), receiver.log_records()
    assert (span.name, metric.name) == ("otel-rs doctor's test span", "otel_rs.doctor.tests")
    assert record.body.string_value == "otel-rs doctor's test log record"


def test_every_setting_has_its_source_and_secrets_are_masked(grpc_receiver: GrpcReceiver) -> None:
    headers = "authorization=Bearer%20s3cret,x-tenant=t0p"
    variables = to(
        grpc_receiver,
        OTEL_EXPORTER_OTLP_HEADERS=headers,
        OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="3",
        OTEL_BSP_SCHEDULE_DELAY="'7'",
    )
    done = doctor("--json", **variables)
    assert "s3cret" not in done.stdout
    assert "t0p" not in done.stdout
    values = {each["variable"]: (each["value"], each["source"]) for each in json.loads(done.stdout)["settings"]}
    assert values["OTEL_EXPORTER_OTLP_HEADERS"] == ("authorization=***,x-tenant=***", "OTEL_EXPORTER_OTLP_HEADERS")
    assert values["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] == ("3", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
    assert values["OTEL_BSP_SCHEDULE_DELAY"] == ("7", "OTEL_BSP_SCHEDULE_DELAY")
    assert values["OTEL_BSP_MAX_QUEUE_SIZE"] == ("2048", "default")
    metadata = grpc_receiver.requests[0].headers
    assert (metadata["authorization"], metadata["x-tenant"]) == ("Bearer s3cret", "t0p")


@pytest.mark.parametrize(
    ("variables", "subject", "text"),
    [
        ({"OTEL_PYTHON_DISTRO": "rss"}, "distro", "(did you mean rs?)"),
        ({"OTEL_PYTHON_CONFIGURATOR": "sr"}, "configurator", "OTEL_PYTHON_CONFIGURATOR is 'sr', and there are: "),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grcp"}, "OTEL_EXPORTER_OTLP_PROTOCOL", "(did you mean grpc?). Using grpc"),
        ({"OTEL_TRACES_SAMPLER": "alwayson"}, "OTEL_TRACES_SAMPLER", "(did you mean always_on?)"),
        ({"OTEL_PROPAGATORS": "tracecontex"}, "OTEL_PROPAGATORS", "(did you mean tracecontext?). Using tracecontext,"),
        (
            {"OTEL_PROPAGATORS": "b4,baggage"},
            "OTEL_PROPAGATORS",
            "But opentelemetry-instrument does not start ",
        ),
        ({"OTEL_TRACES_EXPORTER": "otpl"}, "traces", "(did you mean otlp?)"),
        ({"OTEL_BSP_SCHEDULE_DELAY": "5s"}, "OTEL_BSP_SCHEDULE_DELAY", "accepted: a whole number of milliseconds"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "s3cret"}, "OTEL_EXPORTER_OTLP_HEADERS", ": header 1 is left out"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPONT": "x"},
            "OTEL_EXPORTER_OTLP_ENDPONT",
            "is read by nothing here (did you mean OTEL_EXPORTER_OTLP_ENDPOINT?)",
        ),
        ({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED", "nothing is recorded or exported; unset it"),
        ({"OTEL_EXPORTER_OTLP_CERTIFICATE": "/no"}, "traces", "OTEL_EXPORTER_OTLP_CERTIFICATE is '/no': No such file"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_with_a_setting_is_a_problem(variables: dict[str, str], subject: str, text: str) -> None:
    # Nothing is listening, nor must it.
    sends = "TRACES_EXPORTER" in str(variables) or "CERTIFICATE" in str(variables)
    more = {} if sends else {"OTEL_TRACES_EXPORTER": "none"}
    quiet = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", **more}
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1"}
    status, report = found("--timeout", "0.2", **{**quiet, **endpoint, "OTEL_PYTHON_DISTRO": "rs", **variables})
    assert (status, report["healthy"]) == (1, False)
    assert text in problems(report)[subject]
    assert "s3cret" not in json.dumps(report)


def test_a_protocol_that_the_receiver_does_not_speak(grpc_receiver: GrpcReceiver, http_receiver: HttpReceiver) -> None:
    for receiver, other, remedy in (
        (grpc_receiver, "http/protobuf", "; set OTEL_EXPORTER_OTLP_PROTOCOL to grpc, or the endpoint to"),
        (http_receiver, "grpc", "; set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or the endpoint to"),
    ):
        status, report = found(**to(receiver, OTEL_EXPORTER_OTLP_PROTOCOL=other, OTEL_EXPORTER_OTLP_TIMEOUT="4"))
        assert status == 1
        assert problems(report).keys() == {"traces", "metrics", "logs"}
        for text in problems(report).values():
            assert "the server speaks HTTP/" in text
            assert remedy in text


def test_what_the_receiver_says_is_passed_on(http_receiver: HttpReceiver) -> None:
    http_receiver.answers += [Answer(401, body=b"no such token")] * 3
    status, report = found(**to(http_receiver))
    assert status == 1
    for text in problems(report).values():
        assert "HTTP 401 Unauthorized: no such token; set credentials that the receiver takes" in text


def test_a_signal_that_goes_elsewhere_is_no_problem(http_receiver: HttpReceiver) -> None:
    others = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "console"}
    status, report = found(**to(http_receiver, **others))
    assert status == 0
    texts = {each["subject"]: each["text"] for each in report["delivery"]}
    assert texts["metrics"] == "not sent, for OTEL_METRICS_EXPORTER is none"
    assert texts["logs"] == "to the exporter console, which is not tried here"


def test_without_sending(grpc_receiver: GrpcReceiver) -> None:
    status, report = found("--no-send", **to(grpc_receiver))
    assert (status, report["delivery"], grpc_receiver.requests) == (0, [], [])


FILE = """
file_format: "1.0"
tracer_provider:
  processors:
    - batch: {{exporter: {{otlp_{protocol}: {{endpoint: "{endpoint}", headers: [{{name: x-key, value: s3cret}}]}}}}}}
    - simple: {{exporter: {{console: {{}}}}}}
"""


def test_a_configuration_file_says_where_to_send(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text(FILE.format(protocol=receiver.protocol, endpoint=receiver.endpoint))
    # None of these counts.
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_TRACES_SAMPLER": "alwayson",
        "OTEL_METRICS_EXPORTER": "otpl",
    }
    status, report = found(OTEL_PYTHON_DISTRO="rs", OTEL_CONFIG_FILE=str(file), **variables)
    assert (status, problems(report)) == (0, {})
    protocol = OF_RECEIVER[receiver.protocol]
    assert [(each["subject"], each["text"]) for each in report["delivery"]] == [
        ("metrics", "not sent, for the file has no meter_provider"),
        ("logs", "not sent, for the file has no logger_provider"),
        ("traces", f"the receiver at {receiver.endpoint} by {protocol} took it"),
        ("traces", "to the exporter ConsoleSpanExporter, which is not tried here"),
    ]
    assert [span.name for span in receiver.spans()] == ["otel-rs doctor's test span"]
    assert receiver.requests[0].headers["x-key"] == "s3cret"
    values = {each["variable"]: each["source"] for each in report["settings"]}
    assert values["OTEL_TRACES_SAMPLER"] == values["OTEL_PROPAGATORS"] == "OTEL_CONFIG_FILE"
    assert values["OTEL_EXPORTER_OTLP_TIMEOUT"] == "default"
    notes = {each["subject"]: each["text"] for each in report["complaints"]}
    assert notes.keys() == {"OTEL_METRICS_EXPORTER", "OTEL_TRACES_SAMPLER"}
    assert set(notes.values()) == {"does not count: OTEL_CONFIG_FILE takes its place"}
    assert "s3cret" not in json.dumps(report)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be used, and nothing is set up: Configuration file not found: "),
        ("file_format: [", "cannot be used, and nothing is set up: Failed to parse YAML: "),
        ("file_format: '1.0'\ndisabled: true", "has `disabled: true`: nothing is recorded"),
        (
            "file_format: '1.0'\ntracer_provider: {processors: [{simple: {exporter: {nowhere: {}}}}]}",
            "what it says cannot be set up: Plugin 'nowhere' not found in group",
        ),
    ],
    ids=["missing", "no YAML", "disabled", "unknown exporter"],
)
def test_a_configuration_file_that_cannot_be_used_is_a_problem(tmp_path: Path, text: str | None, why: str) -> None:
    file = tmp_path / "otel.yaml"
    if text is not None:
        file.write_text(text)
    status, report = found(OTEL_PYTHON_DISTRO="rs", OTEL_CONFIG_FILE=str(file))
    assert status == 1
    assert why in problems(report)["OTEL_CONFIG_FILE"]
    assert all(each["subject"] == "OTEL_CONFIG_FILE" for each in report["delivery"])


def test_without_the_package_that_reads_it_a_file_is_a_problem(only_otel_rs: Path, tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text("file_format: '1.0'")
    variables = {**PLAIN, "OTEL_PYTHON_DISTRO": "rs", "OTEL_CONFIG_FILE": str(file)}
    command = [str(only_otel_rs), "-m", "otel_rs", "doctor", "--no-send"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == 1
    assert "PROBLEM  OTEL_CONFIG_FILE: it needs opentelemetry-configuration, which is not installed" in done.stdout


# Another value than the default for each.
OTHERS = {
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_PYTHON_ID_GENERATOR": "other",
    "OTEL_PYTHON_TRACER_CONFIGURATOR": "other",
    "OTEL_PYTHON_METER_CONFIGURATOR": "other",
    "OTEL_PYTHON_LOGGER_CONFIGURATOR": "other",
    "OTEL_PROPAGATORS": "baggage",
    "OTEL_RESOURCE_ATTRIBUTES": "a=b",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "os,process",
    "OTEL_TRACES_SAMPLER": "traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.25",
    "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
}

EVERYTHING = """
import os
import otel_rs
otel_rs.install()
from opentelemetry import metrics, propagate, trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.configuration import configure_sdk, load_config_file
configure_sdk(load_config_file(os.environ["FILE"]))
tracers, meters, loggers = trace.get_tracer_provider(), metrics.get_meter_provider(), get_logger_provider()
plain = lambda value: (
    value if isinstance(value, (str, int, float)) else
    {getattr(key, "__name__", str(key)): plain(each) for key, each in value.items() if key != "_pid"}
    if isinstance(value, dict) else
    [plain(each) for each in value] if isinstance(value, (tuple, list)) else
    type(value).__qualname__
)
limits = vars(tracers._span_limits)
# Counts where one of the others is not given.
del limits["max_attributes"]
(reader,) = meters._metric_readers
(processor,) = loggers._multi_log_record_processor._log_record_processors
print([
    tracers.sampler.get_description(), limits, plain(dict(tracers.resource.attributes)),
    plain(tracers.id_generator), tracers._tracer_configurator.__name__, meters._meter_configurator.__name__,
    loggers._logger_configurator.__name__, plain(meters._sdk_config.exemplar_filter),
    vars(loggers._log_record_limits), plain(vars(reader)), plain(vars(reader._exporter)),
    [type(each).__name__ for each in propagate.get_global_textmap()._propagators],
    plain(vars(processor)), plain(vars(processor._batch_processor)),
])
"""


def test_no_setting_that_a_configuration_file_takes_the_place_of_counts(tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text("""
file_format: "1.0"
tracer_provider: {processors: [{batch: {exporter: {otlp_http: {}}}}]}
meter_provider: {readers: [{periodic: {exporter: {otlp_http: {}}}}]}
logger_provider: {processors: [{batch: {exporter: {otlp_http: {}}}}]}
propagator: {composite: [{tracecontext: {}}]}
""")
    # Those that are left are numbers.
    others = {setting.variable: OTHERS.get(setting.variable, "77") for setting in REPLACED}
    assert OTHERS.keys() <= others.keys()
    usual = run(EVERYTHING, FILE=str(file)).stdout
    assert run(EVERYTHING, FILE=str(file), **others).stdout == usual


def test_the_version() -> None:
    done = subprocess.run([sys.executable, "-m", "otel_rs", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "otel-rs 0.1.0\n"
