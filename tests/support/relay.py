"""A relay between a program and its receiver that can delay, cut and close connections."""

from __future__ import annotations

import contextlib
import socket
import threading

from .receiver import DEADLINE_SECONDS, Receiver


class Relay:
    """`with Relay(receiver) as relay`: forwards connections to `relay.endpoint` to the receiver."""

    def __init__(self, receiver: Receiver, pass_bytes: int | None = None, delay_seconds: float = 0) -> None:
        """`pass_bytes` limits the bytes of each connection that the relay forwards to the receiver; `delay_seconds`
        delays each connection."""
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
        # Set when a connection has reached `pass_bytes`.
        self.stuck = threading.Event()
        # The pieces of the answers that the relay sent back to the clients.
        self.passed_back = 0
        # Connections that were accepted, and those that the client has closed.
        self.accepted = 0
        self.closed_by_clients = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *exception: object) -> None:
        self._leaving.set()
        # Wakes up the thread in `accept`.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.answers.set()
        self.close_connections()
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)

    def close_connections(self) -> None:
        """Closes all current connections on both sides; later connections are forwarded."""
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
            self.accepted += 1
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
                    # Waits until the client disconnects, or the relay closes the connection.
                    while client.recv(65536):
                        pass
                    break
                passed += len(data)
                server.sendall(data)
            else:
                self.closed_by_clients += 1
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
