"""`otel-rs doctor` in a process of its own, as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

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


def test_the_version() -> None:
    done = subprocess.run([sys.executable, "-m", "otel_rs", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "otel-rs 0.1.0\n"
