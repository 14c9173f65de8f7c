"""Requests to a WSGI application without a server. The environ is what a server makes of a browser's request."""

import io
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_SOFTWARE": "gunicorn/23",
    "REMOTE_ADDR": "10.0.0.7",
    "REMOTE_PORT": "41234",
    "HTTP_HOST": "shop.example:8000",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "HTTP_ACCEPT": "application/json",
    "HTTP_ACCEPT_LANGUAGE": "en-US,en;q=0.5",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate",
    "HTTP_CONNECTION": "keep-alive",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def drive(application: Application, first: int, count: int) -> list[int]:
    """The nanoseconds of each of `count` requests."""
    latencies = []
    for number in range(first, first + count):
        path = f"/orders/{number}"
        environ = {**ENVIRON, "PATH_INFO": path, "RAW_URI": path, "wsgi.input": io.BytesIO()}
        begin = time.perf_counter_ns()
        request(application, environ)
        latencies.append(time.perf_counter_ns() - begin)
    return latencies


def request(application: Application, environ: dict[str, Any]) -> None:
    statuses: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:
        statuses.append(status)
        return lambda data: None

    body = application(environ, start_response)
    try:
        answer = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    if statuses != ["200 OK"] or b"12.5" not in answer:
        raise SystemExit(f"the application answers {statuses}: {answer!r}")
