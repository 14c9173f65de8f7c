"""Certificates to trust from the variables of other libraries, which every corporate network sets one of."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from otel_rs import TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter

from ..support.authority import Authority
from ..support.program import run
from ..support.receiver import GrpcReceiver, HttpReceiver, Receiver, ServerTls, started

pytestmark = [
    pytest.mark.installed,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]

RECEIVERS: dict[str, Any] = {"http": HttpReceiver, "grpc": GrpcReceiver}
EXPORTERS: dict[str, Any] = {"http": HttpSpanExporter, "grpc": GrpcSpanExporter}
GRPC = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
OF_STOCK = [("grpc", GRPC), ("http", "REQUESTS_CA_BUNDLE"), ("http", "CURL_CA_BUNDLE")]
OWN = "OTEL_EXPORTER_OTLP_CERTIFICATE"
MISSING = "/no/such/bundle.pem"

# In a process of its own, because gRPC reads its variable once.
STOCK_PROGRAM = """
from opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider

span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
span.end()
print(OTLPSpanExporter({endpoint!r}, timeout=10).export([span]).name)
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture(scope="module")
def bundle(authority: Authority) -> str:
    return str(authority.certificate)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bundle without the receiver's authority."""
    return str(Authority(tmp_path_factory.mktemp("other"), "other").certificate)


@pytest.fixture(scope="module")
def receivers(authority: Authority) -> Iterator[dict[str, Receiver]]:
    tls = ServerTls(*authority.sign("server"))
    for http in started(RECEIVERS["http"], tls):
        for grpc in started(RECEIVERS["grpc"], tls):
            yield {"http": http, "grpc": grpc}


@pytest.fixture
def exports(receivers: dict[str, Receiver], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Whether an export arrives, with these variables set."""

    def exports(protocol: str, arguments: dict[str, Any] | None = None, **variables: str) -> bool:
        receiver = receivers[protocol]
        span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
        span.end()
        with monkeypatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            exporter = EXPORTERS[protocol](receiver.endpoint, timeout=1, **(arguments or {}))
        arrived = len(receiver.requests)
        result = exporter.export([span])
        exporter.shutdown()
        assert len(receiver.requests) - arrived == (result.name == "SUCCESS")
        return bool(result.name == "SUCCESS")

    return exports


@pytest.mark.parametrize(("protocol", "variable"), OF_STOCK)
def test_the_variables_of_the_stock_exporters_libraries_are_trusted(
    protocol: str, variable: str, exports: Any, receivers: dict[str, Receiver], bundle: str
) -> None:
    stock = run(STOCK_PROGRAM.format(protocol=protocol, endpoint=receivers[protocol].endpoint), **{variable: bundle})
    assert stock.stdout.split() == ["SUCCESS"]
    assert exports(protocol, **{variable: bundle})


@pytest.mark.parametrize(("protocol", "variable"), OF_STOCK)
def test_the_other_protocols_variable_is_not_read(protocol: str, variable: str, exports: Any, bundle: str) -> None:
    assert not exports("http" if protocol == "grpc" else "grpc", **{variable: bundle})


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_our_own_variable_comes_first(protocol: str, exports: Any, bundle: str, other: str) -> None:
    below = dict.fromkeys([GRPC, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"], other)
    assert exports(protocol, **below, **{OWN: bundle})
    below = dict.fromkeys(below, bundle)
    assert not exports(protocol, **below, **{OWN: other})


def test_the_first_variable_of_the_order_counts_alone(exports: Any, bundle: str, other: str) -> None:
    assert not exports("http", REQUESTS_CA_BUNDLE=other, CURL_CA_BUNDLE=bundle, SSL_CERT_FILE=bundle)
    assert not exports("http", CURL_CA_BUNDLE=other, SSL_CERT_FILE=bundle)
    assert not exports("grpc", **{GRPC: other}, SSL_CERT_FILE=bundle)


def test_openssls_variables_are_trusted_together(exports: Any, bundle: str, other: str) -> None:
    folder = str(Path(bundle).parent)
    assert exports("http", SSL_CERT_FILE=bundle)
    assert exports("grpc", SSL_CERT_DIR=f"{Path(other).parent}:{folder}")
    assert exports("http", SSL_CERT_FILE=other, SSL_CERT_DIR=folder)


@pytest.mark.parametrize(("protocol", "variable"), [*OF_STOCK, ("grpc", "SSL_CERT_FILE"), ("http", "SSL_CERT_DIR")])
def test_a_bad_one_is_named_and_nothing_wider_is_trusted(
    protocol: str, variable: str, exports: Any, bundle: str, log: Any
) -> None:
    wider = {"SSL_CERT_FILE": bundle} if not variable.startswith("SSL_") else {}
    assert not exports(protocol, **wider, **{variable: MISSING})
    line = log()[0]
    assert line.startswith(f"{variable} is '{MISSING}': ")
    assert "accepted: " in line
    assert "sends nothing" in line


def test_one_of_openssls_variables_may_be_bad(exports: Any, bundle: str, log: Any) -> None:
    assert exports("http", SSL_CERT_FILE=bundle, SSL_CERT_DIR=MISSING)
    (line,) = log()
    assert line.startswith(f'SSL_CERT_DIR is "{MISSING}": ')


def test_an_empty_variable_counts_as_not_set(exports: Any, bundle: str) -> None:
    assert exports("http", REQUESTS_CA_BUNDLE="", CURL_CA_BUNDLE=bundle)
    assert not exports("grpc", **{GRPC: "", "SSL_CERT_FILE": "", "SSL_CERT_DIR": ""})


def test_a_folder_is_trusted_as_by_the_stock_exporter(
    exports: Any, receivers: dict[str, Receiver], bundle: str, tmp_path: Path
) -> None:
    shutil.copy(bundle, tmp_path)
    subprocess.run(["openssl", "rehash", tmp_path], check=True, capture_output=True, timeout=30)
    folder = {"REQUESTS_CA_BUNDLE": str(tmp_path)}
    stock = run(STOCK_PROGRAM.format(protocol="http", endpoint=receivers["http"].endpoint), **folder)
    assert stock.stdout.split() == ["SUCCESS"]
    assert exports("http", **folder)


def test_a_damaged_entry_costs_itself_and_one_line_in_a_process(
    exports: Any, bundle: str, tmp_path: Path, log: Any
) -> None:
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n" + Path(bundle).read_text())
    for protocol in RECEIVERS:
        assert exports(protocol, **{OWN: str(damaged)})
    (line,) = log()
    assert line == f'{OWN} is "{damaged}": 1 of its 2 certificates cannot be read and are left out.'


def test_a_refused_server_is_described_with_what_is_trusted(exports: Any, other: str, log: Any) -> None:
    assert not exports("http", REQUESTS_CA_BUNDLE=other)
    (line,) = log()
    assert f"the server's certificate is not signed by one of the certificates of REQUESTS_CA_BUNDLE ({other})" in line
    assert "set OTEL_EXPORTER_OTLP_CERTIFICATE to a PEM file with the authority's certificate" in line
    assert 'subject "CN=server", issuer "CN=authority"' in line


def test_a_session_can_say_what_is_trusted(exports: Any, bundle: str, other: str) -> None:
    session = requests.Session()
    assert exports("http", {"session": session}, REQUESTS_CA_BUNDLE=bundle)
    session.trust_env = False
    assert not exports("http", {"session": session}, REQUESTS_CA_BUNDLE=bundle)
    assert not exports("http", {"session": session}, REQUESTS_CA_BUNDLE=bundle, **{OWN: other})
    session.verify = bundle
    assert exports("http", {"session": session}, REQUESTS_CA_BUNDLE=other, SSL_CERT_FILE=other)
