"""The Flask programs of examples/, end to end: a Collector receives the same trace as from the stock SDK."""

import http.client
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .otelcol import attributes_of
from .program import accepts_connections, free_port, wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
PROTOCOLS = ["grpc", "http/protobuf"]

# The imports of the same program for the stock SDK.
STOCK_IMPORTS = {
    "from otel_rs import BatchSpanProcessor, TracerProvider": (
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import BatchSpanProcessor"
    ),
    "from otel_rs.exporter.otlp.grpc import OTLPSpanExporter": (
        "from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter"
    ),
    "from otel_rs.exporter.otlp.http import OTLPSpanExporter": (
        "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter"
    ),
}

# `opentelemetry-instrument` selects both by name; the stock ones have names here, too, so that no default is used.
DISTROS = {
    "stock": {"OTEL_PYTHON_DISTRO": "distro", "OTEL_PYTHON_CONFIGURATOR": "configurator"},
    "otel_rs": {"OTEL_PYTHON_DISTRO": "rs"},
}

REMOTE_TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
REMOTE_SPAN_ID = "b7ad6b7169203331"
TRACEPARENT = f"00-{REMOTE_TRACE_ID}-{REMOTE_SPAN_ID}-01"

EXPECTED_NAMES = {
    "flask_automatic": "GET /server_request",
    "flask_manual": "server_request",
    "flask_programmatic": "GET /server_request",
}


def program_for(example: str, implementation: str, folder: Path) -> Path:
    program = EXAMPLES / example / "app.py"
    if implementation == "otel_rs" or example == "flask_automatic":
        return program
    source = program.read_text()
    for ours, stock in STOCK_IMPORTS.items():
        assert ours in source
        indent = source.split(ours)[0].rpartition("\n")[2]
        source = source.replace(ours, stock.replace("\n", f"\n{indent}"))
    assert "otel_rs" not in source
    copy = folder / "app.py"
    copy.write_text(source)
    return copy


def get(port: int, path: str, headers: dict[str, str]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().read()
    finally:
        connection.close()


def without_ports(attributes: dict[str, Any], port: int) -> dict[str, Any]:
    """Replaces the ports in the attributes, which differ in each run, by a word."""
    return {
        key: "PORT"
        if key.endswith(".port")
        else value.replace(f":{port}", ":PORT")
        if isinstance(value, str)
        else value
        for key, value in attributes.items()
    }


def structure_of(resource_spans: list[dict[str, Any]], port: int) -> dict[str, Any]:
    """Everything received, without ids, times and ports, which differ in each run."""
    spans = []
    services = set()
    for item in resource_spans:
        services.add(attributes_of(item["resource"])["service.name"])
        for scope_spans in item["scopeSpans"]:
            for span in scope_spans["spans"]:
                assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
                spans.append(
                    {
                        "name": span["name"],
                        "kind": span["kind"],
                        "parent": {"": None, REMOTE_SPAN_ID: "remote"}[span.get("parentSpanId", "")],
                        "in remote trace": span["traceId"] == REMOTE_TRACE_ID,
                        "flags": span.get("flags", 0),
                        "status": span.get("status", {}),
                        "events": span.get("events", []),
                        "links": span.get("links", []),
                        "attributes": without_ports(attributes_of(span), port),
                        "scope": scope_spans["scope"],
                    }
                )
    return {"services": services, "spans": sorted(spans, key=lambda span: str(span["parent"]))}


@pytest.fixture(scope="session")
def received(collector, start_program, tmp_path_factory) -> Callable[[str, str, str], dict[str, Any]]:
    """`received(example, implementation, protocol)` runs the example with two requests; returns what arrives."""
    results: dict[tuple[str, str, str], dict[str, Any]] = {}

    def run(example: str, implementation: str, protocol: str) -> dict[str, Any]:
        port = free_port()
        environment = {
            "PORT": str(port),
            "OTEL_SERVICE_NAME": f"{example}-service",
            "OTEL_TRACES_EXPORTER": "console,otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol),
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        command = [sys.executable, program_for(example, implementation, tmp_path_factory.mktemp("stock"))]
        if example == "flask_automatic":
            environment |= DISTROS[implementation]
            instrument = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
            command = [instrument, *command]

        with start_program(*command, **environment) as program:
            wait_until(
                lambda: program.process.poll() is not None or accepts_connections(port),
                lambda: f"{example} does not serve:\n{program.output()}",
            )
            assert program.process.poll() is None, program.output()
            assert get(port, "/server_request?param=new", {}) == b"served"
            assert get(port, "/server_request?param=continued", {"traceparent": TRACEPARENT}) == b"served"
            resource_spans = collector.wait_for_spans(program.run, 2, program)
            program.assert_ran_on(implementation)
            return structure_of(resource_spans, port)

    def cached(example: str, implementation: str, protocol: str) -> dict[str, Any]:
        key = (example, implementation, protocol)
        if key not in results:
            results[key] = run(*key)
        return results[key]

    return cached


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("example", EXPECTED_NAMES)
def test_stock_sdk_sends_a_server_span_for_each_request(received, example, protocol):
    stock = received(example, "stock", protocol)

    assert stock["services"] == {f"{example}-service"}
    assert [(span["name"], span["kind"], span["parent"]) for span in stock["spans"]] == [
        (EXPECTED_NAMES[example], 2, None),
        (EXPECTED_NAMES[example], 2, "remote"),
    ]
    for span in stock["spans"]:
        assert span["attributes"]["http.method"] == "GET"
        assert span["in remote trace"] == (span["parent"] == "remote")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("example", EXPECTED_NAMES)
def test_otel_rs_sends_the_same_trace_as_the_stock_sdk(received, example, protocol):
    assert received(example, "otel_rs", protocol) == received(example, "stock", protocol)
