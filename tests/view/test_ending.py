"""How `otel-rs view` ends, or does not begin."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ..support.viewer import DEADLINE, ROOT_ID, View, a_trace, posix_only, post, started

pytestmark = posix_only


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_prints_pending_traces_and_ends_the_viewer(number: int) -> None:
    with started() as (view, url):
        orphan = a_trace()
        del orphan.resource_spans[0].scope_spans[0].spans[0]
        post(f"{url}/v1/traces", orphan.SerializeToString())
        assert view.end(number) == 0
        lines = view.out.rest()
        assert len(lines) == 2
        assert lines[1].endswith(f"(parent {ROOT_ID.hex()} elsewhere)")


def test_it_ends_quietly_when_its_output_pipe_is_closed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with started("--json", stdout=writer) as (view, url):
            post(f"{url}/v1/traces", a_trace().SerializeToString())
            assert view.process.wait(DEADLINE) == 0
    finally:
        os.close(writer)


def test_a_reader_that_goes_away_ends_it_while_nothing_is_printed() -> None:
    reader, writer = os.pipe()
    with started(stdout=writer) as (view, url):
        os.close(writer)
        with socket.create_connection(("127.0.0.1", view.grpc_port)), half_sent_request(url):
            os.close(reader)
            assert view.process.wait(DEADLINE) == 0


def test_it_ends_with_the_process_that_reads_it() -> None:
    command = f"{sys.executable} -m otel_rs.cli view --grpc off --http 127.0.0.1:0 | head -1"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as pipeline:
        assert pipeline.stderr
        url = "http://127.0.0.1:" + pipeline.stderr.readline().strip().rpartition(":")[2]
        post(f"{url}/v1/traces", a_trace().SerializeToString())
        out, err = pipeline.communicate(timeout=DEADLINE)
    assert out.startswith("trace ")
    assert err == ""


def test_a_terminal_that_goes_away_ends_it() -> None:
    reader, terminal = os.openpty()
    with started(stdout=terminal) as (view, _url):
        os.close(terminal)
        os.close(reader)
        assert view.process.wait(DEADLINE) == 0


@contextmanager
def half_sent_request(url: str) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        yield


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_open_connections(number: int) -> None:
    with started() as (view, url), socket.create_connection(("127.0.0.1", view.grpc_port)), half_sent_request(url):
        begin = time.monotonic()
        assert view.end(number) == 0
        assert time.monotonic() - begin < 10  # The half-sent request alone is waited for longer.


def test_without_an_output_it_does_not_begin() -> None:
    command = [sys.executable, "-m", "otel_rs.cli", "view", "--grpc", "off", "--http", "127.0.0.1:0"]
    view = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True, timeout=DEADLINE
    )
    assert (view.returncode, view.stderr) == (1, "otel-rs view: stdout is closed: there is nowhere to print to\n")


def test_an_address_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        view = View(http=address)
        assert view.process.wait(DEADLINE) == 1
    assert view.err.rest() == [f"otel-rs view: cannot listen on http {address}: address in use"]
    assert view.out.rest() == []


@pytest.mark.parametrize("address", ["0", ":0", "127.0.0.1:0"])
def test_a_port_alone_is_one_of_loopback(address: str) -> None:
    view = View(http=address)
    view.port("grpc")
    assert re.fullmatch(r"otel-rs view: listening on http 127\.0\.0\.1:\d+", view.err.next() or "")
    assert view.end() == 0


@pytest.mark.parametrize("address", ["localhost", "localhost:x", "localhost:65536", "65536", ":", "\u0664"])
def test_an_invalid_address_prints_the_usage(address: str) -> None:
    view = View(http=address)
    assert view.process.wait(DEADLINE) == 2
    assert f"{address!r} is neither PORT nor HOST:PORT nor 'off'" in view.err.rest()[-1]
    assert view.out.rest() == []
