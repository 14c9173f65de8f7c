"""grpcio's credentials and channel options, and credential providers: nothing is sent without what was asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from ..support.authority import Authority
from ..support.program import run
from ..support.receiver import GrpcReceiver, ServerTls, started
from .exporters import SIGNALS, item, ours, stock

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

each_signal = pytest.mark.parametrize("signal", SIGNALS)

STOCK_SENDS = "sends from now on"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture
def tls_receiver(authority: Authority) -> Iterator[GrpcReceiver]:
    yield from started(GrpcReceiver, ServerTls(*authority.sign("server")))


@pytest.fixture
def export() -> Iterator[Callable[..., str]]:
    """`export(class, signal, receiver, ...)` exports one item over gRPC; the name of the result."""
    made = []

    def export(kind: Any, signal: str, receiver: GrpcReceiver, **arguments: Any) -> str:
        made.append(kind("grpc", signal)(**{"endpoint": receiver.endpoint, "timeout": 5, **arguments}))
        return str(made[-1].export(item(signal)).name)

    yield export
    for exporter in made:
        exporter.shutdown()


def bearer(authority: Authority) -> grpc.ChannelCredentials:
    return grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(authority.certificate.read_bytes()),
        grpc.access_token_call_credentials("s3cret-t0ken"),
    )


# --- Credentials -----------------------------------------------------------------------------------------------------


@each_signal
def test_with_grpcios_credentials_the_stock_exporter_sends(
    signal: str, tls_receiver: GrpcReceiver, authority: Authority, export: Any, log: Any
) -> None:
    for kind in (stock, ours):
        log()
        assert export(kind, signal, tls_receiver, credentials=bearer(authority)) == "SUCCESS"
    (line,) = (line for line in log() if STOCK_SENDS in line)
    assert "CompositeChannelCredentials" in line or "ChannelCredentials" in line
    assert [request.headers["authorization"] for request in tls_receiver.requests] == ["Bearer s3cret-t0ken"] * 2


def test_credentials_are_not_used_without_tls_as_upstream(grpc_receiver: GrpcReceiver, export: Any, log: Any) -> None:
    for kind in (stock, ours):
        log()
        assert export(kind, "traces", grpc_receiver, credentials=grpc.ssl_channel_credentials()) == "SUCCESS"
    (line,) = log()
    assert "credentials are not used" in line


def test_an_object_that_is_no_credentials_raises(export: Any, tls_receiver: GrpcReceiver) -> None:
    with pytest.raises(ValueError, match="credentials are a object"):
        export(ours, "traces", tls_receiver, credentials=object())
    assert tls_receiver.requests == []


# --- Channel options -------------------------------------------------------------------------------------------------


def test_options_with_a_native_meaning_are_honoured(grpc_receiver: GrpcReceiver, export: Any, log: Any) -> None:
    options = (("grpc.primary_user_agent", "mine"), ("grpc.secondary_user_agent", "last"))
    for kind in (stock, ours):
        log()
        assert export(kind, "traces", grpc_receiver, channel_options=options) == "SUCCESS"
    assert log() == []
    for request in grpc_receiver.requests:
        agent = request.headers["user-agent"].split()
        assert (agent[0], agent[-1]) == ("mine", "last")
    too_small = (("grpc.max_send_message_length", 8),)
    for kind in (stock, ours):
        log()
        assert export(kind, "traces", grpc_receiver, channel_options=too_small, timeout=0.5) == "FAILURE"
    assert len(grpc_receiver.requests) == 2
    assert not any(STOCK_SENDS in line for line in log())


def test_the_options_proxy_counts(grpc_receiver: GrpcReceiver, export: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "http://127.0.0.1:1"
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    for kind in (stock, ours):
        through_nobody = (("grpc.http_proxy", nobody),)
        assert export(kind, "traces", grpc_receiver, channel_options=through_nobody, timeout=0.5) == "FAILURE"
        monkeypatch.setenv("grpc_proxy", nobody)
        assert export(kind, "traces", grpc_receiver, timeout=0.5) == "FAILURE"
        assert export(kind, "traces", grpc_receiver, channel_options=(("grpc.enable_http_proxy", 0),)) == "SUCCESS"
        monkeypatch.delenv("grpc_proxy")


def test_options_without_a_meaning_for_one_call_have_no_effect(
    grpc_receiver: GrpcReceiver, export: Any, log: Any
) -> None:
    options = (("grpc.keepalive_time_ms", 1000), ("grpc.max_receive_message_length", -1), ("grpc.http2.max_pings", 1))
    assert export(ours, "traces", grpc_receiver, channel_options=options) == "SUCCESS"
    assert log() == []


def test_an_option_that_changes_who_may_answer_is_honoured_by_the_stock_exporter(
    tls_receiver: GrpcReceiver, authority: Authority, export: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.certificate))
    for name, expected in (("localhost", "SUCCESS"), ("elsewhere.example", "FAILURE")):
        options = (("grpc.ssl_target_name_override", name),)
        for kind in (stock, ours):
            log()
            assert export(kind, "traces", tls_receiver, channel_options=options, timeout=1) == expected
        assert sum(STOCK_SENDS in line for line in log()) == 1


def test_an_option_that_changes_what_is_sent_is_honoured_by_the_stock_exporter(
    grpc_receiver: GrpcReceiver, export: Any
) -> None:
    for kind in (stock, ours):
        options = (("grpc.default_authority", "collector.example"),)
        assert export(kind, "traces", grpc_receiver, channel_options=options) == "SUCCESS"
    agents = [request.headers["user-agent"] for request in grpc_receiver.requests]
    assert agents[0] == agents[1]


# --- Credential providers --------------------------------------------------------------------------------------------

PROVIDERS = """
def session():
    import requests
    made = requests.Session()
    made.auth = sign
    return made

def sign(request):
    request.headers["authorization"] = "Bearer s3cret-t0ken"
    return request

def channel():
    import grpc, os
    with open(os.environ["AUTHORITY"], "rb") as file:
        roots = grpc.ssl_channel_credentials(file.read())
    return grpc.composite_channel_credentials(roots, grpc.access_token_call_credentials("s3cret-t0ken"))

def fails():
    raise RuntimeError("s3cret-t0ken")
"""

CONFIGURED = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
from otel_rs.distro import OtelRsConfigurator
OtelRsConfigurator().configure()
from opentelemetry import trace, metrics, _logs
trace.get_tracer("x").start_span("span").end()
metrics.get_meter("x").create_counter("counter").add(1)
_logs.get_logger("x").emit(_logs.LogRecord(body="record", severity_number=_logs.SeverityNumber.INFO))
for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()):
    provider.shutdown()
"""


@pytest.fixture
def provided(tmp_path: Path, authority: Authority) -> Callable[..., str]:
    """`provided(receiver, ...)` runs a program with all signals, set up by the configurator; what it prints."""
    (tmp_path / "providing.py").write_text(PROVIDERS)
    info = tmp_path / "providing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: providing\nVersion: 1.0\n")
    names = "".join(f"{name} = providing:{name}\n" for name in ("session", "channel", "fails"))
    (info / "entry_points.txt").write_text(f"[opentelemetry_otlp_credential_provider]\n{names}")

    def provided(receiver: Any, **environment: str) -> str:
        settings = {
            "OTEL_PYTHON_CONFIGURATOR": "rs",
            **{f"OTEL_{signal.upper()}_EXPORTER": "otlp" for signal in SIGNALS},
            "OTEL_EXPORTER_OTLP_PROTOCOL": {"http": "http/protobuf", "grpc": "grpc"}[receiver.protocol],
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.base,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
            "OTEL_RS_EXIT_TIMEOUT": "5000",
            "AUTHORITY": str(authority.certificate),
            "PYTHONPATH": str(tmp_path),
            "NO_PROXY": "127.0.0.1",
        }
        return run(CONFIGURED, **{**settings, **environment}).stdout

    return provided


def authorizations(receiver: Any) -> dict[str, str | None]:
    """By the signal of each request."""
    return {
        type(request.message).__name__.removeprefix("Export").removesuffix("ServiceRequest"): request.headers.get(
            "authorization"
        )
        for request in receiver.requests
    }


TOKEN = "Bearer s3cret-t0ken"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_credential_provider_makes_the_stock_exporters_send(
    protocol: str, tls_receiver: Any, http_receiver: Any, provided: Any
) -> None:
    receiver, name = {"http": (http_receiver, "session"), "grpc": (tls_receiver, "channel")}[protocol]
    variable = f"OTEL_PYTHON_EXPORTER_OTLP_{protocol.upper()}_CREDENTIAL_PROVIDER"
    printed = provided(receiver, **{variable: name})
    assert authorizations(receiver) == {"Trace": TOKEN, "Metrics": TOKEN, "Logs": TOKEN}
    assert len([line for line in printed.splitlines() if STOCK_SENDS in line and variable in line]) == 3
    assert "s3cret" not in printed


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_signals_credential_provider_is_for_that_signal(
    protocol: str, tls_receiver: Any, http_receiver: Any, provided: Any, authority: Authority
) -> None:
    receiver, name = {"http": (http_receiver, "session"), "grpc": (tls_receiver, "channel")}[protocol]
    variable = f"OTEL_PYTHON_EXPORTER_OTLP_{protocol.upper()}_TRACES_CREDENTIAL_PROVIDER"
    printed = provided(receiver, **{variable: name, "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.certificate)})
    assert authorizations(receiver) == {"Trace": TOKEN, "Metrics": None, "Logs": None}
    assert printed.count(STOCK_SENDS) == 1


@pytest.mark.parametrize(("name", "words"), [("nobody", "LookupError"), ("fails", "RuntimeError")])
def test_a_provider_that_cannot_be_used_costs_its_signal_alone(
    name: str, words: str, http_receiver: Any, provided: Any
) -> None:
    printed = provided(http_receiver, OTEL_PYTHON_EXPORTER_OTLP_HTTP_LOGS_CREDENTIAL_PROVIDER=name)
    assert authorizations(http_receiver) == {"Trace": None, "Metrics": None}
    (line,) = (line for line in printed.splitlines() if "OTEL_PYTHON_EXPORTER_OTLP_HTTP_LOGS_" in line)
    assert words in line
    assert "sends nothing" in line
    assert "s3cret" not in printed
