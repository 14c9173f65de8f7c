"""A TCP port in front of a receiver, which forwards data or misbehaves on demand."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from ..support.receiver import DEADLINE_SECONDS

Serve = Callable[["Gate", socket.socket], None]


class Gate:
    """Listens from `open` to `close`, and can be opened again; while closed, it refuses connections.

    `serve` handles each accepted connection; the default is `forward`.
    """

    def __init__(self, target: int, serve: Serve | None = None, *, receive_buffer: int = 0) -> None:
        self._target = target
        self.serve: Serve = serve or forward
        self.stopping = threading.Event()
        self.accepted = 0
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        # The closed gate keeps its port number, so that it can listen there again.
        self._listener.bind(("127.0.0.1", self.port))
        self._acceptor: threading.Thread | None = None

    def open(self) -> None:
        self._listener.listen()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def listen_without_accepting(self) -> None:
        """Connections after the first two are neither accepted nor refused."""
        self._listener.listen(0)
        for _ in range(2):
            waiting = socket.socket()
            self._keep(waiting)
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(("127.0.0.1", self.port))

    def close(self) -> None:
        """Refuses new connections, and resets the existing ones."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if self._acceptor:
            self._acceptor.join(DEADLINE_SECONDS)
            self._acceptor = None
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            reset(connection)

    def stop(self) -> None:
        self.stopping.set()
        self.close()
        self._listener.close()

    def connect(self) -> socket.socket:
        """Opens a connection to the receiver."""
        connection = socket.create_connection(("127.0.0.1", self._target), DEADLINE_SECONDS)
        connection.settimeout(None)
        self._keep(connection)
        return connection

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._keep(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # The other side may disconnect at any time.
        with contextlib.suppress(OSError):
            self.serve(self, connection)
        self.release(connection)

    def release(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)
        connection.close()


@contextlib.contextmanager
def gate(target: int, serve: Serve | None = None, *, receive_buffer: int = 0) -> Iterator[Gate]:
    made = Gate(target, serve, receive_buffer=receive_buffer)
    try:
        yield made
    finally:
        made.stop()


# --- What happens to a connection ------------------------------------------------------------------------------------


def reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes up the threads that wait for the socket; close alone does not.
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def pass_on(source: socket.socket, sink: socket.socket, pace: Callable[[bytes], Iterator[bytes]] | None = None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            for part in pace(data) if pace else (data,):
                sink.sendall(part)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def forward(gate: Gate, connection: socket.socket, pace: Callable[[bytes], Iterator[bytes]] | None = None) -> None:
    receiver = gate.connect()
    answers = threading.Thread(target=pass_on, args=(receiver, connection, pace), daemon=True)
    answers.start()
    pass_on(connection, receiver)
    answers.join(DEADLINE_SECONDS)
    gate.release(receiver)


def answer_byte_by_byte(pause: float) -> Serve:
    """Sends the receiver's answers byte by byte, with this pause between bytes."""

    def serve(gate: Gate, connection: socket.socket) -> None:
        def pace(data: bytes) -> Iterator[bytes]:
            for byte in data:
                gate.stopping.wait(pause)
                yield bytes([byte])

        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        forward(gate, connection, pace)

    return serve


# An endless HTTP header; for HTTP/2, SETTINGS followed by endless PINGs.
ENDLESS = {
    "http": (b"HTTP/1.1 200 OK\r\nx-slow: ", b"x"),
    "grpc": (b"\0\0\0\4\0\0\0\0\0", b"\0\0\10\6\0\0\0\0\0\1\2\3\4\5\6\7\10"),
}


def answer_without_end(protocol: str, pause: float) -> Serve:
    """Sends bytes one by one, so that data arrive all the time, but never an answer."""

    def serve(gate: Gate, connection: socket.socket) -> None:
        begin, again = ENDLESS[protocol]
        connection.recv(1)
        threading.Thread(target=swallow, args=(gate, connection), daemon=True).start()
        data = begin
        while not gate.stopping.is_set():
            for byte in data:
                gate.stopping.wait(pause)
                connection.sendall(bytes([byte]))
            data = again

    return serve


def swallow(_: Gate, connection: socket.socket) -> None:
    """Reads everything, and never answers."""
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass


# HTTP/2's SETTINGS with the largest initial window, and a WINDOW_UPDATE for the connection, so that a client sends all.
SEND_ALL = b"\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff" + b"\0\0\4\10\0\0\0\0\0\x7f\xff\0\0"


def read_nothing(protocol: str) -> Serve:
    """Reads nothing, so that requests fill the socket buffers."""

    def serve(gate: Gate, connection: socket.socket) -> None:
        if protocol == "grpc":
            connection.sendall(SEND_ALL)
        gate.stopping.wait()

    return serve


def reset_at_once(_: Gate, connection: socket.socket) -> None:
    connection.recv(10)
    reset(connection)
