"""What `otel-rs view` does not take: its sender gets the right status, the user a line with the remedy."""

from __future__ import annotations

import urllib.error
import urllib.request

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from ..support.viewer import DEADLINE, a_trace, posix_only, post, started

pytestmark = posix_only


def test_a_refused_request_carries_an_rpc_status() -> None:
    with started() as (view, url):
        with pytest.raises(urllib.error.HTTPError) as error:
            post(f"{url}/v1/traces", b"\x0a\x7fnot protobuf")
        with error.value as response:
            assert response.code == 400
            # Field 1 of google.rpc.Status is the code, 3 is INVALID_ARGUMENT.
            assert response.read()[:2] == b"\x08\x03"
        refused = "otel-rs view: POST /v1/traces from 127.0.0.1 is refused, http 400: the body cannot be decoded: "
        assert (view.err.next() or "").startswith(refused)
        assert view.end() == 0


WRONG = [
    ("POST", "/v1/trace", "application/x-protobuf", 404, "no such path: spans go to /v1/traces"),
    ("POST", "/", "application/json", 404, "no such path: spans go to /v1/traces"),
    ("GET", "/v1/traces", "application/json", 405, "only POST is taken"),
    ("POST", "/v1/traces", "text/plain", 415, "Content-Type is text/plain: it must be application/x-protobuf or"),
    ("POST", "/v1/logs", "application/json", 400, "the body cannot be decoded: "),
]


def test_a_wrong_request_is_told_with_the_remedy() -> None:
    with started() as (view, url):
        for method, path, content_type, status, told in WRONG:
            body = b"{]" if method == "POST" else None
            request = urllib.request.Request(url + path, body, {"Content-Type": content_type}, method=method)
            assert status_of(request) == status
            line = view.err.next() or ""
            assert line.startswith(f"otel-rs view: {method} {path} from 127.0.0.1 is refused, http {status}: {told}")
        assert view.end() == 0
        assert view.out.rest() == []


def test_a_flood_of_wrong_requests_is_a_few_lines() -> None:
    with started() as (view, url):
        for number in range(40):
            status_of(urllib.request.Request(f"{url}/{number}", b"", method="POST"))
        assert view.end() == 0
        lines = view.err.rest()
        assert len(lines) == 9
        assert lines[-1] == "otel-rs view: 32 more lines like the last ones left out"


def status_of(request: urllib.request.Request) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=DEADLINE) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def export(view_port: int, authority: str) -> grpc.StatusCode:
    options = [("grpc.default_authority", authority), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{view_port}", options) as channel:
        try:
            TraceServiceStub(channel).Export(a_trace(), timeout=DEADLINE, wait_for_ready=True)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def post_to_host(url: str, host: str) -> int:
    headers = {"Content-Type": "application/x-protobuf", "Host": host}
    return status_of(urllib.request.Request(f"{url}/v1/traces", a_trace().SerializeToString(), headers))


def test_a_page_with_a_rebound_name_gets_in_by_no_protocol() -> None:
    with started("--json") as (view, url):
        for host in ("evil.example", "localhost.evil.example:4318", "192.0.2.1"):
            assert post_to_host(url, host) == 403
            assert "is neither loopback nor what otel-rs view listens on; --allow-host" in (view.err.next() or "")
            assert export(view.grpc_port, host) is grpc.StatusCode.PERMISSION_DENIED
            assert f"the host {host.partition(':')[0]} is neither" in (view.err.next() or "")
        assert view.end() == 0
        assert view.out.rest() == []


def test_names_of_loopback_and_allowed_names_get_in() -> None:
    with started("--json", "--allow-host", "otel-view", "--allow-host", "Other.Example") as (view, url):
        for host in ("localhost", "LOCALHOST:4318", "127.0.0.1:1", "[::1]", "otel-view:4318", "other.example"):
            assert post_to_host(url, host) == 200
            assert export(view.grpc_port, host) is grpc.StatusCode.OK
        assert view.end() == 0
        assert len(view.out.rest()) == 12


def test_on_all_addresses_an_address_gets_in_and_a_name_does_not() -> None:
    with started("--json", "--http", "0.0.0.0:0") as (view, url):
        assert post_to_host(url, "192.0.2.1:4318") == 200
        assert post_to_host(url, "evil.example") == 403
        assert "--allow-host evil.example" in (view.err.next() or "")
        assert view.end() == 0
