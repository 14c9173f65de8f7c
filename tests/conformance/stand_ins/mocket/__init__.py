"""Replaces the package of this name, which patches Python's sockets and so has no effect on native code. Here a real
server answers on the port, and the tests see what it receives.

It has what upstream's exporter tests use, and accepts only this host.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

# The default of OTLP/HTTP, and the only one that the tests use on this host.
PORT = 4318


class Request(NamedTuple):
    method: str
    path: str
    # Names in lower case.
    headers: dict[str, str]
    body: bytes


class Mocket:
    """The requests received since the latest ``Mocketizer`` was entered."""

    _requests: list[Request] = []  # noqa: RUF012  # the class is what the tests ask

    @classmethod
    def request_list(cls) -> list[Request]:
        return list(cls._requests)

    @classmethod
    def last_request(cls) -> Request | None:
        return cls._requests[-1] if cls._requests else None


class Mocketizer:
    """While entered, serves the registered responses on ``PORT``, and 404 for all other requests, so that an unwanted
    request is detected."""

    _entered: Mocketizer | None = None

    def __enter__(self) -> Mocketizer:
        Mocket._requests = []
        self._waiting: dict[str, list[Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", PORT), self._handler())
        self._server.daemon_threads = True
        # Keep-alive connections end with the client.
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        Mocketizer._entered = self
        return self

    def __exit__(self, *_exception: object) -> None:
        Mocketizer._entered = None
        self._server.shutdown()
        self._server.server_close()

    def register(self, url: str, responses: list[Any]) -> None:
        """Registers responses to use in order; the last one repeats. An exception means a lost connection."""
        parts = urlsplit(url)
        if (parts.hostname, parts.port) != ("localhost", PORT):
            raise ValueError(f"no server can stand in for {url}")
        self._waiting[parts.path] = list(responses)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        waiting = self._waiting

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                Mocket._requests.append(Request(self.command, self.path, headers, body))
                responses = waiting.get(self.path)
                if not responses:
                    self._respond(404, {})
                    return
                response = responses.pop(0) if len(responses) > 1 else responses[0]
                if isinstance(response, Exception):
                    self.close_connection = True
                else:
                    self._respond(response.status, response.headers)

            def _respond(self, status: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"content-length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Keeps quiet."""

        return Handler


def mocketize(test: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: runs a test inside a ``Mocketizer``."""

    @functools.wraps(test)
    def within(*args: Any, **kwargs: Any) -> Any:
        with Mocketizer():
            return test(*args, **kwargs)

    return within
