"""Nothing of a peer does anything to the terminal: Python's Unicode tables judge what `otel-rs view` writes."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import threading
import unicodedata
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..support.viewer import DEADLINE, a_trace, posix_only, post, started, with_ids_in_base64

pytestmark = posix_only

# Not of the category Other, and not seen all the same: separators, fillers, joiners, variation selectors.
INVISIBLE = "\u2028\u2029\u034f\u115f\u1160\u17b4\u17b5\u180b\u180e\u2800\u3164\ufe0f\uffa0\U000e0100"
EVIL = (
    "\x1b]0;title\x07\x1b[2J\x7f\x9b31m\x85\u202e\u2066\u2069\u200b\u200d\u200e\u2060\u00ad\ufeff\u061c\U000e0041"
    + "\U000f0000\ue000\ufdd0\r\n\t\0"
    + INVISIBLE
)


def is_hidden(character: str) -> bool:
    return unicodedata.category(character)[0] == "C" or character in INVISIBLE


def fill(message: Message, text: str, depth: int = 0) -> None:
    """Puts the text into every string, and into everything that can hold one."""
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                getattr(message, field.name).append(text)
            elif not field.containing_oneof or field.name == "string_value":
                setattr(message, field.name, text)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and depth < 9:
            part = getattr(message, field.name)
            is_value = field.message_type.full_name.endswith((".ArrayValue", ".KeyValueList"))
            if field.is_repeated:
                fill(part.add(), text, depth + 1)
            elif not is_value:
                part.SetInParent()
                fill(part, text, depth + 1)
        elif field.type == FieldDescriptor.TYPE_BYTES and not field.containing_oneof:
            setattr(message, field.name, b"\x1b[2J")


REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


def filled(text: str) -> Iterator[tuple[str, Any]]:
    for name, kind in REQUESTS.items():
        request = kind()
        fill(request, text)
        if name == "traces":
            request.resource_spans[0].resource.attributes.add(key="service.name").value.string_value = text
            exception = request.resource_spans[0].scope_spans[0].spans[0].events.add(name="exception")
            exception.attributes.add(key="exception.message").value.string_value = text
        yield name, request


def a_terminal(columns: int, rows: int = 24) -> tuple[int, int]:
    import fcntl
    import termios

    reader, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return reader, terminal


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_nothing_of_a_peer_controls_the_terminal(options: list[str]) -> None:
    reader, terminal = a_terminal(columns=1000)
    shown: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(reader, 65536):
                shown.append(part)
        except OSError:  # EIO: the terminal was closed at the other end.
            pass

    with started(*options, stdout=terminal) as (view, url):
        os.close(terminal)
        reading = threading.Thread(target=read)
        reading.start()
        # Short, so that the tree does not cut them.
        texts = [EVIL[start : start + 5] for start in range(0, len(EVIL), 5)]
        requests = [named for text in texts for named in filled(text)]
        for name, request in requests:
            post(f"{url}/v1/{name}", request.SerializeToString())
        assert view.end() == 0
        reading.join(DEADLINE)
    os.close(reader)
    text = b"".join(shown).decode()
    colours = r"\x1b\[(?:0|1|2|31|33|36)m"
    own = rf"{colours}|\x1b\[\d+A\x1b\[J"  # and what the table of metrics is drawn in place with
    assert [c for c in re.sub(own, "", text) if c not in "\r\n" and is_hidden(c)] == []
    if options:
        for line, (name, request) in zip(text.splitlines(), requests, strict=True):
            assert json_format.ParseDict(with_ids_in_base64(json.loads(line)), REQUESTS[name]()) == request
    else:
        assert re.search(colours, text)
        assert all(f"\\u{{{ord(character):x}}}" in text for character in INVISIBLE)


def test_nothing_of_a_peer_reaches_the_terminal_by_an_error() -> None:
    evil = "\x9b\u202e\u200b".encode()
    with started() as (view, url):
        port = int(url.rpartition(":")[2])
        for request in (
            b"POST /v1/%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" % evil,
            b"POST /v1/%1b]0;x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            b"POST /v1/logs HTTP/1.1\r\nHost: %b\r\nContent-Length: 0\r\n\r\n" % evil,
            b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nContent-Length: 0\r\n\r\n" % evil,
            b"\x1b]0;title\x07\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
                connection.sendall(request)
                assert connection.recv(12).startswith(b"HTTP/1.1 4")
        body = json.dumps({"resourceSpans": EVIL}, ensure_ascii=False).encode()
        with pytest.raises(Exception, match="400"):
            post(f"{url}/v1/traces", body, Content_Type="application/json")
        assert view.end() == 0
        lines = view.err.rest()
    assert len(lines) >= 5
    assert [c for c in "".join(lines) if is_hidden(c)] == []


PLAIN_ENVIRONMENT = {"NO_COLOR": "", "FORCE_COLOR": "", "TERM": "xterm"}


def shown_on_a_terminal(requests: dict[str, bytes], columns: int = 80, **environment: str) -> str:
    reader, terminal = a_terminal(columns)
    with started(stdout=terminal, environment=PLAIN_ENVIRONMENT | environment) as (view, url):
        os.close(terminal)
        for name, request in requests.items():
            post(f"{url}/v1/{name}", request)
        assert view.end() == 0
        text = os.read(reader, 65536).decode()
    os.close(reader)
    return text.replace("\r\n", "\n")


LOGS = {"logs": dict(filled(EVIL))["logs"].SerializeToString()}
COLOURS = {
    "a terminal": ({}, True),
    "NO_COLOR": ({"NO_COLOR": "1"}, False),
    "TERM=dumb": ({"TERM": "dumb"}, False),
    "FORCE_COLOR on a dumb one": ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    "NO_COLOR and FORCE_COLOR": ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
}


@pytest.mark.parametrize("name", COLOURS)
def test_a_terminal_gets_the_colours_that_are_wanted(name: str) -> None:
    environment, has_colours = COLOURS[name]
    assert ("\x1b" in shown_on_a_terminal(LOGS, **environment)) == has_colours


@pytest.mark.parametrize(("force", "has_colours"), [("", False), ("1", True)])
def test_a_pipe_gets_colours_where_they_are_forced(force: str, has_colours: bool) -> None:
    with started(environment=PLAIN_ENVIRONMENT | {"FORCE_COLOR": force}) as (view, url):
        post(f"{url}/v1/logs", LOGS["logs"])
        assert view.end() == 0
        assert ("\x1b" in "".join(view.out.rest())) == has_colours


@pytest.mark.parametrize("columns", [60, 100])
def test_a_trace_is_a_waterfall_as_wide_as_the_terminal(columns: int) -> None:
    text = shown_on_a_terminal({"traces": a_trace().SerializeToString()}, columns, NO_COLOR="1")
    header, root, child = text.splitlines()
    assert header.startswith("trace 5b8a")
    assert max(map(len, (header, root, child))) == columns
    bar = "\u2588" * (columns // 4)
    assert f" {bar}  12.3 ms  SERVER  " in root
    # From 1.0 to 2.0 of 12.3 ms.
    begin = root.index(bar)
    width = len(bar)
    expected = " " * round(width / 12.3) + "\u2588" * (round(2 * width / 12.3) - round(width / 12.3))
    assert child[begin : begin + width] == expected.ljust(width)
    assert child[begin + width :].startswith("   1.0 ms  ERROR: boom")


def test_metrics_are_a_table_that_is_drawn_again_in_its_place() -> None:
    def counted(value: int) -> bytes:
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="queue.size", unit="{job}")
        metric.gauge.data_points.add(as_int=value).attributes.add(key="queue").value.string_value = "mail"
        return request.SerializeToString()

    reader, terminal = a_terminal(columns=80)
    with started(stdout=terminal, environment=PLAIN_ENVIRONMENT | {"NO_COLOR": "1"}) as (view, url):
        os.close(terminal)
        for value in (3, 7):
            post(f"{url}/v1/metrics", counted(value))
        post(f"{url}/v1/traces", a_trace().SerializeToString())
        with pytest.raises(urllib.error.HTTPError):
            post(f"{url}/v1/nothing", b"")
        assert "no such path" in (view.err.next() or "")
        assert view.end() == 0
        text = os.read(reader, 65536).decode().replace("\r\n", "\n")
    os.close(reader)
    frames = text.split("\x1b[2A\x1b[J")
    assert frames[0] == "metrics  1 series\nunknown_service  queue.size  3 job  \u2581             queue=mail\n"
    assert frames[1] == "metrics  1 series\nunknown_service  queue.size  7 job  \u2581\u2588            queue=mail\n"
    assert frames[-1].startswith("trace 5b8a")
    assert frames[-1].endswith(frames[1])
