"""Flask instrumented by opentelemetry-instrument, by hand and by the program, as `examples/flask_three_ways` says."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ...support.environment import environment as environment_with
from ..otelcol import Collector, attributes_of
from ..program import Program, free_port
from .arrived import Traces, traces_of
from .running import (
    BIN,
    DISTRO,
    IMPLEMENTATIONS,
    INSTRUMENT,
    REMOTE_TRACE_ID,
    TRACEPARENT,
    example,
    get,
    interrupt,
    listening,
    on_port,
    site_that_installs,
)

NAMES = {
    "automatic": "GET /server_request",
    "manual": "server_request",
    "programmatic": "GET /server_request",
}

SIGNALS = ["TRACES", "METRICS", "LOGS"]

# What the ConsoleSpanExporter prints that is different in each run.
DIFFERENT_IN_EACH_RUN = [
    (r"0x[0-9a-f]{16,32}", "ID"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r'(net\.(?:host|peer)\.port)": \d+', r'\1": PORT'),
    (r'(service\.instance\.id|test\.run)": "[^"]+"', r'\1": DIFFERS'),
]


class Sent(NamedTuple):
    traces: Traces
    console: list[str]
    program: Program


@pytest.fixture
def sent_by(
    collector: Collector, start_program: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Sent]:
    """`sent_by(implementation, way)` runs the program with two requests, the second within a trace."""

    def run(
        implementation: str, way: str, folder: str = "flask_three_ways", protocol: str = "grpc", **environment: str
    ) -> Sent:
        port = free_port()
        source = example(folder, implementation, tmp_path_factory.mktemp("copy")) / f"server_{way}.py"
        on_port(source, port)
        command: list[Any] = [sys.executable, source]
        if way == "automatic":
            endpoint = collector.endpoint(protocol).replace("127.0.0.1", "0.0.0.0")
            command = automatic(source, implementation, protocol, endpoint)
            environment |= {"PATH": f"{BIN}:{os.environ['PATH']}", "NO_PROXY": "0.0.0.0", "no_proxy": "0.0.0.0"}
        else:
            environment |= {
                "OTEL_SERVICE_NAME": f"{way}-instrument-service",
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol),
            }
        with listening(start_program, port, *command, OTEL_BSP_SCHEDULE_DELAY="100", **environment) as program:
            assert get(port, "/server_request?param=new") == "served"
            assert get(port, "/server_request?param=continued", traceparent=TRACEPARENT) == "served"
            interrupt(program)
            lines = program.output().splitlines()
            assert [line for line in lines if line in ("new", "continued")] == ["new", "continued"]
            return Sent(traces_of(collector, program, 2), printed_spans(program), program)

    return run


def automatic(source: Path, implementation: str, protocol: str, endpoint: str) -> list[Any]:
    """The document's command, with the distro as an option; over HTTP with the protocol, too."""
    document = (
        "opentelemetry-instrument --service_name auto-instrument-service --traces_exporter console,otlp "
        f"--metrics_exporter none --exporter_otlp_endpoint {endpoint}"
    )
    options = document.split()[1:]
    for variable, value in DISTRO[implementation].items():
        options += [f"--{variable.removeprefix('OTEL_PYTHON_').lower()}", value]
    if protocol != "grpc":
        options += ["--exporter_otlp_protocol", protocol]
    return [INSTRUMENT, *options, "python", source]


def printed_spans(program: Program) -> list[str]:
    """What the ConsoleSpanExporter printed, a text for each span, the same in each run."""
    spans = re.findall(r"^\{$.*?^\}$", program.output(), re.MULTILINE | re.DOTALL)
    for span in spans:
        json.loads(span)
    for expression, word in DIFFERENT_IN_EACH_RUN:
        spans = [re.sub(expression, word, span) for span in spans]
    return spans


def assert_as_the_document_says(way: str, stock: Sent) -> None:
    assert stock.traces.trees() == [f"SERVER {NAMES[way]}", f"SERVER {NAMES[way]} < remote"]
    spans = stock.traces.named(NAMES[way])
    assert len(spans) == 2
    for span in spans:
        assert (span["traceId"] == REMOTE_TRACE_ID) == bool(span.get("parentSpanId"))
        service = {"automatic": "auto"}.get(way, way)
        assert attributes_of(span["resource"])["service.name"] == f"{service}-instrument-service"
    stock.program.assert_ran_on("stock")


def assert_same(sent: Sent, stock: Sent) -> None:
    assert sent.traces.structure() == stock.traces.structure()
    assert sent.console == stock.console
    assert len(sent.console) == 2
    sent.program.assert_ran_on("otel-rs")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_automatic(sent_by: Callable[..., Sent], protocol: str) -> None:
    stock = sent_by("stock", "automatic", protocol=protocol)
    assert_as_the_document_says("automatic", stock)
    assert_same(sent_by("otel-rs", "automatic", protocol=protocol), stock)


def test_manual(sent_by: Callable[..., Sent]) -> None:
    stock = sent_by("stock", "manual")
    assert_as_the_document_says("manual", stock)
    assert_same(sent_by("otel-rs", "manual"), stock)
    assert_same(sent_by("otel-rs", "manual", folder="flask_own_names"), stock)


def test_programmatic(sent_by: Callable[..., Sent], tmp_path: Path) -> None:
    stock = sent_by("stock", "programmatic")
    assert_as_the_document_says("programmatic", stock)
    assert_same(sent_by("otel-rs", "programmatic"), stock)
    without_the_two_lines = sent_by("stock", "programmatic", PYTHONPATH=site_that_installs(tmp_path))
    assert_same(without_the_two_lines, stock)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("instrumented", ["by itself", "by opentelemetry-instrument, too"])
def test_excluded_urls(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, implementation: str, instrumented: str
) -> None:
    """The program's line in the comment instead of the line above it."""
    port = free_port()
    source = on_port(example("flask_three_ways", implementation, tmp_path) / "server_programmatic.py", port)
    text = source.read_text()
    plain = "instrumentor.instrument_app(app)\n# "
    assert plain in text
    source.write_text(text.replace(plain, ""))
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc")}
    command: list[Any] = [sys.executable, source]
    expected = ["SERVER GET /static/<path:filename>"]
    if instrumented != "by itself":
        environment |= {**DISTRO[implementation], **{f"OTEL_{signal}_EXPORTER": "none" for signal in SIGNALS}}
        command.insert(0, INSTRUMENT)
        expected.insert(0, "SERVER GET /server_request")
    with listening(start_program, port, *command, **environment) as program:
        assert get(port, "/server_request?param=excluded") == "served"
        assert get(port, "/static/missing", status=404)
        interrupt(program)
        assert traces_of(collector, program, len(expected)).trees() == expected
        program.assert_ran_on(implementation)


def test_no_stock_exporter_is_needed(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In an environment with what the README installs."""
    python = environment_with(
        tmp_path_factory.mktemp("environment"), "otel-rs", "flask", "opentelemetry-instrumentation-flask"
    )
    folder = example("flask_three_ways", "otel-rs", tmp_path)
    for way in ("manual", "programmatic"):
        port = free_port()
        source = on_port(folder / f"server_{way}.py", port)
        endpoint = collector.endpoint("grpc")
        with listening(start_program, port, python, source, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as program:
            assert get(port, f"/server_request?param={way}") == "served"
            interrupt(program)
            assert traces_of(collector, program, 1).trees() == [f"SERVER {NAMES[way]}"]
            program.assert_ran_on("otel-rs")


def test_the_three_ways_give_the_same_spans(sent_by: Callable[..., Sent]) -> None:
    """Those of the two ways that use the Flask instrumentation are equal; the program's own has a part of it."""
    automatic, manual, programmatic = (sent_by("otel-rs", way) for way in NAMES)

    def facts(sent: Sent, way: str) -> list[tuple[Any, ...]]:
        return [
            (span["kind"], span.get("parentSpanId"), span.get("status", {}), comparable(attributes_of(span)))
            for span in sorted(sent.traces.named(NAMES[way]), key=lambda span: span.get("parentSpanId", ""))
        ]

    of_the_instrumentation = facts(automatic, "automatic")
    assert facts(programmatic, "programmatic") == of_the_instrumentation
    for ours, theirs in zip(facts(manual, "manual"), of_the_instrumentation, strict=True):
        assert ours[:3] == theirs[:3]
        assert set(theirs[3].items()) - set(ours[3].items()) == {
            ("http.route", "/server_request"),
            ("http.status_code", 200),
        }
        assert set(ours[3].items()) <= set(theirs[3].items())


def comparable(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        key: re.sub(r":\d+$", ":PORT", value) if isinstance(value, str) else "PORT" if key.endswith(".port") else value
        for key, value in attributes.items()
    }
