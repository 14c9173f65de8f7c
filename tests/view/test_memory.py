"""`otel-rs view` holds a bounded amount of memory, whatever peers send and however slowly anybody reads."""

from __future__ import annotations

import contextlib
import gzip
import os
import threading
import urllib.error
import zlib
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..support.viewer import DEADLINE, post, started

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from Linux's /proc")

MEBIBYTE = 1 << 20


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(path: list[int], body: bytes) -> bytes:
    for number in reversed(path):
        body = varint(number << 3 | 2) + varint(len(body)) + body
    return body


FLOODS = {
    "spans": ("traces", "application/x-protobuf", field([1, 2], field([2], b"") * (7 * MEBIBYTE))),
    "resources": ("logs", "application/x-protobuf", field([1], b"") * (7 * MEBIBYTE)),
    "data points": ("metrics", "application/x-protobuf", field([1, 2, 2, 5], field([1], b"") * (7 * MEBIBYTE))),
    "attributes": (
        "traces",
        "application/json",
        b'{"resourceSpans":[{"resource":{"attributes":[%b]}}]}' % b",".join([b"{}"] * (5 * MEBIBYTE)),
    ),
    "unknown values": (
        "logs",
        "application/json",
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"unknown":[%b]}}]}]}]}'
        % b",".join([b"1"] * (7 * MEBIBYTE)),
    ),
}
COMPRESSIONS = {"gzip": lambda body: gzip.compress(body, 1), "deflate": lambda body: zlib.compress(body, 1)}


def test_a_small_request_that_decodes_to_much_is_refused() -> None:
    with started() as (view, url):
        before = view.peak_mebibytes()
        for number, (signal_name, content_type, body) in enumerate(FLOODS.values()):
            coding = list(COMPRESSIONS)[number % 2]
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(
                    f"{url}/v1/{signal_name}",
                    COMPRESSIONS[coding](body),
                    Content_Type=content_type,
                    Content_Encoding=coding,
                )
            with refused.value as response:
                assert response.code == 413
        # The decompressed request, while it was measured.
        assert view.peak_mebibytes() - before < 60
        assert view.end() == 0
        told = view.err.rest()
        assert len(told) >= 3
        assert all("http 413: the decoded request is larger than 67108864 bytes" in line for line in told[:3])


def many_spans(number: int, *, waiting: bool) -> bytes:
    """In memory some 20 or 40 MiB, each request with traces of its own."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for index in range(30_000 if waiting else 65_000):
        identity = (number * 100_000 + index + 1).to_bytes(16, "big")
        spans.add(trace_id=identity, span_id=b"1" * 8, parent_span_id=b"2" * 8, flags=0x101 if waiting else 0)
    return request.SerializeToString()


def test_traces_that_wait_for_their_parents_are_bounded() -> None:
    with started() as (view, url):
        before = view.peak_mebibytes()
        for number in range(4):
            post(f"{url}/v1/traces", many_spans(number, waiting=True))
        assert view.peak_mebibytes() - before < 150


def test_requests_that_wait_for_a_reader_are_bounded() -> None:
    reader, writer = os.pipe()
    with started("--json", stdout=writer) as (view, url):
        before = view.peak_mebibytes()
        body = gzip.compress(many_spans(0, waiting=False), 1)
        peers = [threading.Thread(target=give_up_waiting, args=(url, body), daemon=True) for _ in range(12)]
        for peer in peers:
            peer.start()
        for peer in peers:
            peer.join(DEADLINE)
        assert view.peak_mebibytes() - before < 150
    os.close(reader)
    os.close(writer)


def give_up_waiting(url: str, body: bytes) -> None:
    with contextlib.suppress(OSError):
        post(f"{url}/v1/traces", body, timeout=2, Content_Encoding="gzip")


def test_a_request_that_is_longer_when_it_is_escaped_is_printed_piece_by_piece() -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="\x01" * (10 * MEBIBYTE))
    with started("--json") as (view, url):
        before = view.peak_mebibytes()
        post(f"{url}/v1/traces", gzip.compress(request.SerializeToString(), 1), Content_Encoding="gzip")
        assert len(view.out.next() or "") > 60 * MEBIBYTE
        assert view.peak_mebibytes() - before < 60
        assert view.end() == 0
