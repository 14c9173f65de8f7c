"""An OTLP receiver in the test's own process, over HTTP and gRPC, that decodes with google's protobuf."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

DEADLINE_SECONDS = 30.0

GRPC_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def wait_until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """The first true value of ``condition``; an error that names ``what`` at the deadline."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s: {what}")
        pause.wait(0.005)
    return value


@dataclass
class Received:
    """One request as it arrived. Header names are in lower case."""

    message: ExportTraceServiceRequest
    headers: dict[str, str]
    path: str
    encoded_size: int


@dataclass
class Answer:
    """How the receiver answers; a gRPC receiver reads ``status`` as a ``grpc.StatusCode``."""

    status: Any
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Receiver:
    """Keeps what it was sent. ``answers`` are used up one a request, before it answers that all is well.

    A subclass serves a protocol.
    """

    endpoint: str
    protocol: str

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answers: list[Answer] = []
        self.silent = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def spans(self) -> list[Span]:
        with self._lock:
            requests = list(self.requests)
        return [
            span
            for request in requests
            for resource_spans in request.message.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    def wait_for_spans(self, count: int) -> list[Span]:
        wait_until(lambda: len(self.spans()) >= count, f"{len(self.spans())} of {count} spans have arrived")
        return self.spans()

    def fall_silent(self) -> None:
        """Takes requests from now on and never answers, until it is stopped."""
        self.silent.set()

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        message = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.requests.append(Received(message, headers, path, encoded_size))
            answer = self.answers.pop(0) if self.answers else None
        if self.silent.is_set():
            self._stopping.wait()
        return answer


class HttpReceiver(Receiver):
    protocol = "http"

    def __init__(self) -> None:
        super().__init__()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                encoded = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = gzip.decompress(encoded) if headers.get("content-encoding") == "gzip" else encoded
                answer = receiver._take(body, headers, self.path, len(encoded)) or Answer(200)
                body = (
                    answer.body
                    if answer.body or answer.status != 200
                    else ExportTraceServiceResponse().SerializeToString()
                )
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that goes away is no error here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.endpoint = f"{self.base}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_SECONDS)


class GrpcReceiver(Receiver):
    protocol = "grpc"

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(8)
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        handler = grpc.unary_unary_rpc_method_handler(self._export)
        _, service, method = GRPC_METHOD.split("/")
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self.base = self.endpoint = f"http://127.0.0.1:{self.port}"
        self._server.start()

    def _export(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        headers = dict(context.invocation_metadata())
        answer = self._take(body, headers, GRPC_METHOD, len(body))
        if answer:
            context.set_trailing_metadata(tuple(answer.headers.items()))
            if answer.status is not grpc.StatusCode.OK:
                context.abort(answer.status, answer.body.decode())
            return answer.body
        return ExportTraceServiceResponse().SerializeToString()

    def stop(self) -> None:
        self._stopping.set()
        self._server.stop(None).wait(DEADLINE_SECONDS)
        self._pool.shutdown()


def started(kind: type[Any]) -> Iterator[Any]:
    receiver = kind()
    try:
        yield receiver
    finally:
        receiver.stop()
