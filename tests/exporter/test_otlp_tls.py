"""The OTLP exporters of all signals over TLS: certificates from arguments and from variables."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_rs.exporter.otlp import TlsCredentials

from ..support.authority import Authority
from ..support.receiver import GrpcReceiver, HttpReceiver, Receiver, ServerTls, started
from .exporters import PROTOCOLS, SIGNALS, item, ours

pytestmark = [
    pytest.mark.installed,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]

RECEIVERS: dict[str, Any] = {"http": HttpReceiver, "grpc": GrpcReceiver}
FILES = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture(scope="module")
def server(authority: Authority) -> ServerTls:
    return ServerTls(*authority.sign("server"))


@pytest.fixture(scope="module")
def client(authority: Authority) -> tuple[Path, Path]:
    return authority.sign("client")


@pytest.fixture(params=["http", "grpc"])
def tls_receiver(request: pytest.FixtureRequest, server: ServerTls) -> Iterator[Receiver]:
    yield from started(RECEIVERS[request.param], server)


@pytest.fixture(params=["http", "grpc"])
def strict_receiver(request: pytest.FixtureRequest, server: ServerTls, authority: Authority) -> Iterator[Receiver]:
    """A receiver that requires a client certificate."""
    yield from started(RECEIVERS[request.param], ServerTls(server.certificate, server.key, authority.certificate))


@pytest.fixture
def export() -> Iterator[Callable[..., bool]]:
    """`export(signal, receiver, ...)` creates an exporter and exports one item; returns whether it arrived."""
    made = []

    def export(signal: str, receiver: Receiver, **arguments: Any) -> bool:
        exporter = ours(receiver.protocol, signal)(
            **{"endpoint": receiver.endpoint_of(signal), "timeout": 3, **arguments}
        )
        made.append(exporter)
        result = exporter.export(item(signal))
        count = len(receiver.requests)
        receiver.requests.clear()
        assert count == (result.name == "SUCCESS")
        return count == 1

    yield export
    for exporter in made:
        exporter.shutdown()


def arguments(protocol: str, **files: Path) -> dict[str, Any]:
    return files if protocol == "http" else {"credentials": TlsCredentials(**files)}


all_signals = pytest.mark.parametrize("signal", SIGNALS)


@all_signals
def test_the_argument_is_the_certificate_to_trust(
    export: Any, signal: str, tls_receiver: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other").certificate
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal.upper()}_CERTIFICATE", str(other))
    trusting = arguments(tls_receiver.protocol, certificate_file=authority.certificate)
    assert export(signal, tls_receiver, **trusting)
    assert not export(signal, tls_receiver)


@all_signals
def test_the_variables_are_the_certificate_to_trust(
    export: Any, signal: str, tls_receiver: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not export(signal, tls_receiver)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.certificate))
    assert export(signal, tls_receiver)
    other = Authority(tmp_path, "other").certificate
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal.upper()}_CERTIFICATE", str(other))
    assert not export(signal, tls_receiver)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(other))
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal.upper()}_CERTIFICATE", str(authority.certificate))
    assert export(signal, tls_receiver)


@all_signals
def test_the_signals_variable_says_that_grpc_uses_no_tls(
    signal: str, grpc_receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what upstream's tests of its exporters ask grpcio for."""

    def arrives() -> bool:
        exporter = ours("grpc", signal)(endpoint=f"127.0.0.1:{grpc_receiver.port}", timeout=2)
        try:
            return bool(exporter.export(item(signal)).name == "SUCCESS")
        finally:
            exporter.shutdown()

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", "false")
    assert not arrives()
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal.upper()}_INSECURE", "true")
    assert arrives()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", "true")
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal.upper()}_INSECURE", "false")
    assert not arrives()


@all_signals
@pytest.mark.parametrize("source", ["arguments", "signal's variables", "general variables", "mixed"])
def test_a_certificate_of_the_client(
    export: Any,
    signal: str,
    strict_receiver: Any,
    authority: Authority,
    client: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    certificate, key = client
    trusting = arguments(strict_receiver.protocol, certificate_file=authority.certificate)
    assert not export(signal, strict_receiver, **trusting)
    files = dict(zip(FILES, (authority.certificate, key, certificate), strict=True))
    keywords = {}
    if source == "arguments":
        keywords = arguments(
            strict_receiver.protocol,
            certificate_file=authority.certificate,
            client_key_file=key,
            client_certificate_file=certificate,
        )
    elif source == "mixed":
        keywords = arguments(strict_receiver.protocol, client_key_file=key)
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal.upper()}_CLIENT_CERTIFICATE", str(certificate))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.certificate))
    else:
        middle = f"{signal.upper()}_" if source.startswith("signal") else ""
        for name, file in files.items():
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{middle}{name}", str(file))
    assert export(signal, strict_receiver, **keywords)


@all_signals
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("middle", ["signal", "general"])
@pytest.mark.parametrize("name", FILES)
def test_a_variable_with_an_unreadable_file_is_named(
    signal: str,
    protocol: str,
    middle: str,
    name: str,
    client: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    log: Any,
) -> None:
    middle = f"{signal.upper()}_" if middle == "signal" else ""
    # A key needs its certificate.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(client[0]))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(client[1]))
    variable = f"OTEL_EXPORTER_OTLP_{middle}{name}"
    monkeypatch.setenv(variable, "/no/such/file.pem")
    exporter = ours(protocol, signal)(endpoint="https://127.0.0.1:1")
    (line,) = log()
    assert line.startswith(f"{variable} is '/no/such/file.pem': ")
    assert "accepted: " in line
    assert "sends nothing" in line
    exporter.shutdown()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_argument_with_an_invalid_certificate_is_named(protocol: str, tmp_path: Path) -> None:
    file = tmp_path / "no certificate.pem"
    file.write_text("secret")
    with pytest.raises(ValueError, match=r"certificate_file is .*no certificate\.pem.*accepted: ") as caught:
        ours(protocol, "traces")("https://127.0.0.1:1", **arguments(protocol, certificate_file=file))
    assert "secret" not in str(caught.value)


@all_signals
def test_without_tls_the_files_are_not_read(signal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FILES:
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", "/no/such/file.pem")
    for protocol in PROTOCOLS:
        ours(protocol, signal)(endpoint="http://127.0.0.1:1").shutdown()
