"""Keys and certificates of clients and servers that the stock exporters take."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttpSpanExporter

from otel_rs import TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter

from ..support.authority import NEW_P521_KEY, RSA_8192_KEY, Authority
from ..support.receiver import GrpcReceiver, HttpReceiver, ServerTls, started

pytestmark = [
    pytest.mark.installed,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]

RECEIVERS: dict[str, Any] = {"http": HttpReceiver, "grpc": GrpcReceiver}
EXPORTERS: dict[str, Any] = {
    "http": (StockHttpSpanExporter, HttpSpanExporter),
    "grpc": (StockGrpcSpanExporter, GrpcSpanExporter),
}
KINDS: dict[str, dict[str, Any]] = {
    "P-256": {},
    "P-521": {"new_key": NEW_P521_KEY},
    "RSA of 8192 bits": {"key": RSA_8192_KEY},
    "X.509 version 1": {"extensions": ""},
}
# gRPC's servers do not take P-521.
CLIENTS = [(protocol, kind) for protocol in RECEIVERS for kind in KINDS if (protocol, kind) != ("grpc", "P-521")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture(scope="module")
def server(authority: Authority) -> tuple[Path, Path]:
    return authority.sign("server")


@pytest.fixture(autouse=True)
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.certificate))


def show(monkeypatch: pytest.MonkeyPatch, certificate: Path, key: Path) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(certificate))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(key))


def export(exporter: Any) -> str:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
    span.end()
    name: str = exporter.export([span]).name
    exporter.shutdown()
    return name


@pytest.mark.parametrize(("protocol", "kind"), CLIENTS)
def test_a_client_shows_what_the_stock_exporter_shows(
    protocol: str,
    kind: str,
    authority: Authority,
    server: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    show(monkeypatch, *authority.sign("client", **KINDS[kind]))
    for receiver in started(RECEIVERS[protocol], ServerTls(*server, authority.certificate)):
        for exporter in EXPORTERS[protocol]:
            assert export(exporter(receiver.endpoint, timeout=10)) == "SUCCESS", exporter
        assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    ("protocol", "kind"), [("http", "P-521"), ("http", "RSA of 8192 bits"), ("grpc", "RSA of 8192 bits")]
)
def test_a_server_shows_what_the_stock_exporter_takes(protocol: str, kind: str, authority: Authority) -> None:
    for receiver in started(RECEIVERS[protocol], ServerTls(*authority.sign("large", **KINDS[kind]))):
        for exporter in EXPORTERS[protocol]:
            assert export(exporter(receiver.endpoint, timeout=10)) == "SUCCESS", exporter


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_a_key_of_another_certificate_is_named(
    protocol: str, authority: Authority, server: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    certificate, _ = authority.sign("client")
    show(monkeypatch, certificate, server[1])
    assert export(EXPORTERS[protocol][1]("https://127.0.0.1:1")) == "FAILURE"
    line = log()[0]
    assert line.startswith(f"OTEL_EXPORTER_OTLP_CLIENT_KEY is '{server[1]}': it is not the key of the certificate in ")
    assert "peer" not in line


def test_a_client_certificate_that_the_server_refuses_is_named(
    server: tuple[Path, Path], authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Any
) -> None:
    certificate, key = Authority(tmp_path, "stranger").sign("client")
    show(monkeypatch, certificate, key)
    for receiver in started(HttpReceiver, ServerTls(*server, authority.certificate)):
        assert export(HttpSpanExporter(receiver.endpoint, timeout=1)) == "FAILURE"
    (line,) = log()
    assert "the server refuses the client's certificate: it does not trust its issuer" in line
    assert f'; it is in {certificate} (subject "CN=client", issuer "CN=stranger")' in line


def test_a_client_certificate_that_has_expired_is_named(
    server: tuple[Path, Path], authority: Authority, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    certificate, key = authority.sign("old client", days=-1)
    show(monkeypatch, certificate, key)
    for receiver in started(HttpReceiver, ServerTls(*server, authority.certificate)):
        assert export(HttpSpanExporter(receiver.endpoint, timeout=1)) == "FAILURE"
    lines = log()
    assert lines[0].startswith(f"The client's certificate in {certificate} (subject ")
    assert "expired on " in lines[0]
    assert "the server refuses the client's certificate" in lines[-1]
