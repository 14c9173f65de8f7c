"""Between a program and its receiver: it holds back, cuts off, and closes connections on demand."""

from __future__ import annotations

import contextlib
import socket
import threading

from .receiver import DEADLINE_SECONDS, Receiver


class Relay:
    """`with Relay(receiver) as relay`: what arrives at `relay.endpoint` goes to the receiver and back."""

    def __init__(self, receiver: Receiver, pass_bytes: int | None = None, delay_seconds: float = 0) -> None:
        """With `pass_bytes`, no more than these of each connection get through to the receiver; with `delay_seconds`,
        a connection is made that much later."""
        self._target = receiver.port
        self.pass_bytes = pass_bytes
        self._delay_seconds = delay_seconds
        self._leaving = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.endpoint = receiver.endpoint.replace(str(receiver.port), str(self.port))
        self.protocol = receiver.protocol
        self.answers = threading.Event()
        self.answers.set()
        # Set once a connection has got through what may pass.
        self.stuck = threading.Event()
        # Answers that went back to the clients, in pieces as they came.
        self.passed_back = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *exception: object) -> None:
        self._leaving.set()
        # Wakes the thread in `accept`.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.answers.set()
        self.close_connections()
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)

    def close_connections(self) -> None:
        """Closes all there are, on both sides; later ones get through."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                self._leaving.wait(self._delay_seconds)
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [client, server]
            for thread in (
                threading.Thread(target=self._to_server, args=(client, server), daemon=True),
                threading.Thread(target=self._to_client, args=(server, client), daemon=True),
            ):
                self._threads.append(thread)
                thread.start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self.pass_bytes is not None and passed + len(data) >= self.pass_bytes:
                    server.sendall(data[: self.pass_bytes - passed])
                    self.stuck.set()
                    # Until the client is gone, or is sent away.
                    while client.recv(65536):
                        pass
                    break
                passed += len(data)
                server.sendall(data)
        self._end(client, server)

    def _to_client(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                self.answers.wait(DEADLINE_SECONDS)
                client.sendall(data)
                self.passed_back += 1
        self._end(server, client)

    @staticmethod
    def _end(reading: socket.socket, writing: socket.socket) -> None:
        with contextlib.suppress(OSError):
            writing.shutdown(socket.SHUT_RDWR)
        reading.close()
