"""examples/collector: sent to a vendor, who wants TLS and a key, by the program itself and by the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from google.protobuf.json_format import MessageToDict

from ...support.authority import Authority
from ...support.receiver import GrpcReceiver, HttpReceiver, Receiver, ServerTls, wait_until
from .arrived import Traces
from .orders import ALL_SPANS, STOCK_FRAMES, work, write_orders
from .running import IMPLEMENTATIONS
from .tiers import FOLDER, GATEWAY, tiers_in

# As in the README's table: the protocol, the variable of the endpoint and its path, the header with the key, the path
# at which traces arrive.
GENERAL, OF_TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
VENDORS = {
    "Honeycomb, gRPC": ("grpc", GENERAL, "", "x-honeycomb-team", None),
    "Honeycomb, HTTP": ("http/protobuf", GENERAL, "", "x-honeycomb-team", "/v1/traces"),
    "Splunk, gRPC": ("grpc", GENERAL, "", "X-SF-Token", None),
    "Splunk, HTTP": ("http/protobuf", OF_TRACES, "/v2/trace/otlp", "X-SF-Token", "/v2/trace/otlp"),
}
KEY = "a+key/of=a vendor"
ENCODED_KEY = "a%2Bkey%2Fof%3Da%20vendor"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "vendor")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ServerTls:
    return ServerTls(*authority.sign("server"))


@contextmanager
def vendor(tls: ServerTls, protocol: str) -> Iterator[Receiver]:
    receiver = GrpcReceiver(tls) if protocol == "grpc" else HttpReceiver(tls)
    try:
        yield receiver
    finally:
        receiver.stop()


def direct_env() -> dict[str, str]:
    lines = (FOLDER / "direct.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def traces_at(receiver: Receiver) -> Traces:
    messages = [MessageToDict(request.message, use_integers_for_enums=True) for request in receiver.requests]
    return Traces([item for message in messages for item in message["resourceSpans"]])


@pytest.mark.parametrize("name", VENDORS)
def test_the_program_sends_to_the_vendor_with_its_key(start_program, authority, tls, tmp_path, name):
    protocol, variable, path, header, arrives_at = VENDORS[name]
    write_orders(orders := tmp_path / "orders.jsonl")
    arrived = {}
    for implementation in IMPLEMENTATIONS:
        with vendor(tls, protocol) as receiver:
            environment = direct_env()
            del environment["OTEL_EXPORTER_OTLP_ENDPOINT"]
            environment |= {
                variable: f"https://localhost:{receiver.port}{path}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "OTEL_EXPORTER_OTLP_HEADERS": f"{header}={ENCODED_KEY}",
                "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.certificate),
            }
            program = work(start_program, orders, implementation, **environment)
            assert len(traces_at(receiver)) == ALL_SPANS
            arrived[implementation] = traces_at(receiver).structure(STOCK_FRAMES)
            for request in receiver.requests:
                assert request.headers[header.lower()] == KEY
                if arrives_at:
                    assert (request.path, request.headers["content-encoding"]) == (arrives_at, "gzip")
            assert KEY not in program.output()
    assert arrived["otel-rs"] == arrived["stock"]


def test_the_gateway_sends_to_the_vendor_with_the_key_that_it_alone_has(
    collector, start_program, authority, tls, tmp_path
):
    write_orders(orders := tmp_path / "orders.jsonl")
    with vendor(tls, "grpc") as receiver, tiers_in(tmp_path) as tiers:
        settings = {
            "VENDOR_ENDPOINT": f"localhost:{receiver.port}",
            "VENDOR_INSECURE": "false",
            "VENDOR_CA_FILE": str(authority.certificate),
            "VENDOR_KEY": KEY,
            "GATEWAY_KEEPS_PERCENT": "100",
        }
        gateway = tiers(GATEWAY, collector, **settings)
        work(start_program, orders, "otel-rs", OTEL_EXPORTER_OTLP_ENDPOINT=gateway.endpoint("grpc"))
        wait_until(lambda: len(traces_at(receiver)) >= ALL_SPANS, gateway.log())
        gateway.stop()
        assert len(traces_at(receiver)) == ALL_SPANS
        assert {request.headers["x-honeycomb-team"] for request in receiver.requests} == {KEY}
