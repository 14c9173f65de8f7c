"""Each mistake made on purpose, the line that it costs, and then what the line says: the span arrives.

The peers are Python's HTTP server with OpenSSL, and grpcio. The Rust tests have the same mistakes with more peers.
"""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from otel_rs import TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter
from otel_rs.testing import Receiver as AnyProtocol

from ..support.authority import Authority
from ..support.proxy import Proxy
from ..support.receiver import Answer, GrpcReceiver, HttpReceiver, ServerTls, started

pytestmark = [
    pytest.mark.installed,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]

OTLP = "OTEL_EXPORTER_OTLP_"
ENDPOINT, PROTOCOL, CERTIFICATE = f"{OTLP}ENDPOINT", f"{OTLP}PROTOCOL", f"{OTLP}CERTIFICATE"
RECEIVERS: dict[str, Any] = {"http/protobuf": HttpReceiver, "grpc": GrpcReceiver}
PROTOCOLS = list(RECEIVERS)
IDS = ["http", "grpc"]

# How libraries' errors look in their Debug texts.
DEBUG_TEXT = re.compile(r"[A-Z]\w+\((?!os error)|\{ |::|relative URL|FRAME_SIZE|Some\b|Kind\b")

Variables = dict[str, str]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
def exports(log: Any) -> Callable[[Variables], str]:
    """One span by an exporter of these variables alone: the line that it costs, or "" if it was taken."""

    def export(variables: Variables) -> str:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("NO_PROXY", "no_proxy") if "no_proxy" not in variables else ():
                patch.delenv(name, raising=False)
            for name, value in {f"{OTLP}TIMEOUT": "2", **variables}.items():
                patch.setenv(name, value)
            exporter: Any = {"grpc": GrpcSpanExporter}.get(variables.get(PROTOCOL, "grpc"), HttpSpanExporter)()
            span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
            span.end()
            before = len(log())
            result = exporter.export([span]).name
            exporter.shutdown()
        lines = log()[before:]
        assert (result, len(lines)) in (("SUCCESS", 0), ("FAILURE", 1)), lines
        return lines[0] if lines else ""

    return export


def follow(exports: Callable[[Variables], str], wrong: Variables, what: str, remedy: str, right: Variables) -> None:
    line = exports(wrong)
    found = re.search(f" failed: (cannot connect: |connection lost: )?{what}", line)
    assert found, line
    assert remedy in line[found.end() :], line
    assert DEBUG_TEXT.search(line) is None, line
    assert "\n" not in line
    assert exports({**wrong, **right}) == ""


@contextmanager
def served(kind: Any, *arguments: Any) -> Iterator[Any]:
    with ExitStack() as stack:
        receivers = started(kind, *arguments)
        stack.callback(receivers.close)
        yield next(receivers)  # type: ignore[call-overload]


# --- The protocol ----------------------------------------------------------------------------------------------------


def test_the_port_of_the_other_protocol(exports: Any, http_receiver: HttpReceiver, grpc_receiver: GrpcReceiver) -> None:
    what = "the server speaks HTTP/2, as gRPC does, and the protocol is HTTP"
    remedy = "; set OTEL_EXPORTER_OTLP_PROTOCOL to grpc, or the endpoint to the receiver's port for HTTP, usually 4318"
    wrong = {ENDPOINT: grpc_receiver.base, PROTOCOL: "http/protobuf"}
    follow(exports, wrong, what, remedy, {PROTOCOL: "grpc"})
    follow(exports, wrong, what, remedy, {ENDPOINT: http_receiver.base})

    what = "the server speaks HTTP/1.1, and gRPC is HTTP/2"
    remedy = "; set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or the endpoint to the receiver's port for gRPC, "
    wrong = {ENDPOINT: http_receiver.base, PROTOCOL: "grpc"}
    follow(exports, wrong, what, remedy, {PROTOCOL: "http/protobuf"})
    follow(exports, wrong, what, remedy, {ENDPOINT: grpc_receiver.base})


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
def test_tls_on_one_side_alone(exports: Any, protocol: str, authority: Authority) -> None:
    with served(RECEIVERS[protocol], ServerTls(*authority.sign("server"))) as receiver:
        wrong = {ENDPOINT: receiver.base.replace("https", "http"), PROTOCOL: protocol}
        right = {ENDPOINT: receiver.base, CERTIFICATE: str(authority.certificate)}
        what = (
            "(the server speaks TLS, and the endpoint says plaintext|[^;]*; if this goes on, the port may be for TLS)"
        )
        follow(exports, wrong, what, "begin the endpoint with https://", right)
    with served(RECEIVERS[protocol]) as receiver:
        wrong = {ENDPOINT: receiver.base.replace("http", "https"), PROTOCOL: protocol}
        what = "the server speaks no TLS, and the endpoint says https"
        follow(exports, wrong, what, "; begin the endpoint with http://", {ENDPOINT: receiver.base})


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
def test_a_server_that_nobody_known_vouches_for(
    exports: Any, protocol: str, authority: Authority, stranger: Authority
) -> None:
    """One that is its own authority, and one of an authority that is not trusted."""
    for certificates, what, trusted in (
        (
            stranger.own("127.0.0.1"),
            "the server's certificate is self-signed and not among the certificates of OTEL_EXPORTER_OTLP_CERTIFICATE ",
            stranger.own("127.0.0.1")[0],
        ),
        (
            stranger.sign("server"),
            "the server's certificate is not signed by one of the certificates of OTEL_EXPORTER_OTLP_CERTIFICATE ",
            stranger.certificate,
        ),
    ):
        with served(RECEIVERS[protocol], ServerTls(*certificates)) as receiver:
            wrong = {ENDPOINT: receiver.base, PROTOCOL: protocol, CERTIFICATE: str(authority.certificate)}
            follow(exports, wrong, what, CERTIFICATE, {CERTIFICATE: str(trusted)})


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
def test_a_servers_certificate_for_another_name(exports: Any, protocol: str, authority: Authority) -> None:
    with served(
        RECEIVERS[protocol], ServerTls(*authority.sign("named", extensions="subjectAltName=DNS:localhost"))
    ) as receiver:
        wrong = {ENDPOINT: receiver.base, PROTOCOL: protocol, CERTIFICATE: str(authority.certificate)}
        right = {ENDPOINT: receiver.base.replace("127.0.0.1", "localhost")}
        follow(exports, wrong, "the server's certificate is not for 127.0.0.1", "localhost", right)


EXPIRED = "the server's certificate, or one that it sends with it, has expired"


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
def test_a_servers_certificate_that_has_expired(exports: Any, protocol: str, authority: Authority) -> None:
    with served(RECEIVERS[protocol], ServerTls(*authority.sign("expired", days=-1))) as receiver:
        wrong = {ENDPOINT: receiver.base, PROTOCOL: protocol, CERTIFICATE: str(authority.certificate)}
        with served(RECEIVERS[protocol], ServerTls(*authority.sign("renewed"))) as renewed:
            right = {ENDPOINT: renewed.base}
            follow(exports, wrong, EXPIRED, "; the server needs a new one", right)


CLIENT = (f"{OTLP}CLIENT_CERTIFICATE", f"{OTLP}CLIENT_KEY")


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
def test_a_clients_certificate_that_is_missing_or_refused(
    exports: Any, protocol: str, authority: Authority, stranger: Authority
) -> None:
    right = dict(zip(CLIENT, map(str, authority.sign("client")), strict=True))
    with served(RECEIVERS[protocol], ServerTls(*authority.sign("server"), authority.certificate)) as receiver:
        wrong = {ENDPOINT: receiver.base, PROTOCOL: protocol, CERTIFICATE: str(authority.certificate)}
        # grpcio closes the connection without a word.
        says = re.escape(f"the server wants a client certificate: set {' and '.join(CLIENT)}")
        closes = f"[^;]*; if this goes on, the server may want a client certificate \\({' and '.join(CLIENT)}"
        follow(exports, wrong, f"({says}|{closes})", "", right)
        shown = dict(zip(CLIENT, map(str, stranger.sign("client")), strict=True))
        says = f"the server refuses the client's certificate: it does not trust its issuer; set {CLIENT[0]} to one that"
        closes = f"[^;]*; if this goes on, the server may refuse the certificate in {CLIENT[0]}"
        follow(exports, {**wrong, **shown}, f"({says}|{closes})", "", right)


# --- Paths and statuses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "path", "remedy", "right"),
    [
        (
            f"{OTLP}TRACES_ENDPOINT",
            "",
            "; write the path, usually /v1/traces, into OTEL_",
            "/v1/traces",
        ),
        (
            ENDPOINT,
            "/v1/traces",
            "; write OTEL_EXPORTER_OTLP_ENDPOINT without /v1/traces: ",
            "",
        ),
    ],
    ids=["missing", "doubled"],
)
def test_paths(exports: Any, otlp_receiver: AnyProtocol, variable: str, path: str, remedy: str, right: str) -> None:
    base = otlp_receiver.http_endpoint
    wrong = {variable: base + path, PROTOCOL: "http/protobuf"}
    follow(exports, wrong, "HTTP 404 Not Found", remedy, {variable: base + right})
    assert [each.name for each in otlp_receiver.traces()] == ["span"]


class Demanding(HttpReceiver):
    """Answers the status unless a header is as it wants it."""

    def __init__(self, status: int, header: str, value: str | None) -> None:
        super().__init__()
        self._status, self._header, self._value = status, header, value

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        if headers.get(self._header) != self._value:
            return Answer(self._status, body=b"no")
        return super()._take(body, headers, path, encoded_size)


HEADERS, COMPRESSION = f"{OTLP}HEADERS", f"{OTLP}COMPRESSION"
WRITER = "authorization=Bearer%20s3cret"


@pytest.mark.parametrize(
    ("status", "header", "value", "remedy", "wrong", "right"),
    [
        (
            "401 Unauthorized",
            "authorization",
            "Bearer s3cret",
            f"; set credentials that the receiver takes in {HEADERS}",
            {},
            {HEADERS: WRITER},
        ),
        (
            "403 Forbidden",
            "authorization",
            "Bearer s3cret",
            f"; give the credentials in {HEADERS}, ",
            {HEADERS: "authorization=Bearer%20reader"},
            {HEADERS: WRITER},
        ),
        (
            "415 Unsupported Media Type",
            "content-encoding",
            None,
            f"; set {COMPRESSION} to none",
            {COMPRESSION: "gzip"},
            {COMPRESSION: "none"},
        ),
    ],
)
def test_statuses_that_a_variable_mends(
    exports: Any, status: str, header: str, value: str | None, remedy: str, wrong: Variables, right: Variables
) -> None:
    with served(Demanding, int(status[:3]), header, value) as receiver:
        to = {ENDPOINT: receiver.base, PROTOCOL: "http/protobuf"}
        follow(exports, {**to, **wrong}, f"HTTP {status}: no", remedy, right)
        assert len(receiver.spans()) == 1


@pytest.mark.parametrize(
    ("status", "words", "remedy"),
    [
        (404, "Not Found", "; check the path, and that the endpoint is an OTLP/HTTP receiver of traces"),
        (405, "Method Not Allowed", "; check the path, and that the endpoint is an OTLP/HTTP receiver of traces"),
        (413, "Payload Too Large", "; raise the receiver's limit, or lower OTEL_RS_EXPORTER_MAX_REQUEST_BYTES"),
        (429, "Too Many Requests", "; raise the receiver's limit, or send less, as by OTEL_TRACES_SAMPLER="),
    ],
)
def test_statuses_that_the_receiver_mends(exports: Any, status: int, words: str, remedy: str) -> None:
    with served(Demanding, status, "x-never", "") as refusing, served(HttpReceiver) as other:
        wrong = {ENDPOINT: refusing.base, PROTOCOL: "http/protobuf"}
        follow(exports, wrong, f"HTTP {status} ", remedy, {ENDPOINT: other.base})
        assert words in exports(wrong)


# --- The address -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
def test_hosts_that_are_unknown_or_refuse(exports: Any, protocol: str) -> None:
    usual = {"grpc": 4317, "http/protobuf": 4318}[protocol]
    with served(RECEIVERS[protocol]) as receiver, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        right = {ENDPOINT: receiver.base}
        wrong = {ENDPOINT: f"http://127.0.0.1:{nobody.getsockname()[1]}", PROTOCOL: protocol}
        remedy = f"; start a receiver there, or set {ENDPOINT} to where one listens, usually at port {usual}"
        follow(exports, wrong, "cannot connect: Connection refused", remedy, right)
        wrong[ENDPOINT] = "http://nowhere.invalid:4317"
        remedy = "; check the host in the endpoint, and whether this machine or container can look it up"
        follow(exports, wrong, "cannot resolve the name nowhere.invalid", remedy, right)


def test_a_proxy_that_refuses(exports: Any, grpc_receiver: GrpcReceiver) -> None:
    with Proxy(grpc_receiver, credentials=b"dXNlcjpwYTU1") as proxy:
        wrong = {ENDPOINT: grpc_receiver.base, PROTOCOL: "grpc", "grpc_proxy": f"http://{proxy.address}"}
        remedy = f"; write user and password into the proxy's address: http://USER:PASSWORD@{proxy.address}"
        what = f"the proxy {proxy.address} refuses the way to 127.0.0.1:{grpc_receiver.port}: HTTP 407"
        follow(exports, wrong, what, remedy, {"grpc_proxy": f"http://user:pa55@{proxy.address}"})
    with Proxy(grpc_receiver, status=403) as proxy:
        wrong["grpc_proxy"] = f"http://{proxy.address}"
        remedy = "; let the proxy allow 127.0.0.1, or go without it by no_proxy=127.0.0.1"
        what = f"the proxy {proxy.address} refuses the way to 127.0.0.1:{grpc_receiver.port}: HTTP 403"
        follow(exports, wrong, what, remedy, {"no_proxy": "127.0.0.1"})
    remedy = f"; start the proxy at {proxy.address}, or go without it by no_proxy=127.0.0.1"
    follow(exports, wrong, f"cannot connect to the proxy {proxy.address}", remedy, {"no_proxy": "127.0.0.1"})
