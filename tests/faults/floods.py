"""Collectors that send without end, all in one process beside the test's.

That process prints their ports, and ends when its input does.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

# So much is sent at once.
PIECE_BYTES = 65_536


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION, UNKNOWN = 0, 1, 4, 6, 8, 9, 250
END_HEADERS = 4
SETTLED = frame(SETTINGS, 0)
BEGUN = SETTLED + frame(HEADERS, 1, b"\x88", END_HEADERS)
CHUNKED = b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n"

# The protocol, what is sent first, and what is sent again and again.
FLOODS = {
    "100 Continue": ("http", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 with headers": ("http", b"", b"HTTP/1.1 103 Early Hints\r\n" + b"link: </x>\r\n" * 50 + b"\r\n"),
    "a header": ("http", b"HTTP/1.1 200 OK\r\nx: ", b"y"),
    "a body": ("http", b"HTTP/1.1 400 Bad\r\n\r\n", b"x"),
    "chunks of one byte": ("http", CHUNKED, b"1\r\nx\r\n"),
    "the length of a chunk": ("http", CHUNKED, b"0"),
    "trailers": ("http", CHUNKED + b"0\r\n", b"x: y\r\n"),
    "SETTINGS": ("grpc", SETTLED, frame(SETTINGS, 0)),
    "PING": ("grpc", SETTLED, frame(PING, 0, bytes(8))),
    "WINDOW_UPDATE": ("grpc", SETTLED, frame(WINDOW_UPDATE, 0, b"\0\0\0\1")),
    "unknown frames": ("grpc", SETTLED, frame(UNKNOWN, 0)),
    "interim answers": ("grpc", SETTLED, frame(HEADERS, 1, b"\x08\x03100" + b"\0\1x\1y" * 300, END_HEADERS)),
    "CONTINUATION": ("grpc", SETTLED + frame(HEADERS, 1, b"\x88"), frame(CONTINUATION, 1, b"\0\1x\1y")),
    "DATA": ("grpc", BEGUN, frame(DATA, 1, b"\0")),
}


@contextlib.contextmanager
def floods() -> Iterator[dict[str, tuple[str, str]]]:
    """By name, the protocol and endpoint of each."""
    command = [sys.executable, "-m", "tests.faults.floods"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ports = json.loads(process.stdout.readline())
        paths = {"http": "/v1/traces", "grpc": ""}
        yield {
            name: (protocol, f"http://127.0.0.1:{ports[name]}{paths[protocol]}")
            for name, (protocol, _, _) in FLOODS.items()
        }


def serve(listener: socket.socket, opening: bytes, again: bytes) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, opening, again), daemon=True).start()


def answer(connection: socket.socket, opening: bytes, again: bytes) -> None:
    piece = again * (PIECE_BYTES // len(again))
    with connection, contextlib.suppress(OSError):
        connection.recv(PIECE_BYTES)
        connection.sendall(opening)
        while True:
            connection.sendall(piece)


def main() -> None:
    ports = {}
    for name, (_, opening, again) in FLOODS.items():
        listener = socket.create_server(("127.0.0.1", 0))
        ports[name] = listener.getsockname()[1]
        threading.Thread(target=serve, args=(listener, opening, again), daemon=True).start()
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
