"""Header values that are no plain texts: what arrives from the stock exporters, and from ours beside them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttp
from opentelemetry.sdk.trace.export import SpanExportResult

from otel_rs import TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as Grpc
from otel_rs.exporter.otlp.http import OTLPSpanExporter as Http
from otel_rs.settings import reading

from ..support.receiver import Answer, GrpcReceiver, HttpReceiver, Receiver, started

pytestmark = pytest.mark.installed

LEFT_OUT = None
KINDS: dict[str, tuple[Any, Any]] = {"http": (StockHttp, Http), "grpc": (StockGrpc, Grpc)}

# Protocol, name, value, what the receiver has got: over HTTP read as Latin-1, binary metadata as bytes.
AS_STOCK: list[tuple[str, str, Any, Any]] = [
    ("http", "tenant", None, LEFT_OUT),
    ("http", "tenant", b"abc", "abc"),
    ("http", "tenant", "", ""),
    ("http", "tenant", b"", ""),
    ("http", "tenant", "tämper", "tämper"),
    ("http", "tenant", "tämper".encode(), "tämper".encode().decode("latin-1")),
    ("http", "tenant", b"t\xe4", "tä"),
    ("http", "tenant", "a\tb", "a\tb"),
    ("http", "tenant-bin", b"abc", "abc"),
    ("http", "tenant-bin", "tä", "tä"),
    ("http", b"tenant", "abc", "abc"),
    ("grpc", "tenant", None, ""),
    ("grpc", "tenant", b"abc", "abc"),
    ("grpc", "tenant", "", ""),
    ("grpc", "tenant", " abc ", " abc "),
    ("grpc", "tenant-bin", b"\x00\x01", b"\x00\x01"),
    ("grpc", "tenant-bin", b"abc", b"abc"),
    ("grpc", "tenant-bin", b"\n\x7f\xff", b"\n\x7f\xff"),
    ("grpc", b"tenant", "abc", "abc"),
]

# Stock fails at each export, or when it is made.
OURS: list[tuple[str, str, Any, Any]] = [
    ("http", "tenant", 5, "5"),
    ("http", "tenant", 1.5, "1.5"),
    ("http", "tenant", HTTPStatus.OK, "200"),
    ("http", "tenant", bytearray(b"abc"), "abc"),
    ("http", "tenant", "\u20ac", "\u20ac".encode().decode("latin-1")),
    ("grpc", "tenant", 5, "5"),
    ("grpc", "tenant", "tä", "tä"),
    ("grpc", "tenant-bin", "tä", "tä".encode()),
    ("grpc", "tenant-bin", None, b""),
    ("grpc", "Tenant", "abc", "abc"),
]

UNSENDABLE: list[tuple[Any, Any]] = [
    ("tenant", ["s3cret"]),
    ("tenant", True),
    ("tenant", "s3cret\nx"),
    ("tenant", b"s3cret\x00"),
    ("tenant", "s3cret\ud800"),
    ("a s3cret", "x"),
    ("", "s3cret"),
    (None, "s3cret"),
    (5, "s3cret"),
]


@pytest.fixture(scope="module")
def receivers() -> Iterator[dict[str, Receiver]]:
    for http in started(HttpReceiver):
        for over_grpc in started(GrpcReceiver):
            yield {"http": http, "grpc": over_grpc}


@pytest.fixture
def written_for_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under `install()`."""
    monkeypatch.setattr(reading, "_arguments_raise", False)


def spans() -> list[Any]:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
    span.end()
    return [span]


def arriving(kind: Any, receiver: Receiver, **arguments: Any) -> dict[str, Any]:
    """The headers of an export by an exporter of this kind, which must arrive."""
    exporter = kind(endpoint=receiver.endpoint, **arguments)
    assert exporter.export(spans()) is SpanExportResult.SUCCESS
    exporter.shutdown()
    return receiver.requests[-1].headers


@pytest.mark.parametrize(("protocol", "name", "value", "expected"), AS_STOCK, ids=str)
def test_a_value_arrives_as_stocks_does(
    protocol: str, name: Any, value: Any, expected: Any, receivers: dict[str, Receiver]
) -> None:
    for kind in KINDS[protocol]:
        headers = arriving(kind, receivers[protocol], headers={name: value, "other": "x"})
        assert headers.get("tenant-bin" if name == "tenant-bin" else "tenant") == expected
        assert headers["other"] == "x"


@pytest.mark.parametrize(("protocol", "name", "value", "expected"), OURS, ids=str)
def test_a_value_that_stock_cannot_send_is_sent(
    protocol: str, name: str, value: Any, expected: Any, receivers: dict[str, Receiver]
) -> None:
    _, ours = KINDS[protocol]
    assert arriving(ours, receivers[protocol], headers=[(name, value)])[name.lower()] == expected


@pytest.mark.parametrize("protocol", KINDS)
@pytest.mark.parametrize(("name", "value"), UNSENDABLE, ids=repr)
def test_what_cannot_be_a_header_costs_that_header_and_a_line(
    protocol: str,
    name: Any,
    value: Any,
    receivers: dict[str, Receiver],
    written_for_stock: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, ours = KINDS[protocol]
    headers = arriving(ours, receivers[protocol], headers=(("other", "x"), (name, value)))
    assert headers["other"] == "x"
    assert "tenant" not in headers
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("argument headers: header 2 is left out")
    assert "s3cret" not in line


@pytest.mark.parametrize("protocol", KINDS)
@pytest.mark.parametrize(("name", "value"), UNSENDABLE, ids=repr)
def test_what_cannot_be_a_header_raises_in_a_program_that_uses_our_names(protocol: str, name: Any, value: Any) -> None:
    _, ours = KINDS[protocol]
    with pytest.raises(ValueError, match="header") as raised:
        ours(headers={name: value})
    assert "s3cret" not in str(raised.value).replace("'a s3cret'", "").replace('"a s3cret"', "")


@pytest.mark.parametrize(
    ("protocol", "variable", "name", "expected"),
    [
        ("http", "tenant=t%C3%A4", "tenant", "tä"),
        ("http", "tenant=%E4", "tenant", "ä"),
        ("http", "tenant=%E2%82%AC", "tenant", "\u20ac".encode().decode("latin-1")),
        ("grpc", "tenant-bin=%00%FF", "tenant-bin", b"\x00\xff"),
        ("grpc", "tenant-bin=abc", "tenant-bin", b"abc"),
        ("grpc", "tenant=", "tenant", ""),
    ],
    ids=str,
)
def test_a_variable_says_any_bytes(
    protocol: str,
    variable: str,
    name: str,
    expected: Any,
    receivers: dict[str, Receiver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", variable)
    _, ours = KINDS[protocol]
    assert arriving(ours, receivers[protocol])[name] == expected


def test_none_takes_the_variables_header_away_over_http(
    receivers: dict[str, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "tenant=abc,other=x")
    for kind in KINDS["http"]:
        headers = arriving(kind, receivers["http"], headers={"tenant": None})
        assert "tenant" not in headers
        assert headers["other"] == "x"


def test_grpc_sends_all_values_of_a_name(grpc_receiver: GrpcReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    received = []
    take = grpc_receiver._export
    monkeypatch.setattr(
        grpc_receiver,
        "_export",
        lambda path, body, context: (received.append(list(context.invocation_metadata())), take(path, body, context))[
            1
        ],
    )
    for kind in KINDS["grpc"]:
        arriving(kind, grpc_receiver, headers=(("tenant", "a"), ("other", "x"), ("tenant", "b")))
    assert [[value for name, value in metadata if name == "tenant"] for metadata in received] == [["a", "b"]] * 2


def test_a_server_that_quotes_binary_metadata_does_not_bring_it_into_the_log(
    grpc_receiver: GrpcReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    grpc_receiver.answers.append(Answer(grpc.StatusCode.UNAUTHENTICATED, body=b"no tenant s3cret"))
    exporter = Grpc(endpoint=grpc_receiver.endpoint, headers={"tenant-bin": b"s3cret"})
    assert exporter.export(spans()) is SpanExportResult.FAILURE
    assert "no tenant [redacted]" in caplog.text
