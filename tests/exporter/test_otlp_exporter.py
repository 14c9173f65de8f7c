"""The OTLP span exporters over both protocols: arguments, environment variables, requests and log lines."""

from __future__ import annotations

import contextlib
import inspect
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpc
from opentelemetry.exporter.otlp.proto.http import Compression as StockHttpCompression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttp
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp import Compression
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as Grpc
from otel_rs.exporter.otlp.http import OTLPSpanExporter as Http

from ..support.receiver import DEADLINE_SECONDS, GRPC_METHOD, Answer, wait_until
from ..support.values import same_in_every_run

pytestmark = pytest.mark.installed

KINDS: dict[str, Any] = {"http": Http, "grpc": Grpc}
STOCK_KINDS: dict[str, Any] = {"http": StockHttp, "grpc": StockGrpc}
PATHS = {"http": "/v1/traces", "grpc": GRPC_METHOD}
SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
NOBODY = "http://127.0.0.1:1"
SECRET = "s3cret-t0ken"

both_protocols = pytest.mark.parametrize("protocol", KINDS)


def spans(count: int = 1, kind: type[Any] = TracerProvider, name: str = "span", **attributes: Any) -> list[Any]:
    tracer = kind(shutdown_on_exit=False).get_tracer("test")
    made = [tracer.start_span(name, attributes=attributes) for _ in range(count)]
    for span in made:
        span.end()
    return made


def timeout_of(exporter: Any) -> Any:
    """Where the stock exporters have it."""
    return exporter._timeout if hasattr(exporter, "_timeout") else exporter._client._timeout


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """`make(protocol, ...)` creates an exporter, shut down after the test."""
    made = []

    def make(protocol: str, **arguments: Any) -> Any:
        exporter = KINDS[protocol](**arguments)
        made.append(exporter)
        return exporter

    yield make
    for exporter in made:
        exporter.shutdown()


def refusal(protocol: str, message: str) -> Answer:
    """An answer that must not be retried, with a reason in the protocol's format."""
    if protocol == "grpc":
        return Answer(grpc.StatusCode.INVALID_ARGUMENT, body=message.encode())
    return Answer(400, body=Status(code=3, message=message).SerializeToString())


def export_from_a_program(protocol: str, endpoint: str, arguments: str = "") -> subprocess.CompletedProcess[str]:
    """Runs in its own process, because some lines are logged at most once a minute per process."""
    program = f"""
import logging, sys
logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.DEBUG, stream=sys.stdout)
from otel_rs import TracerProvider
from otel_rs.exporter.otlp.{protocol} import OTLPSpanExporter
span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
span.end()
exporter = OTLPSpanExporter(sys.argv[1], {arguments})
for _ in range(3):
    print(exporter.export([span]).name)
"""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, endpoint],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


# --- Arguments -------------------------------------------------------------------------------------------------------


@both_protocols
def test_parameters_are_those_of_the_stock_exporter(protocol: str) -> None:
    def parameters(kind: type[Any]) -> list[Any]:
        return [
            (parameter.name, parameter.kind)
            for parameter in inspect.signature(kind).parameters.values()
            if not parameter.name.startswith("_")
        ]

    own = {"http": [("protocol", inspect.Parameter.KEYWORD_ONLY)], "grpc": []}[protocol]
    assert parameters(KINDS[protocol]) == parameters(STOCK_KINDS[protocol]) + own


@both_protocols
def test_it_is_a_span_exporter(protocol: str, make: Any) -> None:
    exporter = make(protocol)
    assert isinstance(exporter, SpanExporter)
    assert exporter.force_flush() is True
    assert exporter.force_flush(timeout_millis=5) is True


# --- Endpoint --------------------------------------------------------------------------------------------------------


def test_the_argument_is_the_endpoint(receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", NOBODY)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", NOBODY)
    assert make(receiver.protocol, endpoint=receiver.endpoint).export(spans()) is SUCCESS
    assert [request.path for request in receiver.requests] == [PATHS[receiver.protocol]]


def test_the_signals_variable_is_the_endpoint(receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", NOBODY)
    assert make(receiver.protocol).export(spans()) is SUCCESS
    assert [request.path for request in receiver.requests] == [PATHS[receiver.protocol]]


@pytest.mark.parametrize("signal", [None, "", "  "])
def test_the_general_variable_is_the_base_of_the_endpoint(
    receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch, signal: str | None
) -> None:
    if signal is not None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", signal)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.base)
    assert make(receiver.protocol).export(spans()) is SUCCESS
    assert [request.path for request in receiver.requests] == [PATHS[receiver.protocol]]


@pytest.mark.parametrize("base", ["", "/", "/prefix", "/prefix/", "/a/b"])
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "argument"])
def test_the_path_over_http_is_that_of_the_stock_exporter(
    http_receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch, variable: str, base: str
) -> None:
    arguments = {}
    if variable == "argument":
        arguments["endpoint"] = http_receiver.base + base
    else:
        monkeypatch.setenv(variable, http_receiver.base + base)
    stock = StockHttp(**arguments)
    assert stock.export(spans(kind=sdk.TracerProvider)) is SUCCESS
    assert make("http", **arguments).export(spans()) is SUCCESS
    expected, path = (request.path for request in http_receiver.requests)
    assert path == expected
    stock.shutdown()


def test_the_default_endpoints(make: Any) -> None:
    assert make("http")._endpoint == "http://localhost:4318/v1/traces"
    assert make("grpc")._endpoint == "localhost:4317"


def test_the_path_of_a_grpc_endpoint_is_ignored(grpc_receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The general variable is often used for both protocols."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{grpc_receiver.base}/v1/traces")
    assert make("grpc").export(spans()) is SUCCESS


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("insecure", ["argument", "OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"])
def test_host_and_port_alone_use_grpc_without_tls(
    grpc_receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch, host: str, insecure: str
) -> None:
    arguments: dict[str, Any] = {"endpoint": f"{host}:{grpc_receiver.port}"}
    if insecure == "argument":
        arguments["insecure"] = True
    else:
        monkeypatch.setenv(insecure, "True")
    assert make("grpc", **arguments).export(spans()) is SUCCESS
    assert len(grpc_receiver.spans()) == 1


@pytest.mark.parametrize("general", [None, "true", "false", ""])
@pytest.mark.parametrize("signal", [None, "true", "FALSE"])
@pytest.mark.parametrize("insecure", [None, True, False])
@pytest.mark.parametrize("endpoint", ["localhost:4317", "http://localhost:4317", "https://localhost:4317", None])
def test_whether_grpc_uses_tls_is_as_with_the_stock_exporter(
    make: Any, monkeypatch: pytest.MonkeyPatch, endpoint: Any, insecure: Any, signal: Any, general: Any
) -> None:
    if general == "" and "://" not in (endpoint or "://"):
        general = None  # upstream: an empty variable means false; the specification: it counts as not set
    for variable, value in (("OTEL_EXPORTER_OTLP_TRACES_INSECURE", signal), ("OTEL_EXPORTER_OTLP_INSECURE", general)):
        if value:
            monkeypatch.setenv(variable, value)
    stock = StockGrpc(endpoint=endpoint, insecure=insecure)
    exporter = make("grpc", endpoint=endpoint, insecure=insecure)
    assert exporter._insecure is bool(stock._insecure)
    stock.shutdown()


def test_tls_to_a_receiver_without_it_fails(grpc_receiver: Any, make: Any) -> None:
    exporter = make("grpc", endpoint=f"https://127.0.0.1:{grpc_receiver.port}", timeout=2)
    assert exporter.export(spans()) is FAILURE
    assert grpc_receiver.requests == []


BAD_ENDPOINTS = {
    "http": ["ftp://host/v1/traces", "host:4318", "no url", "http://", "http://host:99999/", "http://[::1"],
    "grpc": ["ftp://host:4317", "no host:4317", "http://", "http://host:99999", "http://[::1", "unix:///"],
}


@pytest.mark.parametrize(("protocol", "value"), [(p, value) for p, values in BAD_ENDPOINTS.items() for value in values])
def test_an_invalid_endpoint_raises_and_says_what_is_accepted(
    protocol: str, value: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(ValueError, match="endpoint") as caught:
        KINDS[protocol](endpoint=value)
    message = str(caught.value)
    assert "accepted" in message
    assert value.split("://")[-1].split(":")[0] in message
    assert "\n" not in message


@both_protocols
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_an_invalid_endpoint_variable_is_named(
    protocol: str, variable: str, make: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setenv(variable, "ftp://host")
    messages = []
    try:
        make(protocol)
    except ValueError as error:
        messages.append(str(error))
    messages += log()
    (line,) = messages
    assert all(word in line for word in (variable, "ftp://host", "accepted"))


# --- Headers ---------------------------------------------------------------------------------------------------------

GENERAL, SIGNAL = "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"

HEADER_SETTINGS: dict[str, tuple[Any, dict[str, str], dict[str, str]]] = {
    "mapping": ({"x-a": "1", "x-b": "2"}, {}, {"x-a": "1", "x-b": "2"}),
    "upper case": ({"X-A": "1"}, {}, {"x-a": "1"}),
    "general": (None, {GENERAL: "x-a=1,x-b=2"}, {"x-a": "1", "x-b": "2"}),
    "signal": (None, {SIGNAL: "x-a=1", GENERAL: "x-a=0,x-b=2"}, {"x-a": "1"}),
    "argument and variable": ({"x-a": "argument"}, {SIGNAL: "x-a=signal"}, {"x-a": "argument"}),
    "encoded": (None, {GENERAL: "x-a=a%20b%2Cc%3Dd"}, {"x-a": "a b,c=d"}),
    "spaces": (None, {GENERAL: " x-a = 1 , x-b=2 "}, {"x-a": "1", "x-b": "2"}),
    "plain spaces within": (None, {GENERAL: "x-a=Bearer token"}, {"x-a": "Bearer token"}),
    "equals signs": (None, {GENERAL: "x-a=dG9rZW4=="}, {"x-a": "dG9rZW4=="}),
    "empty value": (None, {GENERAL: "x-a=,x-b=2"}, {"x-b": "2"}),
    "empty pairs": (None, {GENERAL: ",,x-a=1,"}, {"x-a": "1"}),
    "later one wins": (None, {GENERAL: "x-a=1,x-a=2"}, {"x-a": "2"}),
}


@pytest.mark.parametrize(("argument", "environment", "expected"), HEADER_SETTINGS.values(), ids=HEADER_SETTINGS.keys())
def test_headers(
    receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch, argument: Any, environment: Any, expected: Any
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert make(receiver.protocol, endpoint=receiver.endpoint, headers=argument).export(spans()) is SUCCESS
    headers = receiver.requests[0].headers
    assert {name: value for name, value in headers.items() if name.startswith("x-") and value} == expected


@pytest.mark.parametrize("form", [(("x-a", "1"), ("x-b", "2")), [("x-a", "1"), ("x-b", "2")], "x-a=1,x-b=2"], ids=repr)
def test_other_forms_of_headers_over_grpc(grpc_receiver: Any, make: Any, form: Any) -> None:
    assert make("grpc", endpoint=grpc_receiver.endpoint, headers=form).export(spans()) is SUCCESS
    headers = grpc_receiver.requests[0].headers
    assert (headers["x-a"], headers["x-b"]) == ("1", "2")


@pytest.mark.parametrize(
    ("protocol", "expected"), [("http", {"x-a": "1", "x-b": "2"}), ("grpc", {"x-a": "1"})], ids=["http", "grpc"]
)
def test_header_arguments_override_or_over_grpc_replace_the_variables(
    request: Any, make: Any, monkeypatch: pytest.MonkeyPatch, protocol: str, expected: dict[str, str]
) -> None:
    receiver = request.getfixturevalue(f"{protocol}_receiver")
    monkeypatch.setenv(SIGNAL, "x-b=2")
    assert make(protocol, endpoint=receiver.endpoint, headers={"x-a": "1"}).export(spans()) is SUCCESS
    headers = receiver.requests[0].headers
    assert {name: value for name, value in headers.items() if name.startswith("x-")} == expected


def test_the_user_agent_names_us_with_a_version(receiver: Any, make: Any) -> None:
    from importlib.metadata import version

    assert make(receiver.protocol, endpoint=receiver.endpoint).export(spans()) is SUCCESS
    agent = receiver.requests[0].headers["user-agent"]
    assert agent.split()[:2] == [f"OTel-OTLP-Exporter-Python/{version('otel-rs')}", "(otel-rs)"]


@pytest.mark.parametrize("name", ["user-agent", "User-Agent"])
def test_a_custom_user_agent_comes_before_ours(receiver: Any, make: Any, name: str) -> None:
    assert make(receiver.protocol, endpoint=receiver.endpoint, headers={name: "mine/1"}).export(spans()) is SUCCESS
    agent = receiver.requests[0].headers["user-agent"]
    assert agent.split()[0] == "mine/1"
    assert "otel-rs" not in agent


def test_the_content_type_over_http(http_receiver: Any, make: Any) -> None:
    assert make("http", endpoint=http_receiver.endpoint).export(spans()) is SUCCESS
    assert http_receiver.requests[0].headers["content-type"] == "application/x-protobuf"


def test_headers_of_the_connection_cannot_be_set(receiver: Any, make: Any) -> None:
    headers = {"content-length": "5", "connection": "close", "transfer-encoding": "chunked", "te": "gzip"}
    exporter = make(receiver.protocol, endpoint=receiver.endpoint, headers=headers)
    assert [exporter.export(spans()) for _ in range(2)] == [SUCCESS] * 2
    assert len(receiver.spans()) == 2


# --- Secrets ---------------------------------------------------------------------------------------------------------


def has_secret(*texts: str) -> bool:
    return any(SECRET in text.lower() for text in texts)


@both_protocols
def test_repr_does_not_show_header_values(protocol: str, make: Any) -> None:
    exporter = make(protocol, headers={"authorization": f"Bearer {SECRET}"})
    assert not has_secret(repr(exporter), str(exporter), repr(vars(exporter)), repr(exporter._native))


def test_header_values_are_not_logged_when_an_export_fails(receiver: Any) -> None:
    receiver.answers = [refusal(receiver.protocol, f"no access with {SECRET}")] * 3
    arguments = f"headers={{'authorization': 'Bearer {SECRET}', 'x-api-key': '{SECRET}'}}"
    done = export_from_a_program(receiver.protocol, receiver.endpoint, arguments)
    assert "no access with" in done.stdout
    assert not has_secret(done.stdout, done.stderr)


MALFORMED = {
    "no equals sign": SECRET,
    "no name": f"={SECRET}",
    "second has none": f"x-a=1,Bearer {SECRET}",
    "colon": f"authorization: {SECRET}",
    "colon and padding": f"authorization: Basic {SECRET}==",
    "the name is the value": f"Bearer {SECRET}=",
    "line break in the value": f"authorization={SECRET}%0a",
    "null in the value": f"authorization={SECRET}%00",
    "line break in the name": f"authorization%0a{SECRET}=x",
    "not ASCII": f"x-a={SECRET}\u20ac",
}


@pytest.fixture(params=[("http", GENERAL), ("http", SIGNAL), ("grpc", GENERAL), ("grpc", SIGNAL), ("grpc", "headers")])
def messages_about_headers(
    request: pytest.FixtureRequest, make: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> Callable[[str], tuple[str, list[str]]]:
    """`messages_about_headers(value)` returns the name of the variable or argument, and what was raised or logged."""

    def read(value: str) -> tuple[str, list[str]]:
        protocol, source = request.param
        arguments = {}
        if source == "headers":
            arguments["headers"] = value
        else:
            monkeypatch.setenv(source, value)
        messages = []
        try:
            make(protocol, **arguments)
        except ValueError as error:
            messages.append(str(error))
        return source, messages + log()

    return read


@pytest.mark.parametrize("name", MALFORMED)
def test_messages_about_malformed_headers_do_not_show_them(messages_about_headers: Any, name: str) -> None:
    _, messages = messages_about_headers(MALFORMED[name])
    assert not has_secret(*messages)


@pytest.mark.parametrize("name", [name for name in MALFORMED if name != "not ASCII"])
def test_malformed_headers_are_reported_in_one_line_that_names_the_source(
    messages_about_headers: Any, name: str
) -> None:
    source, (line,) = messages_about_headers(MALFORMED[name])
    assert source in line


@both_protocols
@pytest.mark.parametrize("variable", ["argument", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_errors_do_not_show_credentials_in_an_endpoint(
    protocol: str, variable: str, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    endpoint = f"ftp://user:{SECRET}@host/?key={SECRET}"
    if variable == "argument":
        with pytest.raises(ValueError, match="ftp") as caught:
            KINDS[protocol](endpoint=endpoint)
        message = str(caught.value)
    else:
        monkeypatch.setenv(variable, endpoint)
        KINDS[protocol]()
        (message,) = log()
        assert "ftp" in message
    assert not has_secret(message)


# --- Timeout ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["argument", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])
def test_an_export_ends_at_the_timeout(receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    settings = ["argument", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]
    arguments = {}
    for weaker in settings[settings.index(setting) + 1 :]:
        monkeypatch.setenv(weaker, "60")
    if setting == "argument":
        arguments["timeout"] = 0.2
    else:
        monkeypatch.setenv(setting, "0.2")
    receiver.fall_silent()
    exporter = make(receiver.protocol, endpoint=receiver.endpoint, **arguments)
    started = time.monotonic()
    assert exporter.export(spans()) is FAILURE
    assert 0.15 < time.monotonic() - started < 10


@both_protocols
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])
@pytest.mark.parametrize("value", ["x", "-1", "nan", "inf", "10s"])
def test_an_invalid_timeout_variable_is_logged_and_ignored(
    protocol: str, variable: str, value: str, make: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setenv(variable, value)
    exporter = make(protocol)
    (line,) = log()
    assert all(word in line for word in (variable, repr(value), "accepted"))
    assert timeout_of(exporter) == 10


@both_protocols
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_an_invalid_timeout_argument_raises(protocol: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"timeout is .*accepted"):
        KINDS[protocol](timeout=value)


@both_protocols
def test_a_timeout_of_the_wrong_type_raises_and_names_the_argument(protocol: str) -> None:
    with pytest.raises((TypeError, ValueError), match="timeout"):
        KINDS[protocol](timeout="10")


@both_protocols
def test_the_default_timeout_is_ten_seconds(protocol: str, make: Any) -> None:
    assert timeout_of(make(protocol)) == 10


# --- Compression -----------------------------------------------------------------------------------------------------


@pytest.fixture
def wiretap() -> Iterator[Callable[[int], tuple[int, bytearray]]]:
    """`wiretap(port)` returns a port that forwards to `port`, and the bytes sent to it."""
    sockets: list[socket.socket] = []

    def pump(source: socket.socket, sink: socket.socket, copy: bytearray | None) -> None:
        try:
            while data := source.recv(65536):
                if copy is not None:
                    copy.extend(data)
                sink.sendall(data)
        except OSError:
            pass

    def tap(port: int) -> tuple[int, bytearray]:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)
        seen = bytearray()

        def accept() -> None:
            try:
                while True:
                    client, _ = listener.accept()
                    server = socket.create_connection(("127.0.0.1", port))
                    sockets.extend([client, server])
                    threading.Thread(target=pump, args=(client, server, seen), daemon=True).start()
                    threading.Thread(target=pump, args=(server, client, None), daemon=True).start()
            except OSError:
                pass

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1], seen

    yield tap
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


TEXT = "text that compresses well "

COMPRESSIONS: dict[str, tuple[Any, dict[str, str], bool]] = {
    "nothing said": (None, {}, False),
    "ours": (Compression.Gzip, {}, True),
    "ours, none": (Compression.NoCompression, {}, False),
    "grpc's": (grpc.Compression.Gzip, {}, True),
    "grpc's, none": (grpc.Compression.NoCompression, {}, False),
    "the stock HTTP exporter's": (StockHttpCompression.Gzip, {}, True),
    "the stock HTTP exporter's, none": (StockHttpCompression.NoCompression, {}, False),
    "text": ("gzip", {}, True),
    "signal's variable": (None, {"TRACES_COMPRESSION": "gzip", "COMPRESSION": "none"}, True),
    "signal's variable, none": (None, {"TRACES_COMPRESSION": "none", "COMPRESSION": "gzip"}, False),
    "general variable": (None, {"COMPRESSION": " GZIP "}, True),
    "argument before variables": (Compression.NoCompression, {"TRACES_COMPRESSION": "gzip"}, False),
    "empty variable": (None, {"TRACES_COMPRESSION": "", "COMPRESSION": "gzip"}, True),
}


@pytest.mark.parametrize(("argument", "environment", "gzip"), COMPRESSIONS.values(), ids=COMPRESSIONS.keys())
def test_compression_is_visible_on_the_wire(
    receiver: Any, make: Any, wiretap: Any, monkeypatch: pytest.MonkeyPatch, argument: Any, environment: Any, gzip: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    port, seen = wiretap(receiver.port)
    endpoint = receiver.endpoint.replace(str(receiver.port), str(port))
    exporter = make(receiver.protocol, endpoint=endpoint, compression=argument)
    assert exporter.export(spans(50, text=TEXT * 100)) is SUCCESS
    assert len(receiver.spans()) == 50
    assert receiver.spans()[0].attributes[0].value.string_value == TEXT * 100
    assert (b"\x1f\x8b\x08" in seen) is gzip
    assert (TEXT.encode() in seen) is not gzip
    assert (len(seen) < 20_000) is gzip
    if receiver.protocol == "http":
        assert receiver.requests[0].headers.get("content-encoding") == ("gzip" if gzip else None)


@pytest.mark.parametrize("value", [Compression.Deflate, StockHttpCompression.Deflate, "deflate"], ids=repr)
def test_deflate_over_http(http_receiver: Any, make: Any, value: Any) -> None:
    exporter = make("http", endpoint=http_receiver.endpoint, compression=value)
    assert exporter.export(spans(text=TEXT * 100)) is SUCCESS
    assert http_receiver.spans()[0].attributes[0].value.string_value == TEXT * 100
    assert http_receiver.requests[0].headers["content-encoding"] == "deflate"


@pytest.mark.parametrize(
    ("protocol", "value"),
    [
        *((protocol, value) for protocol in KINDS for value in ("zip", 5, object())),
        ("grpc", grpc.Compression.Deflate),
        ("grpc", Compression.Deflate),
    ],
    ids=same_in_every_run,
)
def test_an_invalid_compression_argument_raises(protocol: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"compression is .*accepted"):
        KINDS[protocol](compression=value)


@both_protocols
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"])
def test_an_invalid_compression_variable_is_logged_and_ignored(
    protocol: str, variable: str, make: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setenv(variable, {"http": "snappy", "grpc": "deflate"}[protocol])
    make(protocol)
    (line,) = log()
    assert all(word in line for word in (variable, repr(os.environ[variable]), "accepted"))


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"])
def test_an_invalid_boolean_variable_is_logged_and_means_false(
    variable: str, make: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setenv(variable, "yes")
    assert make("grpc", endpoint="host:4317")._insecure is False
    (line,) = log()
    assert all(word in line for word in (variable, "'yes'", "accepted"))


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_json_is_chosen_by_argument(http_receiver: Any, make: Any) -> None:
    exporter = Http(endpoint=http_receiver.endpoint, protocol="http/json")
    (span,) = spans(text="größe", bytes=b"\x00\xff", double=float("inf"))
    assert exporter.export([span]) is SUCCESS
    assert make("http", endpoint=http_receiver.endpoint).export([span]) is SUCCESS
    first, second = http_receiver.requests
    assert [first.headers["content-type"], second.headers["content-type"]] == [
        "application/json",
        "application/x-protobuf",
    ]
    assert first.message == second.message
    exporter.shutdown()


@pytest.mark.parametrize(
    ("environment", "json"),
    [
        ({"TRACES_PROTOCOL": "http/json"}, True),
        ({"PROTOCOL": " http/json "}, True),
        ({"TRACES_PROTOCOL": "http/protobuf", "PROTOCOL": "http/json"}, False),
        ({"METRICS_PROTOCOL": "http/json"}, False),
        ({"PROTOCOL": "grpc"}, False),
    ],
    ids=str,
)
def test_json_is_chosen_by_variable(
    http_receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], json: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    assert make("http", endpoint=http_receiver.endpoint).export(spans()) is SUCCESS
    expected = "application/json" if json else "application/x-protobuf"
    assert http_receiver.requests[0].headers["content-type"] == expected


def test_an_unknown_protocol_raises() -> None:
    with pytest.raises(ValueError, match=r"protocol is 'grpc'; accepted: http/protobuf, http/json"):
        Http(protocol="grpc")


# --- Exporting -------------------------------------------------------------------------------------------------------


def test_native_and_stock_spans_may_be_mixed(receiver: Any, make: Any) -> None:
    native, stock = spans(2, name="native", a=[1]), spans(2, sdk.TracerProvider, "stock", a=[1])
    bare = sdk.ReadableSpan("bare", context=stock[0].get_span_context(), start_time=1, end_time=2)
    assert make(receiver.protocol, endpoint=receiver.endpoint).export([native[0], *stock, native[1], bare]) is SUCCESS
    assert len(receiver.requests) == 1
    assert sorted(span.name for span in receiver.spans()) == ["bare", "native", "native", "stock", "stock"]
    sent = {span.span_id for span in receiver.spans()}
    assert sent == {span.get_span_context().span_id.to_bytes(8, "big") for span in native + stock}


@pytest.mark.parametrize("shape", [list, tuple, iter], ids=lambda shape: shape.__name__)
def test_any_sequence_of_spans_is_accepted(receiver: Any, make: Any, shape: Any) -> None:
    assert make(receiver.protocol, endpoint=receiver.endpoint).export(shape(spans(3))) is SUCCESS
    assert len(receiver.spans()) == 3


def test_an_export_without_spans_sends_no_request(receiver: Any, make: Any) -> None:
    assert make(receiver.protocol, endpoint=receiver.endpoint).export([]) is SUCCESS
    assert receiver.requests == []


def test_an_object_that_is_not_a_span_is_dropped_and_logged(receiver: Any, make: Any, log: Any) -> None:
    exporter = make(receiver.protocol, endpoint=receiver.endpoint)
    assert exporter.export([*spans(), "no span", None, *spans()]) is SUCCESS
    assert len(receiver.spans()) == 2
    assert [line.startswith("A span could not be encoded") for line in log()] == [True, True]


def test_an_exporter_may_be_used_from_eight_threads(receiver: Any, make: Any) -> None:
    exporter = make(receiver.protocol, endpoint=receiver.endpoint)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(exporter.export(spans(5)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert results == [SUCCESS] * 8
    assert len(receiver.spans()) == 40


def test_other_threads_run_during_an_export(receiver: Any, make: Any) -> None:
    receiver.fall_silent()
    exporter = make(receiver.protocol, endpoint=receiver.endpoint, timeout=2)
    exporting = threading.Thread(target=exporter.export, args=(spans(),))
    exporting.start()
    wait_until(lambda: receiver.requests, "the export runs")
    assert exporting.is_alive()
    exporting.join(DEADLINE_SECONDS)


def test_a_temporary_failure_is_retried(receiver: Any, make: Any) -> None:
    unavailable = {"http": 503, "grpc": grpc.StatusCode.UNAVAILABLE}[receiver.protocol]
    receiver.answers = [Answer(unavailable)]
    assert make(receiver.protocol, endpoint=receiver.endpoint).export(spans()) is SUCCESS
    assert len(receiver.requests) == 2


def test_no_retry_after_the_timeout(receiver: Any, make: Any) -> None:
    unavailable = {"http": 503, "grpc": grpc.StatusCode.UNAVAILABLE}[receiver.protocol]
    receiver.answers = [Answer(unavailable)] * 10
    started = time.monotonic()
    assert make(receiver.protocol, endpoint=receiver.endpoint, timeout=0.7).export(spans()) is FAILURE
    assert time.monotonic() - started < 10
    assert len(receiver.requests) == 1


def test_a_shutdown_ends_the_wait_for_a_retry(receiver: Any, make: Any) -> None:
    unavailable = {"http": 503, "grpc": grpc.StatusCode.UNAVAILABLE}[receiver.protocol]
    receiver.answers = [Answer(unavailable)] * 1_000
    exporter = make(receiver.protocol, endpoint=receiver.endpoint, timeout=3_600)
    results: list[Any] = []
    exporting = threading.Thread(target=lambda: results.append(exporter.export(spans())), daemon=True)
    exporting.start()
    wait_until(lambda: receiver.requests, "the export runs")
    exporter.shutdown()
    exporting.join(DEADLINE_SECONDS)
    assert results == [FAILURE]


INTERNAL_FOR_NOW = [Answer(grpc.StatusCode.INTERNAL)]
CODES = "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES"


@pytest.mark.parametrize(
    "codes",
    [
        [grpc.StatusCode.INTERNAL],
        iter((grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL)),
        {"internal"},
        "unavailable, Internal",
        [13],
    ],
    ids=["codes", "an iterator", "names", "a text", "numbers"],
)
def test_the_retryable_grpc_codes_can_be_set(grpc_receiver: Any, make: Any, codes: Any) -> None:
    grpc_receiver.answers = list(INTERNAL_FOR_NOW)
    exporter = make("grpc", endpoint=grpc_receiver.endpoint, retryable_error_codes=codes)
    assert exporter.export(spans()) is SUCCESS
    assert len(grpc_receiver.requests) == 2


def test_a_grpc_code_that_is_not_in_the_set_is_not_retried(grpc_receiver: Any, make: Any) -> None:
    grpc_receiver.answers = [Answer(grpc.StatusCode.UNAVAILABLE)]
    exporter = make("grpc", endpoint=grpc_receiver.endpoint, retryable_error_codes=[grpc.StatusCode.INTERNAL])
    assert exporter.export(spans()) is FAILURE
    assert len(grpc_receiver.requests) == 1


def test_the_retryable_grpc_codes_can_come_from_the_environment(
    grpc_receiver: Any, make: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setenv(CODES, " internal,UNAVAILABLE")
    for codes, result in ((None, SUCCESS), ((), SUCCESS), ([grpc.StatusCode.ABORTED], FAILURE)):
        grpc_receiver.answers = list(INTERNAL_FOR_NOW)
        exporter = make("grpc", endpoint=grpc_receiver.endpoint, retryable_error_codes=codes)
        assert exporter.export(spans()) is result
    log()
    monkeypatch.setenv(CODES, "INTERNAL,SOON")
    grpc_receiver.answers = list(INTERNAL_FOR_NOW)
    assert make("grpc", endpoint=grpc_receiver.endpoint).export(spans()) is FAILURE
    line = log()[0]
    assert all(part in line for part in (CODES, "SOON", "DATA_LOSS"))


@pytest.mark.parametrize("codes", [["SOON"], [17], [-1], [True], [None], [object()], 14, grpc.StatusCode.ABORTED])
def test_an_unknown_grpc_code_raises(codes: Any) -> None:
    with pytest.raises(ValueError, match=r"^retryable_error_codes.*; accepted: .*DEADLINE_EXCEEDED"):
        Grpc(retryable_error_codes=codes)


def test_the_retry_delay_of_the_grpc_receiver_is_used(grpc_receiver: Any, make: Any) -> None:
    from google.protobuf.duration_pb2 import Duration
    from google.rpc.error_details_pb2 import RetryInfo

    info = RetryInfo(retry_delay=Duration(nanos=1_000_000)).SerializeToString()
    # This code is retried only with a delay from the receiver.
    answer = Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, {"google.rpc.retryinfo-bin": info})  # type: ignore[dict-item]
    grpc_receiver.answers = [answer]
    assert make("grpc", endpoint=grpc_receiver.endpoint, timeout=30).export(spans()) is SUCCESS
    assert len(grpc_receiver.requests) == 2


def test_a_refused_request_fails_at_once_with_one_log_line(receiver: Any) -> None:
    receiver.answers = [refusal(receiver.protocol, "malformed, it says")] * 3
    done = export_from_a_program(receiver.protocol, receiver.endpoint)
    first, *results = done.stdout.splitlines()
    assert results == ["FAILURE"] * 3
    assert first.startswith("ERROR otel_rs.export Failed to export 1 spans: ")
    assert "malformed, it says" in first
    assert done.stderr == ""
    assert len(receiver.requests) == 3


@both_protocols
def test_an_export_to_a_closed_port_fails_with_one_log_line(protocol: str) -> None:
    done = export_from_a_program(protocol, NOBODY, "timeout=0.3")
    first, *results = done.stdout.splitlines()
    assert results == ["FAILURE"] * 3
    assert first.startswith("ERROR otel_rs.export Failed to export 1 spans: ")
    assert done.stderr == ""


def test_after_shutdown_nothing_is_sent(receiver: Any, log: Any) -> None:
    exporter = KINDS[receiver.protocol](endpoint=receiver.endpoint)
    stock = STOCK_KINDS[receiver.protocol](endpoint=receiver.endpoint)
    messages = []
    for each in (stock, exporter):
        assert each.shutdown() is None
        log()
        assert each.export(spans(kind=sdk.TracerProvider)) is FAILURE
        each.shutdown()
        messages.append(log())
    assert messages[0] == messages[1]
    assert receiver.requests == []


# --- Subclasses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["subclass", "on the object"])
def test_the_batch_processor_calls_an_overridden_export(receiver: Any, how: str) -> None:
    seen: list[str] = []

    class Watching(KINDS[receiver.protocol]):  # type: ignore[misc]
        def export(self, spans: Any) -> SpanExportResult:
            seen.extend(span.name for span in spans)
            return super().export(spans)

    if how == "subclass":
        exporter = Watching(endpoint=receiver.endpoint)
    else:
        exporter = KINDS[receiver.protocol](endpoint=receiver.endpoint)
        original = exporter.export
        exporter.export = lambda spans: (seen.extend(span.name for span in spans), original(spans))[1]
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    provider.get_tracer("test").start_span("span").end()
    assert provider.force_flush()
    provider.shutdown()
    assert seen == ["span"]
    assert len(receiver.spans()) == 1


def test_a_subclass_with_its_own_shutdown(receiver: Any) -> None:
    shut_down = []

    class Watching(KINDS[receiver.protocol]):  # type: ignore[misc]
        def shutdown(self, *arguments: Any) -> None:
            shut_down.append(1)
            super().shutdown(*arguments)

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Watching(endpoint=receiver.endpoint)))
    provider.get_tracer("test").start_span("span").end()
    provider.shutdown()
    assert shut_down == [1]
    assert len(receiver.spans()) == 1
