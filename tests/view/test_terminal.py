"""Nothing of a peer does anything to the terminal: Python's Unicode tables judge what `otel-rs view` writes."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..support.viewer import DEADLINE, posix_only, post, started, with_ids_in_base64

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


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_nothing_of_a_peer_controls_the_terminal(options: list[str]) -> None:
    reader, terminal = os.openpty()
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
    colours = r"\x1b\[(?:0|1|31)m"
    assert [c for c in re.sub(colours, "", text) if c not in "\r\n" and is_hidden(c)] == []
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


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_colours_gets_none(environment: dict[str, str]) -> None:
    reader, terminal = os.openpty()
    with started(stdout=terminal, environment={"NO_COLOR": "", "TERM": "xterm", **environment}) as (view, url):
        os.close(terminal)
        post(f"{url}/v1/logs", dict(filled(EVIL))["logs"].SerializeToString())
        assert view.end() == 0
        text = os.read(reader, 65536)
    os.close(reader)
    assert text.startswith(b"logs  ")
    assert b"\x1b" not in text
