"""The server of `otel-rs view --web`: what it answers, and whom."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..support.viewer import DEADLINE, ROOT_ID, TRACE_ID, View, a_trace, posix_only, post, started_web
from .test_filters import logs, metrics, traces

pytestmark = posix_only


def get(url: str, timeout: float = DEADLINE, **headers: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)


def ask(url: str, path: str) -> Any:
    with get(f"{url}/api/{path}") as response:
        assert response.headers["Content-Type"] == "application/json"
        return json.load(response)


FILES = {"": "text/html; charset=utf-8", "page.css": "text/css; charset=utf-8"}
FILES |= {"page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}


def test_what_it_serves_may_load_nothing_from_elsewhere() -> None:
    with started_web() as (view, page, _url):
        for path, media_type in FILES.items():
            with get(f"{page}/{path}") as response:
                text = response.read().decode()
                assert response.headers["Content-Type"] == media_type
                policy = response.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
                assert "unsafe" not in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert response.headers["Cache-Control"] == "no-store"
                assert "Access-Control-Allow-Origin" not in response.headers
            assert "https://" not in text
            assert text.count("http://") == text.count("http://www.w3.org/2000/svg")
            assert "innerHTML" not in text
        assert view.end() == 0
        assert view.out.rest() == []


def test_traces_metrics_and_logs_are_kept() -> None:
    with started_web() as (view, page, url):
        for name, body in (("traces", traces()), ("metrics", metrics()), ("logs", logs())):
            post(f"{url}/v1/{name}", body)
        post(f"{url}/v1/traces", a_trace().SerializeToString())
        records = ExportLogsServiceRequest()
        record = records.resource_logs.add().scope_logs.add().log_records.add(trace_id=TRACE_ID, span_id=ROOT_ID)
        record.body.string_value = "of the root"
        post(f"{url}/v1/logs", records.SerializeToString())

        listed = ask(page, "traces")
        assert [item["name"] for item in listed["items"]] == ["GET /server_request", "nightly", "GET /Orders"]
        assert listed["items"][0] | {"start_millis": 0} == {
            "id": TRACE_ID.hex(),
            "name": "GET /server_request",
            "services": ["my-service"],
            "spans": 2,
            "logs": 1,
            "errors": 1,
            "start_millis": 0,
            "duration_micros": 12_300,
        }
        assert listed["services"] == ["jobs", "mail", "my-service", "shop"]
        root, child = ask(page, f"traces/{TRACE_ID.hex()}")["spans"]
        assert (root["name"], root["depth"], child["name"], child["depth"]) == ("GET /server_request", 0, "render", 1)
        assert root["attributes"] == [["http.request.method", "GET"], ["http.response.status_code", "200"]]
        assert [record["text"] for record in root["logs"]] == ["of the root"]
        assert (child["offset_micros"], child["duration_micros"]) == (1_000, 1_000)
        assert (child["status"], child["message"]) == ("ERROR", "boom")
        assert [item["text"] for item in ask(page, "logs")["items"]] == ["text", "text"]
        (series,) = ask(page, "metrics")["items"]
        assert (series["service"], series["name"], series["value"]) == ("shop", "m", "1")
        assert ask(page, "traces/00") is None
        assert view.end() == 0


def test_the_filters_of_the_list() -> None:
    with started_web() as (view, page, url):
        post(f"{url}/v1/traces", traces())

        def names(query: str) -> list[str]:
            return [item["name"] for item in ask(page, f"traces?{query}")["items"]]

        assert names("service=mail") == ["GET /Orders"]
        assert names("name=GET%20%2F") == ["GET /Orders"]
        assert names("min_millis=301") == ["nightly"]
        assert names("errors=1&min_millis=&name=&service=") == ["GET /Orders"]
        assert names("service=jobs&errors=1") == []
        assert view.end() == 0


def test_a_question_waits_until_there_is_something_new() -> None:
    with started_web() as (view, page, url):
        post(f"{url}/v1/traces", traces())
        version = ask(page, "traces")["version"]
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(ask(page, f"traces?after={version}")))
        asking.start()
        asking.join(0.5)
        assert asking.is_alive()
        post(f"{url}/v1/traces", a_trace().SerializeToString())
        asking.join(DEADLINE)
        assert answers[0]["version"] > version
        assert len(answers[0]["items"]) == 3
        assert view.end() == 0


def test_a_signal_ends_it_while_a_question_waits() -> None:
    with started_web() as (view, page, _url):
        port = int(page.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
            connection.sendall(b"GET /api/traces?after=9 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert view.end() == 0


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"])
@pytest.mark.parametrize("path", ["", "api/traces"])
def test_a_name_that_was_rebound_is_turned_away(host: str, path: str) -> None:
    with started_web() as (view, page, _url):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{page}/{path}", Host=host)
        with refused.value as response:
            assert response.code == 403
            assert "Content-Security-Policy" in response.headers
        assert "is neither loopback nor what otel-rs view listens on" in (view.err.next() or "")
        with get(f"{page}/{path}", Host=f"localhost:{page.rpartition(':')[2]}"):
            pass
        assert view.end() == 0


def test_it_takes_no_telemetry_and_changes_nothing() -> None:
    with started_web() as (view, page, _url):
        with pytest.raises(urllib.error.HTTPError, match="405"):
            post(f"{page}/v1/traces", traces())
        assert "only GET" in (view.err.next() or "")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{page}/../page.js%00")
        assert "no such page" in (view.err.next() or "")
        assert view.end() == 0


def test_what_has_no_room_goes_and_is_counted() -> None:
    with started_web() as (view, page, url):
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for number in range(1_500):
            spans.add(trace_id=number.to_bytes(16, "big"), span_id=b"1" * 8, name=f"span {number}")
        post(f"{url}/v1/traces", request.SerializeToString())
        listed = ask(page, "traces")
        assert listed["dropped_traces"] == 500
        assert (len(listed["items"]), listed["more"]) == (200, 800)
        assert listed["items"][0]["name"] == "span 1499"
        assert view.end() == 0


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def test_a_port_in_use_is_one_clear_line() -> None:
    with taken_port() as port:
        view = View("--web", str(port))
        assert view.process.wait(DEADLINE) == 1
    assert view.err.rest() == [f"otel-rs view: cannot listen on web 127.0.0.1:{port}: address in use"]
