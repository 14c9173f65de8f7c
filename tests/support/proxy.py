"""An HTTP proxy that knows one way only: to a receiver in the same process."""

from __future__ import annotations

import contextlib
import socket
import threading

from .receiver import DEADLINE_SECONDS, Receiver


class Proxy:
    """`with Proxy(receiver) as proxy`: `proxy.address` is host and port, `proxy.heads` what it was asked for."""

    def __init__(self, receiver: Receiver, credentials: bytes = b"", status: int = 407) -> None:
        """With `credentials` it wants these; without them, a `status` other than 407 is what it always answers."""
        self._credentials, self._status = credentials, status
        self._target = receiver.port
        self.heads: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *exception: object) -> None:
        # Wakes up the thread in `accept`.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                self._start(self._serve, client)

    def _start(self, target: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := client.recv(1)):
                return
            head += byte
        self.heads.append(head)
        if self._credentials not in head or (not self._credentials and self._status != 407):
            client.sendall(f"HTTP/1.1 {self._status} no\r\nContent-Length: 0\r\n\r\n".encode())
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self._target))
        self._open.append(server)
        if head.startswith(b"CONNECT "):
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            server.sendall(head)
        self._start(self._pass_on, client, server)
        self._pass_on(server, client)

    @staticmethod
    def _pass_on(reading: socket.socket, writing: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := reading.recv(65536):
                writing.sendall(data)
        with contextlib.suppress(OSError):
            writing.shutdown(socket.SHUT_RDWR)
        reading.close()
