"""An OTLP receiver in the test's own process, over HTTP and gRPC, that decodes with google's protobuf."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

try:
    import grpc
except ImportError:
    grpc = None

DEADLINE_SECONDS = 30.0

HTTP_PATHS = {signal: f"/v1/{signal}" for signal in ("traces", "metrics", "logs")}
GRPC_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
GRPC_METHOD = GRPC_METHODS["traces"]
MESSAGES: dict[str, Any] = {"metrics": ExportMetricsServiceRequest, "logs": ExportLogsServiceRequest}


def with_base64_ids(body: bytes) -> str:
    """Converts OTLP/JSON to protobuf's JSON mapping, which does not support hexadecimal ids."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        return {
            name: base64.b64encode(bytes.fromhex(value)).decode()
            if name in ("traceId", "spanId", "parentSpanId")
            else value
            for name, value in items
        }

    return json.dumps(json.loads(body, object_pairs_hook=pairs))


def message_at(path: str) -> Any:
    """The request class for the end of the path; for an unknown path, that of traces."""
    for signal, message in MESSAGES.items():
        if path == GRPC_METHODS[signal] or path.endswith(HTTP_PATHS[signal]):
            return message
    return ExportTraceServiceRequest


def wait_until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """Waits for the first true value of ``condition``; at the deadline raises an error that names ``what``."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s: {what}")
        pause.wait(0.005)
    return value


@dataclass
class Received:
    """One received request. Header names are in lower case."""

    message: Any
    headers: dict[str, str]
    path: str
    encoded_size: int


@dataclass
class Answer:
    """How the receiver answers; a gRPC receiver reads ``status`` as a ``grpc.StatusCode``."""

    status: Any
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


DECODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


class Receiver:
    """Keeps the requests that it receives. Each request uses up one of ``answers``; after the last, it answers success.

    There is a subclass for each protocol.
    """

    base: str
    endpoint: str
    protocol: str

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answers: list[Answer] = []
        self.silent = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def endpoint_of(self, signal: str) -> str:
        """The `endpoint` argument for an exporter of the signal."""
        return self.base + HTTP_PATHS[signal] if self.protocol == "http" else self.base

    def _messages(self, kind: type[Any]) -> list[Any]:
        with self._lock:
            return [request.message for request in self.requests if isinstance(request.message, kind)]

    def spans(self) -> list[Span]:
        return [
            span
            for message in self._messages(ExportTraceServiceRequest)
            for resource_spans in message.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    def metrics(self) -> list[Metric]:
        return [
            metric
            for message in self._messages(ExportMetricsServiceRequest)
            for resource_metrics in message.resource_metrics
            for scope_metrics in resource_metrics.scope_metrics
            for metric in scope_metrics.metrics
        ]

    def log_records(self) -> list[LogRecord]:
        return [
            record
            for message in self._messages(ExportLogsServiceRequest)
            for resource_logs in message.resource_logs
            for scope_logs in resource_logs.scope_logs
            for record in scope_logs.log_records
        ]

    def wait_for_spans(self, count: int) -> list[Span]:
        wait_until(lambda: len(self.spans()) >= count, f"{len(self.spans())} of {count} spans have arrived")
        return self.spans()

    def fall_silent(self) -> None:
        """From now on accepts requests and never answers, until it is stopped."""
        self.silent.set()

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        kind = message_at(path)
        if headers.get("content-type") == "application/json":
            message = json_format.Parse(with_base64_ids(body), kind())
        else:
            message = kind.FromString(body)
        with self._lock:
            self.requests.append(Received(message, headers, path, encoded_size))
            answer = self.answers.pop(0) if self.answers else None
        if self.silent.is_set():
            self._stopping.wait()
        return answer


@dataclass(frozen=True)
class ServerTls:
    """TLS files of a receiver; with `clients`, it requires client certificates signed by that authority."""

    certificate: Path
    key: Path
    clients: Path | None = None


class HttpReceiver(Receiver):
    protocol = "http"

    def __init__(self, tls: ServerTls | None = None) -> None:
        super().__init__()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                encoded = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = DECODERS.get(headers.get("content-encoding", ""), bytes)(encoded)
                answer = receiver._take(body, headers, self.path, len(encoded)) or Answer(200)
                # The default is the empty message, which means success.
                body = answer.body
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
            # As servers have it: with Python's 5 the system refuses connections that come together.
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Ignores clients that disconnect."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            if tls.clients:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(tls.clients)
            # The handshake is not in the thread that accepts connections, so that a failed one does not stop it.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self.base = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
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

    def __init__(self, tls: ServerTls | None = None, also: tuple[str, ...] = ()) -> None:
        """`also`: more addresses to listen at, without TLS; `ports` has the port of each."""
        super().__init__()
        if grpc is None:
            pytest.skip("grpc is not installed")
        self._pool = ThreadPoolExecutor(8)
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        for path in GRPC_METHODS.values():
            self._serve(path)
        if tls:
            pair = tls.key.read_bytes(), tls.certificate.read_bytes()
            clients = tls.clients and tls.clients.read_bytes()
            credentials = grpc.ssl_server_credentials([pair], clients, require_client_auth=bool(clients))
            self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        self.ports = {address: self._server.add_insecure_port(address) for address in also}
        self.base = self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._server.start()

    def _serve(self, path: str) -> None:
        handler = grpc.unary_unary_rpc_method_handler(lambda body, context: self._export(path, body, context))
        _, service, method = path.split("/")
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))

    def _export(self, path: str, body: bytes, context: grpc.ServicerContext) -> bytes:
        headers = dict(context.invocation_metadata())
        answer = self._take(body, headers, path, len(body))
        if answer:
            context.set_trailing_metadata(tuple(answer.headers.items()))
            if answer.status is not grpc.StatusCode.OK:
                context.abort(answer.status, answer.body.decode())
            return answer.body
        # The empty message means success.
        return b""

    def stop(self) -> None:
        self._stopping.set()
        self._server.stop(None).wait(DEADLINE_SECONDS)
        self._pool.shutdown()


def started(kind: type[Any], *arguments: Any) -> Iterator[Any]:
    receiver = kind(*arguments)
    try:
        yield receiver
    finally:
        receiver.stop()
