"""A `requests` session: what can be read of it is sent natively; with the rest the stock exporter sends.

The requests are compared with the stock exporter's.
"""

from __future__ import annotations

import base64
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter, Retry
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from ..support.authority import Authority
from ..support.program import run
from ..support.receiver import HttpReceiver, ServerTls, started
from .exporters import item, ours, stock

# What differs between two HTTP clients, and says nothing of the session.
OF_THE_CLIENT = {"accept", "accept-encoding", "connection", "host", "user-agent", "content-length"}
SECRET = "s3cret-t0ken"


class Signing(AuthBase):
    def __call__(self, request: Any) -> Any:
        request.headers["x-signature"] = str(len(request.body))
        return request


def with_hook(session: requests.Session) -> None:
    session.hooks["response"].append(lambda *_args, **_kwargs: None)


READABLE: dict[str, Callable[[requests.Session], Any]] = {
    "plain": lambda session: None,
    "headers": lambda session: session.headers.update({"Authorization": f"Bearer {SECRET}", "X-Bytes": b"b"}),
    "headers of the exporter": lambda session: session.headers.update({"x-own": "session", "Content-Type": "text"}),
    "a header of None": lambda session: session.headers.update({"x-none": None}),
    "user agent": lambda session: session.headers.update({"User-Agent": "mine"}),
    "auth": lambda session: setattr(session, "auth", ("name", SECRET)),
    "basic auth": lambda session: setattr(session, "auth", HTTPBasicAuth("näme", SECRET)),
    "auth over a header": lambda session: (
        session.headers.update({"authorization": "Bearer x"}),
        setattr(session, "auth", ("name", SECRET)),
    ),
    "no environment": lambda session: setattr(session, "trust_env", False),
    "verify off": lambda session: setattr(session, "verify", False),
    "a pool": lambda session: session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1)),
}
UNREADABLE: dict[str, Callable[[requests.Session], Any]] = {
    "signs": lambda session: setattr(session, "auth", Signing()),
    "digest": lambda session: setattr(session, "auth", HTTPDigestAuth("name", SECRET)),
    "hook": with_hook,
    "adapter": lambda session: session.mount("http://127.0.0.1", HTTPAdapter()),
    "retries": lambda session: session.mount("http://", HTTPAdapter(max_retries=Retry(2))),
    "cookie": lambda session: session.cookies.set("a", SECRET, domain="127.0.0.1"),
    "params": lambda session: session.params.update({"key": SECRET}),
    "framing": lambda session: session.headers.update({"Connection": "close"}),
    "own send": lambda session: setattr(session, "send", session.send),
}


@pytest.fixture(autouse=True)
def without_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """`make(class, receiver, signal, session, ...)` makes an exporter, shut down after the test."""
    made = []

    def make(kind: Any, receiver: HttpReceiver, signal: str, session: Any, **arguments: Any) -> Any:
        endpoint = receiver.endpoint_of(signal)
        made.append(kind("http", signal)(**{"endpoint": endpoint, "session": session, "timeout": 5, **arguments}))
        return made[-1]

    yield make
    for exporter in made:
        exporter.shutdown()


@pytest.fixture
def seen(make: Any, http_receiver: HttpReceiver) -> Callable[..., Any]:
    """`seen(class, signal, change)` exports one item with a changed session: path and headers of the request."""

    def seen(kind: Any, signal: str, change: Callable[[requests.Session], Any], **arguments: Any) -> Any:
        session = requests.Session()
        change(session)
        exporter = make(kind, http_receiver, signal, session, **arguments)
        assert exporter.export(item(signal)).name == "SUCCESS"
        request = http_receiver.requests.pop()
        return request.path, {name: request.headers[name] for name in request.headers.keys() - OF_THE_CLIENT}

    return seen


@pytest.mark.parametrize(
    ("signal", "what"), [*(("traces", what) for what in READABLE), ("metrics", "auth"), ("logs", "headers")]
)
def test_what_can_be_read_is_sent_natively(signal: str, what: str, seen: Any, log: Any) -> None:
    arguments: dict[str, Any] = {"headers": {"x-own": "exporter"}}
    expected = seen(stock, signal, READABLE[what], **arguments)
    log()
    assert seen(ours, signal, READABLE[what], **arguments) == expected
    assert not [line for line in log() if "sends from now on" in line]


@pytest.mark.parametrize(
    ("signal", "what"), [*(("traces", what) for what in UNREADABLE), ("metrics", "signs"), ("logs", "hook")]
)
def test_with_what_cannot_be_read_the_stock_exporter_sends(signal: str, what: str, seen: Any, log: Any) -> None:
    expected = seen(stock, signal, UNREADABLE[what])
    log()
    assert seen(ours, signal, UNREADABLE[what]) == expected
    lines = [line for line in log() if "opentelemetry-exporter-otlp-proto-http sends from now on" in line]
    assert len(lines) == 1
    assert SECRET not in lines[0]


def test_a_session_of_another_class_is_used_as_it_is(seen: Any, make: Any, http_receiver: HttpReceiver) -> None:
    class Authorized(requests.Session):
        def request(self, method: Any, url: Any, headers: Any = None, **arguments: Any) -> Any:  # type: ignore[override]
            return super().request(method, url, headers={**headers, "authorization": SECRET}, **arguments)

    exporter = make(ours, http_receiver, "traces", Authorized())
    assert exporter.export(item("traces")).name == "SUCCESS"
    assert http_receiver.requests[0].headers["authorization"] == SECRET


def test_a_netrc_file_counts_as_with_the_stock_exporter(
    seen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text(f"machine 127.0.0.1 login name password {SECRET}\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    expected = seen(stock, "traces", READABLE["plain"])
    assert "authorization" in expected[1]
    assert seen(ours, "traces", READABLE["plain"]) == expected
    assert seen(ours, "traces", READABLE["no environment"]) == seen(stock, "traces", READABLE["no environment"])


CHANGES: dict[str, Callable[[requests.Session], Any]] = {
    "a header": lambda session: session.headers.update({"authorization": "Bearer new"}),
    "a header by its key": lambda session: session.headers.__setitem__("authorization", "Bearer new"),
    "other headers": lambda session: setattr(
        session, "headers", requests.structures.CaseInsensitiveDict({"authorization": "Bearer new"})
    ),
    "auth": lambda session: setattr(session, "auth", ("name", "new")),
    "an adapter": lambda session: session.mount("http://127.0.0.1", HTTPAdapter()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_session_that_is_changed_later_counts(what: str, make: Any, http_receiver: HttpReceiver, log: Any) -> None:
    authorizations = []
    for kind in (stock, ours):
        session = requests.Session()
        session.headers["authorization"] = "Bearer old"
        exporter = make(kind, http_receiver, "traces", session)
        assert exporter.export(item("traces")).name == "SUCCESS"
        log()
        CHANGES[what](session)
        assert exporter.export(item("traces")).name == "SUCCESS"
        authorizations.append([request.headers.get("authorization") for request in http_receiver.requests[-2:]])
    assert authorizations[0] == authorizations[1]
    assert len([line for line in log() if "the session was changed" in line]) == 1


def test_a_session_that_was_read_stays_native_and_can_be_copied(make: Any, http_receiver: HttpReceiver) -> None:
    session = requests.Session()
    session.headers["authorization"] = "Bearer old"
    exporter, other = (make(ours, http_receiver, "traces", session) for _ in range(2))
    session.headers.update({"Authorization": "Bearer old"})
    session.verify = True
    for copied in (pickle.loads(pickle.dumps(session)), copy.copy(session)):
        assert type(copied) is requests.Session
        assert copied.headers == session.headers
    assert [each.export(item("traces")).name for each in (exporter, other)] == ["SUCCESS"] * 2
    assert exporter.counts()["bytes"] == other.counts()["bytes"] > 0, "sent natively"
    session.proxies["http"] = "http://127.0.0.1:1"
    for each in (exporter, other):
        assert each._shutdown is False
        assert each._twin.in_charge


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture
def strict_receiver(authority: Authority) -> Iterator[HttpReceiver]:
    yield from started(HttpReceiver, ServerTls(*authority.sign("server"), authority.certificate))


@pytest.mark.parametrize("one_file", [False, True])
def test_the_sessions_client_certificate_is_shown(
    one_file: bool, strict_receiver: HttpReceiver, authority: Authority, make: Any, tmp_path: Path
) -> None:
    certificate, key = authority.sign("client")
    together = tmp_path / "both.pem"
    together.write_bytes(certificate.read_bytes() + key.read_bytes())
    for kind in (stock, ours):
        session = requests.Session()
        session.cert = str(together) if one_file else (str(certificate), str(key))
        exporter = make(kind, strict_receiver, "traces", session, certificate_file=str(authority.certificate))
        assert exporter.export(item("traces")).name == "SUCCESS"
    assert exporter.counts()["bytes"] > 0, "sent natively"


def test_the_sessions_certificates_to_trust_count(
    strict_receiver: HttpReceiver, authority: Authority, make: Any, tmp_path: Path
) -> None:
    # The stock exporter overwrites them: it does not reach the receiver.
    session = requests.Session()
    session.cert = tuple(map(str, authority.sign("client")))
    for verify, reached in ((str(authority.certificate), "SUCCESS"), (False, "FAILURE"), (True, "FAILURE")):
        session.verify = verify
        exporter = make(ours, strict_receiver, "traces", session, timeout=1)
        assert exporter.export(item("traces")).name == reached
    session.verify = str(Authority(tmp_path, "other").certificate)
    exporter = make(ours, strict_receiver, "traces", session, certificate_file=str(authority.certificate))
    assert exporter.export(item("traces")).name == "SUCCESS", "the argument comes first"


# --- Proxies ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy() -> Iterator[Any]:
    """A proxy that answers itself and keeps what was asked of it."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.path, self.headers["proxy-authorization"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = asked  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("scheme", ["http", "all", "http://collector.example"])
def test_the_sessions_proxies_count(scheme: str, proxy: Any, make: Any, http_receiver: HttpReceiver) -> None:
    address = f"http://name:{SECRET}@127.0.0.1:{proxy.server_port}"
    for kind in (stock, ours):
        session = requests.Session()
        session.proxies = {scheme: address}
        exporter = make(kind, http_receiver, "traces", session, endpoint="http://collector.example/v1/traces")
        assert exporter.export(item("traces")).name == "SUCCESS"
    authorization = "Basic " + base64.b64encode(f"name:{SECRET}".encode()).decode()
    assert proxy.asked == [("http://collector.example/v1/traces", authorization)] * 2
    assert exporter.counts()["bytes"] > 0, "sent natively"
    assert SECRET not in repr(exporter._native)


def test_a_failed_export_does_not_show_the_proxys_password(make: Any, http_receiver: HttpReceiver, log: Any) -> None:
    session = requests.Session()
    session.proxies = {"all": f"http://name:{SECRET}@127.0.0.1:1"}
    exporter = make(ours, http_receiver, "traces", session, timeout=0.3)
    assert exporter.export(item("traces")).name == "FAILURE"
    assert SECRET not in str(log())


def test_a_socks_proxy_is_for_the_stock_exporter(make: Any, http_receiver: HttpReceiver, log: Any) -> None:
    session = requests.Session()
    session.proxies = {"all": "socks5h://127.0.0.1:1"}
    exporter = make(ours, http_receiver, "traces", session, timeout=0.3)
    assert exporter.export(item("traces")).name == "FAILURE"
    assert any("socks5h" in line and "sends from now on" in line for line in log())


def test_a_session_without_the_environment_takes_no_proxy_of_it(
    proxy: Any, make: Any, http_receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
    session = requests.Session()
    assert make(ours, http_receiver, "traces", session).export(item("traces")).name == "SUCCESS"
    assert (len(proxy.asked), len(http_receiver.requests)) == (1, 0)
    session.trust_env = False
    assert make(ours, http_receiver, "traces", session).export(item("traces")).name == "SUCCESS"
    assert (len(proxy.asked), len(http_receiver.requests)) == (1, 1)


# --- Without the stock package ---------------------------------------------------------------------------------------


def test_without_the_stock_package_nothing_is_sent_without_what_was_asked_for() -> None:
    run(
        """
        import requests
        without("google", "grpc")
        import logging, otel_rs
        from otel_rs.exporter.otlp.http import OTLPSpanExporter
        class Session(requests.Session):
            pass
        try:
            OTLPSpanExporter(session=Session())
        except ValueError as error:
            assert "Session" in str(error) and "install opentelemetry-exporter-otlp-proto-http" in str(error), error
        else:
            raise SystemExit("no error")
        OTLPSpanExporter(session=requests.Session()).shutdown()
        otel_rs.install()
        logging.basicConfig()
        exporter = OTLPSpanExporter(session=Session())
        assert exporter.export([]).name in ("SUCCESS", "FAILURE")
        """
    )
