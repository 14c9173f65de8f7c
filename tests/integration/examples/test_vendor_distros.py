"""Vendors' distros with ``OTEL_PYTHON_CONFIGURATOR=rs`` send what they send on the stock SDK."""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from ...support.receiver import GrpcReceiver
from ..otelcol import Collector, attributes_of
from ..program import Program, free_port, wait_until
from .arrived import Traces, metric_names, traces_of
from .environments import UV, environment_with
from .running import get, interrupt, listening
from .wheels import pack

pytestmark = pytest.mark.environments

APP = """
from flask import Flask
from opentelemetry import trace
from opentelemetry.context import Context

app = Flask(__name__)
SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835 >> 5  # each bit of the ids varies

@app.route("/orders")
def orders():
    return type(trace.get_current_span()).__module__

@app.route("/decision")
def decision():
    context = trace.get_current_span().get_span_context()
    return f"{{int(context.trace_flags) & 1}} {{context.trace_state.to_header()}}"

@app.route("/roots")
def roots():
    sampler = trace.get_tracer_provider().sampler
    results = [sampler.should_sample(Context(), number * SPREAD, "root") for number in range(1, 33)]
    return "\\n".join(f"{{each.decision}} {{each.trace_state}} {{dict(each.attributes or ())}}" for each in results)

if __name__ == "__main__":
    app.run(port={port})
"""

ENVIRONMENT = {
    "OTEL_SERVICE_NAME": "orders",
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "system_metrics",
}
DISTROS = {
    "elastic-opentelemetry": {"OTEL_PYTHON_DISTRO": "distro"},
    "splunk-opentelemetry": {
        "OTEL_PYTHON_DISTRO": "splunk_distro",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",  # always_on without
    },
    "azure-monitor-opentelemetry": {
        "OTEL_PYTHON_DISTRO": "azure_monitor_opentelemetry_distro",
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    },
}
REQUESTS = 4


def environment_of(vendor: str, folder: Path) -> Path:
    """The `bin` of an environment with the vendor's distro in its latest release, and otel-rs as it is here."""
    bin = environment_with(vendor, vendor, "flask", "opentelemetry-instrumentation-flask")
    wheels = folder / "wheels"
    wheels.mkdir()
    pack(distribution("otel-rs"), wheels)
    install = [*UV, "pip", "install", "--python", bin.parent, "--no-deps", "--reinstall-package", "otel-rs"]
    subprocess.run([*install, "--no-index", "--find-links", wheels, "otel-rs"], check=True)
    return bin


@contextmanager
def serving(
    start_program: Callable[..., Any], bin: Path, folder: Path, **environment: str
) -> Iterator[tuple[Program, int]]:
    """The program, and its port."""
    port = free_port()
    (source := folder / "app.py").write_text(APP.format(port=port))
    command = [bin / "opentelemetry-instrument", bin / "python", source]
    with listening(start_program, port, *map(str, command), **{**ENVIRONMENT, **environment}) as program:
        yield program, port


def served(start_program: Callable[..., Any], bin: Path, folder: Path, spans_of: str, **environment: str) -> Program:
    """The program after it has answered, with spans of this package, and ended."""
    with serving(start_program, bin, folder, **environment) as (program, port):
        for _ in range(REQUESTS):
            assert get(port, "/orders").partition(".")[0] == spans_of
        interrupt(program)
    return program


def parent(trace_id: int, sampled: int) -> dict[str, str]:
    """The headers that name a remote parent."""
    return {"traceparent": f"00-{trace_id:032x}-{7:016x}-{sampled:02x}"}


@pytest.mark.parametrize(
    ("vendor", "distro", "resource"),
    [
        ("elastic-opentelemetry", "distro", {"telemetry.distro.name": "elastic"}),
        ("splunk-opentelemetry", "splunk_distro", {"telemetry.distro.name": "splunk-opentelemetry"}),
    ],
)
def test_what_the_distro_sends_by_otlp(
    collector: Collector,
    start_program: Callable[..., Any],
    tmp_path: Path,
    vendor: str,
    distro: str,
    resource: dict[str, str],
) -> None:
    bin = environment_of(vendor, tmp_path)
    arrived: dict[str, Traces] = {}
    metrics: dict[str, set[str]] = {}
    for spans_of, configurator in (("opentelemetry", {}), ("otel_rs", {"OTEL_PYTHON_CONFIGURATOR": "rs"})):
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"), "OTEL_PYTHON_DISTRO": distro}
        program = served(start_program, bin, tmp_path, spans_of, **endpoint, **configurator)
        arrived[spans_of] = traces_of(collector, program, REQUESTS)
        metrics[spans_of] = metric_names(collector, program, "http.server.duration")
    assert arrived["otel_rs"].structure() == arrived["opentelemetry"].structure()
    assert metrics["otel_rs"] == metrics["opentelemetry"]
    (span, *_) = arrived["otel_rs"].named("GET /orders")
    assert resource.items() <= attributes_of(span["resource"]).items()


def test_elastics_user_agent(start_program: Callable[..., Any], tmp_path: Path, grpc_receiver: GrpcReceiver) -> None:
    """Its configurator passes it by the exporters' classes, which its module has imported before ours run."""
    bin = environment_of("elastic-opentelemetry", tmp_path)
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": grpc_receiver.base,
        "OTEL_PYTHON_DISTRO": "distro",
        "OTEL_PYTHON_CONFIGURATOR": "rs",
    }
    served(start_program, bin, tmp_path, "otel_rs", **environment)
    agents = {request.headers["user-agent"].partition("/")[0] for request in grpc_receiver.requests}
    assert agents == {"elastic-otlp-grpc-python"}


def test_splunks_token_and_response_header(
    start_program: Callable[..., Any], tmp_path: Path, grpc_receiver: GrpcReceiver
) -> None:
    """The token becomes a header of each export; Server-Timing, in each answer, names the trace."""
    bin = environment_of("splunk-opentelemetry", tmp_path)
    environment = {
        **DISTROS["splunk-opentelemetry"],
        "OTEL_EXPORTER_OTLP_ENDPOINT": grpc_receiver.base,
        "SPLUNK_ACCESS_TOKEN": "secret",
        "OTEL_PYTHON_CONFIGURATOR": "rs",
    }
    with serving(start_program, bin, tmp_path, **environment) as (program, port):
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/orders", headers=parent(0x5EED, 1))
        answer = connection.getresponse()
        assert answer.read().decode().startswith("otel_rs.")
        assert f"{0x5EED:032x}" in str(answer.getheader("server-timing"))
        connection.close()
        interrupt(program)
    assert {request.headers.get("x-sf-token") for request in grpc_receiver.requests} == {"secret"}


@pytest.mark.parametrize("vendor", ["elastic-opentelemetry", "splunk-opentelemetry", "azure-monitor-opentelemetry"])
def test_what_the_vendors_sampler_decides(
    start_program: Callable[..., Any], tmp_path: Path, ingestion: Ingestion, grpc_receiver: GrpcReceiver, vendor: str
) -> None:
    """Of spans with a remote parent, sampled or not, and of roots with given trace ids."""
    bin = environment_of(vendor, tmp_path)
    environment = {
        **DISTROS[vendor],
        "OTEL_EXPORTER_OTLP_ENDPOINT": grpc_receiver.base,
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string(),
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
    }
    decisions = []
    for configurator in ({}, {"OTEL_PYTHON_CONFIGURATOR": "rs"}):
        with serving(start_program, bin, tmp_path, **environment, **configurator) as (program, port):
            remote = [parent(number << 96 | number, flag) for number in range(1, 2**32, 2**29) for flag in (0, 1)]
            children = [get(port, "/decision", **headers) for headers in remote]
            decisions.append((children, get(port, "/roots").splitlines()))
            interrupt(program)
    stock, native = decisions
    assert native == stock
    for texts in native:
        assert len({text.partition(" ")[0] for text in texts}) == 2, "both decisions are seen"


class Ingestion(ThreadingHTTPServer):
    """As Azure Monitor's: takes lines of JSON, gzipped."""

    def __init__(self) -> None:
        self.envelopes: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def connection_string(self) -> str:
        key = "00000000-0000-0000-0000-000000000001"
        return f"InstrumentationKey={key};IngestionEndpoint=http://127.0.0.1:{self.server_address[1]}/"

    def requests(self) -> list[str]:
        """The served requests, without what differs in each run."""
        facts = []
        for envelope in self.envelopes:
            if envelope["name"].endswith("Request"):
                data = envelope["data"]["baseData"]
                random = ("ai.operation", "ai.cloud.roleInstance", "ai.internal.nodeName")  # ids
                tags = {key: value for key, value in envelope["tags"].items() if not key.startswith(random)}
                kept = {key: value for key, value in data.items() if key not in ("id", "duration", "url")}
                facts.append(json.dumps({**kept, "tags": tags, "sampled": envelope.get("sampleRate")}, sort_keys=True))
        return sorted(facts)


class Handler(BaseHTTPRequestHandler):
    server: Ingestion

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        envelopes = json.loads(body) if self.path.endswith("/track") else []
        self.server.envelopes += envelopes
        answer = {"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []}
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def ingestion() -> Iterator[Ingestion]:
    with Ingestion() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_what_azure_monitors_distro_sends(
    start_program: Callable[..., Any], tmp_path: Path, ingestion: Ingestion
) -> None:
    bin = environment_of("azure-monitor-opentelemetry", tmp_path)
    environment = {
        **DISTROS["azure-monitor-opentelemetry"],
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string(),
    }
    arrived: dict[str, list[str]] = {}
    for spans_of, configurator in (("opentelemetry", {}), ("otel_rs", {"OTEL_PYTHON_CONFIGURATOR": "rs"})):
        ingestion.envelopes.clear()
        program = served(start_program, bin, tmp_path, spans_of, **environment, **configurator)
        wait_until(lambda: len(ingestion.requests()) >= REQUESTS, program.output)
        arrived[spans_of] = ingestion.requests()
    assert len(arrived["otel_rs"]) == REQUESTS
    assert arrived["otel_rs"] == arrived["opentelemetry"]
