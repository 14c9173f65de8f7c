"""Proxies by environment variables: the way that requests take, the stock exporters' beside ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttp
from opentelemetry.sdk.trace.export import SpanExportResult

from otel_rs import TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as Grpc
from otel_rs.exporter.otlp.http import OTLPSpanExporter as Http

from ..support.proxy import Proxy
from ..support.receiver import GrpcReceiver, HttpReceiver, Receiver, started

pytestmark = pytest.mark.installed

DIRECT, PROXY = "direct", "through the proxy"

# `{proxy}` stands for the proxy's host and port, `{port}` for the receiver's port. Nobody listens at `NOBODY`.
NOBODY = "http://127.0.0.1:1"
P = "http://{proxy}"

HTTP_WAYS: list[tuple[dict[str, str], str]] = [
    ({}, DIRECT),
    ({"http_proxy": P}, PROXY),
    ({"HTTP_PROXY": P}, PROXY),
    ({"http_proxy": "{proxy}"}, PROXY),
    ({"http_proxy": "http://user:pa ss@{proxy}"}, PROXY),
    ({"http_proxy": P, "HTTP_PROXY": NOBODY}, PROXY),
    ({"http_proxy": "", "HTTP_PROXY": NOBODY}, DIRECT),
    ({"HTTP_PROXY": NOBODY, "REQUEST_METHOD": "GET"}, DIRECT),
    ({"http_proxy": P, "REQUEST_METHOD": "GET"}, PROXY),
    ({"https_proxy": NOBODY}, DIRECT),
    ({"all_proxy": P}, PROXY),
    ({"ALL_PROXY": P, "http_proxy": ""}, PROXY),
    ({"all_proxy": NOBODY, "http_proxy": P}, PROXY),
    ({"http_proxy": NOBODY, "no_proxy": "localhost"}, DIRECT),
    ({"http_proxy": NOBODY, "NO_PROXY": "localhost"}, DIRECT),
    ({"http_proxy": NOBODY, "no_proxy": "", "NO_PROXY": "localhost"}, DIRECT),
    ({"http_proxy": P, "no_proxy": "elsewhere", "NO_PROXY": "localhost"}, PROXY),
    ({"http_proxy": NOBODY, "no_proxy": "*"}, DIRECT),
    ({"http_proxy": NOBODY, "no_proxy": "elsewhere , LocalHost"}, DIRECT),
    ({"http_proxy": NOBODY, "no_proxy": ".localhost"}, DIRECT),
    ({"http_proxy": P, "no_proxy": "host"}, PROXY),
    ({"http_proxy": NOBODY, "no_proxy": "localhost:{port}"}, DIRECT),
    ({"http_proxy": P, "no_proxy": "localhost:1"}, PROXY),
    ({"http_proxy": P, "no_proxy": "127.0.0.0/8"}, PROXY),
]

GRPC_WAYS: list[tuple[dict[str, str], str]] = [
    ({}, DIRECT),
    ({"grpc_proxy": P, "https_proxy": NOBODY}, PROXY),
    ({"https_proxy": P, "http_proxy": NOBODY}, PROXY),
    ({"http_proxy": P}, PROXY),
    ({"grpc_proxy": "", "https_proxy": NOBODY}, DIRECT),
    ({"all_proxy": NOBODY}, DIRECT),
    ({"https_proxy": P, "HTTPS_PROXY": NOBODY}, PROXY),
    ({"http_proxy": P, "HTTPS_PROXY": NOBODY}, PROXY),
    ({"https_proxy": NOBODY, "no_proxy": "localhost"}, DIRECT),
    ({"https_proxy": NOBODY, "no_grpc_proxy": "localhost", "no_proxy": "elsewhere"}, DIRECT),
    ({"https_proxy": P, "no_grpc_proxy": "", "no_proxy": "localhost"}, PROXY),
    ({"https_proxy": P, "no_proxy": "elsewhere", "NO_PROXY": "localhost"}, PROXY),
    ({"https_proxy": NOBODY, "no_proxy": "elsewhere , LocalHost"}, DIRECT),
    ({"https_proxy": P, "no_proxy": "host"}, PROXY),
    ({"https_proxy": P, "no_proxy": "127.0.0.0/8"}, PROXY),
]

# What only ours reads, or does not pass by.
OURS_HTTP: list[tuple[dict[str, str], str]] = [
    ({"http_proxy": NOBODY, "no_proxy": "elsewhere, *"}, DIRECT),
]
OURS_GRPC: list[tuple[dict[str, str], str]] = [
    ({"HTTPS_PROXY": P}, PROXY),
    ({"HTTP_PROXY": P}, PROXY),
    ({"https_proxy": NOBODY, "NO_PROXY": "localhost"}, DIRECT),
    ({"https_proxy": NOBODY, "no_proxy": "*"}, DIRECT),
    ({"https_proxy": NOBODY, "no_proxy": "localhost:{port}"}, DIRECT),
    ({"https_proxy": NOBODY, "no_proxy": ".localhost"}, DIRECT),
    ({"https_proxy": "{proxy}"}, PROXY),
]

# Of targets that are addresses.
ADDRESS_WAYS: list[tuple[str, str]] = [
    ("127.0.0.0/8", DIRECT),
    ("elsewhere, 127.0.0.1", DIRECT),
    ("10.0.0.0/8", PROXY),
]

UNUSABLE = [
    "http://user:pa55@proxy host:3128",
    "ftp://user:pa55@127.0.0.1:1",
    "http://user:pa55@127.0.0.1:99999",
    "http://[",
    "http://",
    "socks5://user:pa55@127.0.0.1:1",
    "socks5h://user:pa55@127.0.0.1:1",
]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def http() -> Iterator[HttpReceiver]:
    yield from started(HttpReceiver)


@pytest.fixture(scope="module")
def grpc() -> Iterator[GrpcReceiver]:
    yield from started(GrpcReceiver)


def spans() -> list[Any]:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
    span.end()
    return [span]


def way(kind: Any, receiver: Receiver, variables: dict[str, str], monkeypatch: Any, host: str = "localhost") -> str:
    """The way that the export of an exporter of this kind takes, which must arrive."""
    endpoint = receiver.endpoint.replace("127.0.0.1", host)
    with Proxy(receiver) as proxy, monkeypatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value.format(proxy=proxy.address, port=receiver.port))
        exporter = kind(endpoint=endpoint, timeout=20)
        result = exporter.export(spans())
        exporter.shutdown()
        assert result is SpanExportResult.SUCCESS
        return PROXY if proxy.heads else DIRECT


def shown(value: Any) -> str:
    return " ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("variables", "expected"), HTTP_WAYS, ids=shown)
def test_http_takes_the_way_that_stock_takes(
    variables: dict[str, str], expected: str, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert way(StockHttp, http, variables, monkeypatch) == expected
    assert way(Http, http, variables, monkeypatch) == expected


@pytest.mark.parametrize(("variables", "expected"), GRPC_WAYS, ids=shown)
def test_grpc_takes_the_way_that_stock_takes(
    variables: dict[str, str], expected: str, grpc: GrpcReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert way(StockGrpc, grpc, variables, monkeypatch) == expected
    assert way(Grpc, grpc, variables, monkeypatch) == expected


@pytest.mark.parametrize(("exceptions", "expected"), ADDRESS_WAYS, ids=shown)
def test_exceptions_that_are_addresses_and_networks_count(
    exceptions: str, expected: str, http: HttpReceiver, grpc: GrpcReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"http_proxy": P, "no_proxy": exceptions}
    for kind, receiver in ((StockHttp, http), (Http, http), (StockGrpc, grpc), (Grpc, grpc)):
        assert way(kind, receiver, variables, monkeypatch, "127.0.0.1") == expected


@pytest.mark.parametrize(
    ("kind", "variables", "expected"),
    [*[(Http, *case) for case in OURS_HTTP], *[(Grpc, *case) for case in OURS_GRPC]],
    ids=shown,
)
def test_more_is_understood_than_stock_does(
    kind: Any,
    variables: dict[str, str],
    expected: str,
    http: HttpReceiver,
    grpc: GrpcReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert way(kind, http if kind is Http else grpc, variables, monkeypatch) == expected


@pytest.mark.parametrize("proxy", UNUSABLE)
def test_a_proxy_that_cannot_be_used_fails_the_export_and_names_its_variable(
    proxy: str,
    http: HttpReceiver,
    grpc: GrpcReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = len(http.requests), len(grpc.requests)
    monkeypatch.setenv("all_proxy", proxy)
    monkeypatch.setenv("grpc_proxy", proxy)
    for exporter in (Http(http.endpoint, headers={"api-key": "k3y"}), Grpc(grpc.endpoint, headers={"api-key": "k3y"})):
        assert exporter.export(spans()) is SpanExportResult.FAILURE
        exporter.shutdown()
    # A proxy that cannot be reached would be the same.
    assert StockHttp(http.endpoint, timeout=0.5).export(spans()) is SpanExportResult.FAILURE
    assert (len(http.requests), len(grpc.requests)) == before
    for variable in ("all_proxy", "grpc_proxy"):
        assert f"the proxy in {variable} cannot be used" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("otel_rs")]
    assert "pa55" not in "".join(ours)
    assert proxy.startswith("socks5") == ("socks5" in "".join(ours))


@pytest.mark.parametrize("proxy", UNUSABLE)
def test_a_proxy_that_cannot_be_used_does_not_matter_to_an_exception(
    proxy: str, http: HttpReceiver, grpc: GrpcReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"all_proxy": proxy, "grpc_proxy": proxy, "no_proxy": "localhost"}
    assert way(Http, http, variables, monkeypatch) == DIRECT
    assert way(Grpc, grpc, variables, monkeypatch) == DIRECT
