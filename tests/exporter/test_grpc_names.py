"""gRPC's names of servers: the stock exporter beside ours, by argument and by variable."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Stock
from opentelemetry.sdk.trace.export import SpanExportResult

from otel_rs import TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter

from ..support.receiver import DEADLINE_SECONDS, GrpcReceiver, started

pytestmark = pytest.mark.installed

IPV6 = "[::1]:0"

NAMES = [
    "localhost:{port}",
    "http://localhost:{port}",
    "grpc://localhost:{port}",
    "tcp://localhost:{port}",
    "what-ever://localhost:{port}",
    "dns:localhost:{port}",
    "dns:/localhost:{port}",
    "dns:///localhost:{port}",
    "DNS:///localhost:{port}",
    "dns://localhost:{port}",
    "dns:%6cocalhost:{port}",
    "ipv4:127.0.0.1:{port}",
    "ipv4:///127.0.0.1:{port}",
    "ipv4://127.0.0.1:{port}",
    "ipv4:127.0.0.9:1,127.0.0.1:{port}",
]
NAMES_OF_IPV6 = [
    "[::1]:{port}",
    "dns:[::1]:{port}",
    "dns:///[::1]:{port}",
    "ipv6:[::1]:{port}",
    "ipv6:///[::1]:{port}",
    "ipv6:%5B::1%5D:{port}",
    "ipv6:[::1]:1,[::1]:{port}",
    "http://[::1%251]:{port}",
    "http://[::1%1]:{port}",
    "[::1%25lo]:{port}",
    "ipv6:[::1%251]:{port}",
    "ipv6:%5B::1%251%5D:{port}",
]
SOCKETS = ["unix:{path}", "unix://{path}", "unix-abstract:{abstract}"]

# Stock does not reach these.
OURS = [
    "ipv4:localhost:{port}",
    "passthrough:///localhost:{port}",
    "dns:///localhost:{port}/path",
    "localhost:{port}/",
]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as ipv6:
            ipv6.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The receiver, and what the names' placeholders stand for."""
    path: Path = tmp_path_factory.mktemp("socket") / "otel"
    abstract = f"otel-rs-{path.parent}"
    also = [f"unix:{path}"]
    also += [IPV6] if has_ipv6() else []
    also += [f"unix-abstract:{abstract}"] if sys.platform == "linux" else []
    for receiver in started(GrpcReceiver, None, tuple(also)):
        yield {"receiver": receiver, "path": path, "abstract": abstract, "port": receiver.port}


def ended_spans() -> list[Any]:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
    span.end()
    return [span]


def assert_it_arrives(kind: Any, places: dict[str, Any], **arguments: Any) -> None:
    receiver = places["receiver"]
    before = len(receiver.requests)
    exporter = kind(**arguments)
    assert exporter.export(ended_spans()) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert len(receiver.requests) == before + 1


def assert_both_arrive(name: str, places: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = name.format(**places)
    for kind in (Stock, OTLPSpanExporter):
        assert_it_arrives(kind, places, endpoint=endpoint, insecure=True)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", "true")
    for kind in (Stock, OTLPSpanExporter):
        assert_it_arrives(kind, places)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_where_stocks_does(name: str, places: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert_both_arrive(name, places, monkeypatch)


@needs_ipv6
@pytest.mark.parametrize("name", NAMES_OF_IPV6)
def test_ipv6_with_and_without_a_zone(name: str, places: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert_both_arrive(name, {**places, "port": places["receiver"].ports[IPV6]}, monkeypatch)


@pytest.mark.parametrize("name", [*SOCKETS[:2], pytest.param(SOCKETS[2], marks=needs_linux)])
def test_sockets_as_in_stock(name: str, places: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert_both_arrive(name, places, monkeypatch)


@pytest.mark.parametrize("name", OURS)
def test_a_name_that_stock_does_not_understand(name: str, places: dict[str, Any]) -> None:
    assert_it_arrives(OTLPSpanExporter, places, endpoint=name.format(**places), insecure=True)


@pytest.mark.parametrize("scheme", ["", "grpc://", "dns:", "dns:///", "ipv4:"])
def test_without_insecure_a_name_means_tls_as_in_stock(scheme: str) -> None:
    endpoint = f"{scheme}127.0.0.1:1"
    assert Stock(endpoint)._insecure is False
    assert OTLPSpanExporter(endpoint)._endpoint_url == "https://127.0.0.1:1"


@pytest.mark.parametrize("insecure", [True, False, None])
def test_grpcs_means_tls(insecure: bool | None) -> None:
    assert OTLPSpanExporter("grpcs://localhost:1", insecure=insecure)._endpoint_url == "https://localhost:1"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("http://localhost", "http://localhost:443"),
        ("http://localhost:", "http://localhost:443"),
        ("https://localhost", "https://localhost:443"),
        ("dns:///localhost", "https://localhost:443"),
        ("ipv4:127.0.0.1,127.0.0.2:1", "https://127.0.0.1:443,127.0.0.2:1"),
        ("http://[::1]", "http://[::1]:443"),
    ],
)
def test_a_name_without_a_port_has_grpcs(name: str, url: str) -> None:
    assert OTLPSpanExporter(name)._endpoint_url == url


def test_stock_sends_to_grpcs_port_without_tls_as_well(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # No port below 1024 is free to listen at: a proxy is told where both want to go.
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("grpc_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        proxy.settimeout(DEADLINE_SECONDS)
        heads = []
        for kind in (Stock, OTLPSpanExporter):
            exporter = kind("http://collector.invalid", timeout=20)
            export = threading.Thread(target=exporter.export, args=(ended_spans(),))
            export.start()
            connection, _ = proxy.accept()
            heads.append(connection.recv(4096).split(b" HTTP/1.")[0])
            exporter.shutdown()
            connection.close()
            export.join()
    assert heads == [b"CONNECT collector.invalid:443"] * 2


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("dns://8.8.8.8/localhost:4317", "a name server to ask cannot be chosen"),
        ("what-ever://localhost:4317", "the scheme must be http or https"),
        ("xds:///localhost:4317", "the scheme must be http or https"),
        ("ipv6:[::1:4317", "invalid IPv6 address"),
        ("http://[fe80::1%lo", "invalid IPv6 address"),
    ],
)
def test_what_is_no_name_says_why(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        OTLPSpanExporter(name)


def test_a_server_may_be_called_as_a_resolver_is() -> None:
    assert OTLPSpanExporter("dns:4317", insecure=True)._endpoint_url == "http://dns:4317"
